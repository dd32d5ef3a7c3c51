"""Pages on paper: PDF by Typst, with the Chinese typeface that came as a wheel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any


def font_folder() -> Path:
    """Noto Sans SC of the installed font package: machines often have no Chinese typeface."""
    return Path(str(resources.files("justmytype_intl_cjk"))) / "fonts" / "ofl" / "notosanssc"


def typeset(template: Path, data: Mapping[str, Any]) -> bytes:
    """A PDF of a Typst template; the same data gives the same bytes on every machine.

    Args:
        template: The ``.typ`` file; it reads ``sys.inputs.data``.
        data: What JSON can hold.
    """
    # Heavy, and most of what a process does needs no paper.
    import typst

    made: bytes = typst.compile(
        str(template),
        font_paths=[str(font_folder())],
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        timestamp=0,
    )
    return made
