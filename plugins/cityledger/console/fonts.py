"""The Chinese font that the console brings: machines often have none."""

from __future__ import annotations

from pathlib import Path

from cityledger.typesetting import font_folder


def font_file() -> Path:
    """Noto Sans SC, variable weight."""
    return font_folder() / "NotoSansSC[wght].ttf"
