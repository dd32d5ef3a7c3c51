"""Makes an archive that installs CityLedger where no registry can be reached.

    python infra/bundle/make_bundle.py [--wheels FOLDER] [--out FOLDER]

In it: the project, a wheel for this platform of everything that it needs to run (from the lock,
hashes checked by pip), a list of components (CycloneDX), checksums of every file, and `install.sh`,
which needs a Python of the same minor version, a shell and nothing else. Tools of developers are
left out, but for the three that install: uv, hatchling and editables.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
# Without the distributed engine's clients, which come as source only: a network with a cluster has
# a registry of its own.
EXTRAS = ("celery", "login", "observability")
INSTALLERS = ("uv", "hatchling", "editables")
#: What of the project goes along; tests and what a machine has made stay behind.
PARTS = (
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "README.zh-CN.md",
    "contracts",
    "dags",
    "dbt_project",
    "docker-compose.yml",
    "docs",
    "infra",
    "plugins",
    "pyproject.toml",
    "quality_checks",
)
_MADE = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".*cache*", "target", "logs", "dbt_packages", ".user.yml", "*.egg-info"
)
_ENTRY = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def chosen_lock(lock: str, names: Iterable[str]) -> str:
    """The entries of a lock for some packages, with their hashes, unchanged.

    Raises:
        LookupError: a package is not in the lock.
    """
    starts = [match.start() for match in _ENTRY.finditer(lock)]
    entries = [lock[a:b] for a, b in zip(starts, [*starts[1:], len(lock)], strict=True)]
    by_name: dict[str, list[str]] = {}
    for entry in entries:
        name = canonicalize_name(entry.partition("==")[0])
        by_name.setdefault(name, []).append(entry)
    wanted = sorted(set(names))
    if missing := [name for name in wanted if name not in by_name]:
        raise LookupError(f"not in the lock: {', '.join(missing)}")
    return "".join(entry for name in wanted for entry in by_name[name])


def needed_names() -> set[str]:
    """The packages that the project and its installers need, as the environment's metadata says."""
    installed: Mapping[str, tuple[str, ...]] = {
        canonicalize_name(one.metadata["Name"]): tuple(one.requires or ())
        for one in distributions()
    }
    pruner = _pruner()
    roots = pruner.wanted(ROOT / "pyproject.toml", EXTRAS)
    roots += [Requirement(name) for name in INSTALLERS]
    return set(pruner.needed(roots, installed))


def _pruner() -> ModuleType:
    """The image's script that tells what is needed; it lies in a folder without a package."""
    spec = importlib.util.spec_from_file_location("prune", ROOT / "infra" / "docker" / "prune.py")
    if spec is None or spec.loader is None:
        raise LookupError("infra/docker/prune.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def download(lock: Path, wheels: Path) -> None:
    """Fetch the wheels of a lock from the registry that this machine uses, hashes checked."""
    words = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
    subprocess.run(  # noqa: S603 - fixed words and our own paths
        [sys.executable, "-m", "pip", "download", *words, "-r", str(lock), "-d", str(wheels)],
        check=True,
    )


def components(lock: str) -> str:
    """The list of components of a lock as CycloneDX; the same lock gives the same list."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, hashlib.sha256(lock.encode()).hexdigest()))
    for name, version in _ENTRY.findall(lock):
        bom.components.add(
            Component(
                name=canonicalize_name(name),
                version=version,
                type=ComponentType.LIBRARY,
                purl=PackageURL("pypi", None, canonicalize_name(name), version),
                bom_ref=f"{canonicalize_name(name)}=={version}",
            )
        )
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def copy_project(target: Path) -> None:
    """Copy what of the project goes along."""
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_MADE)
        elif source.exists():
            shutil.copy2(source, target / name)
    for name in ("install.sh", "INSTALL.md"):
        shutil.copy2(ROOT / "infra" / "bundle" / name, target / name)


def checksums(folder: Path) -> str:
    """SHA-256 of every file, as ``sha256sum --check`` reads them."""
    return "".join(f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in _files(folder))


def pack(folder: Path, archive: Path) -> None:
    """Write a folder as a tar file; the same content gives the same bytes."""
    with tarfile.open(archive, "w") as tar:
        for path in _files(folder):
            tar.add(path, f"{folder.name}/{path.relative_to(folder)}", filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.mode & 0o100 else 0o644
    return info


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bundle_name() -> str:
    """Name of the archive without its ending: version, Python and platform that it is for."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"cityledger-{version}-{python}-{platform.system().lower()}-{platform.machine()}"


def make(out: Path, wheels: Path | None) -> Path:
    """Make the archive.

    Args:
        out: Folder for it.
        wheels: Folder of wheels that are there already; None: they are downloaded.

    Returns:
        The archive; its checksum lies beside it.
    """
    folder = out / bundle_name()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lock = folder / "requirements.lock"
    chosen = chosen_lock((ROOT / lock.name).read_text("utf-8"), needed_names())
    lock.write_text(chosen, "utf-8")
    if wheels is None:
        download(lock, folder / "wheels")
    else:
        shutil.copytree(wheels, folder / "wheels")
    (folder / "sbom.cdx.json").write_text(components(chosen), "utf-8")
    copy_project(folder)
    (folder / "SHA256SUMS").write_text(checksums(folder), "utf-8")
    archive = out / f"{folder.name}.tar"
    pack(folder, archive)
    shutil.rmtree(folder)
    archive.with_suffix(".tar.sha256").write_text(f"{_sha256(archive)}  {archive.name}\n", "utf-8")
    return archive


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--wheels", type=Path, help="a folder of wheels instead of a download")
    options = parser.parse_args()
    made = make(options.out, options.wheels)
    sys.stdout.write(f"{made}: {made.stat().st_size / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main()
