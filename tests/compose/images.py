"""Images: those that exist, else pulled, else stand-ins from Debian's packages; and our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.compose.engine import PROJECT, SmokeError, docker, has_image

OURS: Final = "cityledger:0.1.0"
_STANDINS: Final = PROJECT / "infra/docker/standins"
#: Image → folder of its stand-in, and the Debian release that it is made from.
BASES: Final = {
    "python:3.11-slim-bookworm": ("python", "bookworm"),
    "postgres:18": ("postgres", "forky"),
    "valkey/valkey:8.1": ("valkey", "forky"),
    "nginx:1.28": ("nginx", "forky"),
}
_CERTIFICATES: Final = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))

Tell = Callable[[str], None]


def prepare(tell: Tell) -> None:
    """See that every base image is there.

    Raises:
        SmokeError: One can neither be pulled nor be made.
    """
    for name, (folder, release) in BASES.items():
        if has_image(name):
            tell(f"{name}: there")
        elif docker("pull", "--quiet", name, check=False).returncode == 0:
            tell(f"{name}: pulled")
        else:
            _debian(release)
            _build(str(_STANDINS / folder), name)
            tell(f"{name}: a stand-in from Debian {release}")


def build_ours(tell: Tell) -> None:
    """Build CityLedger's image from this work tree."""
    tell(f"{OURS}: building (the first time it installs 1 GB of packages)")
    file = str(PROJECT / "infra/docker/Dockerfile")
    # Where registries show certificates of the network's own; a build secret is in no layer.
    known = ["--secret", f"id=ca,src={_CERTIFICATES}"] if _CERTIFICATES.exists() else []
    _build(str(PROJECT), OURS, "--file", file, *known)


def _build(context: str, name: str, *words: str) -> None:
    docker("build", "--quiet", "--network", "host", "--tag", name, *words, context)


def _debian(release: str) -> None:
    """A minimal Debian, as the engine's image ``debian:RELEASE-slim``."""
    name = f"debian:{release}-slim"
    if has_image(name):
        return
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise SmokeError(
            f"{name} can't be pulled, and to make a stand-in it takes root and debootstrap"
            " (Debian: apt-get install debootstrap)"
        )
    with tempfile.TemporaryDirectory(prefix="cityledger-debian-") as temporary:
        root, archive = Path(temporary) / "root", Path(temporary) / "root.tar"
        words = ["debootstrap", "--variant=minbase", "--include=ca-certificates", release]
        # Releases that this debootstrap does not know yet are made like unstable.
        scripts = Path("/usr/share/debootstrap/scripts")
        script = scripts / (release if (scripts / release).exists() else "sid")
        _shell([*words, str(root), "http://deb.debian.org/debian", str(script)])
        _shell(["tar", "--directory", str(root), "--create", "--file", str(archive), "."])
        docker("import", str(archive), name)


def _shell(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise SmokeError(f"`{' '.join(words)}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
