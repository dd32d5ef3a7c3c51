"""The Chinese font that the console brings: machines often have none."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def font_file() -> Path:
    """Noto Sans SC, variable weight, of the installed font package."""
    import justmytype_intl_cjk

    folder = Path(justmytype_intl_cjk.__file__).parent / "fonts" / "ofl" / "notosanssc"
    return folder / "NotoSansSC[wght].ttf"
