"""What every benchmark's result says of its run, and where ``make bench`` finds it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cityledger.settings import home_dir


def circumstances() -> dict[str, Any]:
    """When and on what machine a benchmark ran, and how busy others keep it."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def place(name: str) -> Path:
    """The file of a benchmark's result in the home folder, which this makes."""
    folder = home_dir() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.json"


def keep(name: str, result: dict[str, Any]) -> None:
    """Write a benchmark's result, instead of what an earlier run left."""
    place(name).write_text(json.dumps(result, indent=2, ensure_ascii=False), encoding="utf-8")
