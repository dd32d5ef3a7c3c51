"""``make compose-smoke``: the demo city through the containers, equal to an embedded run?

It builds the images (stand-ins of the base images where none can be pulled), brings the deployment
of docker-compose.yml up with two workers, runs the demo city's day through it, asks the running
containers for what the file promises, takes everything down, runs the same day embedded, and
compares the published indicators' digest and the rows' accounting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cityledger.demo.generate.generator import generate

from tests.compose import images
from tests.compose.deployment import WORKERS, deployment, readable
from tests.compose.engine import PROJECT, SmokeError, environ, require
from tests.compose.promises import broken

_DAY = Path(__file__).with_name("day.py")
_ACCOUNTING = ("dataset", "partition", "extracted", "rejected", "quarantined", "validated")


def main() -> int:
    """Exit code 0: up, kept its promises, and equal to the digit."""
    parser = argparse.ArgumentParser(prog="make compose-smoke", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.1f} s  {text}\n")
        sys.stdout.flush()

    try:
        return _smoke(options.scale, options.seed, tell)
    except SmokeError as error:
        sys.stderr.write(f"compose-smoke: {error}\n")
        return 2


def _smoke(scale: float, seed: int, tell: Callable[[str], None]) -> int:
    tell(f"engine {require()}")
    images.prepare(tell)
    images.build_ours(tell)
    contained, promises = _contained(scale, seed, tell)
    tell("the same day embedded")
    embedded = _embedded(scale, seed)
    differences = _differences(contained, embedded)
    tell(f"content digest in containers  {contained['content_sha256']}")
    tell(f"content digest embedded       {embedded['content_sha256']}")
    for line in (*promises, *differences):
        tell(f"WRONG  {line}")
    if not (promises or differences):
        tell(
            f"equal: {len(contained['indicators'])} indicator values, the accounting of"
            f" {len(contained['datasets'])} deliveries; every promise is kept"
        )
    return 1 if promises or differences else 0


def _contained(
    scale: float, seed: int, tell: Callable[[str], None]
) -> tuple[dict[str, Any], list[str]]:
    with deployment("cityledger-smoke") as running:
        key = generate(running.drop, scale=scale, seed=seed)
        readable(running.drop)
        tell(f"{len(key.deliveries)} deliveries generated; bringing it up, {WORKERS} workers")
        running.start()
        tell(f"every part is well; {running.address}")
        places = [(one.dataset, one.partition) for one in key.deliveries]
        summary = running.compose.tool(_DAY, json.dumps(places))
        tell(f"the day took {summary['seconds']} s with {summary['builds']} build(s)")
        promises = broken(running)
        tell(f"{len(running.compose.containers())} containers asked for what was promised")
    tell("taken down")
    return summary, promises


def _embedded(scale: float, seed: int) -> dict[str, Any]:
    program = str(Path(sys.executable).with_name("cityledger"))
    with tempfile.TemporaryDirectory(prefix="cityledger-embedded-") as home:
        settings = {**environ(), "CITYLEDGER_HOME": home}
        words = ["demo", "--json", "--scale", str(scale), "--seed", str(seed)]
        try:
            done = subprocess.run(
                [program, *words], cwd=PROJECT, env=settings, capture_output=True, text=True
            )
        finally:
            subprocess.run([program, "down"], env=settings, capture_output=True)
    if done.returncode != 0:
        raise SmokeError(f"the embedded run failed:\n{(done.stdout + done.stderr)[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _differences(contained: dict[str, Any], embedded: dict[str, Any]) -> list[str]:
    found = []
    if contained["content_sha256"] != embedded["content_sha256"]:
        found.append("the published indicators differ")
    mine, theirs = (
        {tuple(row[name] for name in _ACCOUNTING) for row in one["datasets"]}
        for one in (contained, embedded)
    )
    found += [f"accounting differs: {row}" for row in sorted(mine ^ theirs)]
    return found


if __name__ == "__main__":
    sys.exit(main())
