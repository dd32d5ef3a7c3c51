"""Every text of the pages has a Chinese translation, and the reader's wish decides the language."""

from __future__ import annotations

import io
import re
from pathlib import Path

from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po
from cityledger.console import i18n
from jinja2.ext import babel_extract

CONSOLE = Path(i18n.__file__).parent
_KEYWORDS = ("_", "gettext", "ngettext")
_OPTIONS = {"trim_blocks": "true", "silent": "false"}
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%")


def texts() -> dict[str, str]:
    """Every text to translate → the file that it is in."""
    found: dict[str, str] = {}
    for file in sorted(CONSOLE.rglob("*.py")):
        for _, message, _, _ in extract_from_file("python", file, keywords={"mark": None}):
            found[str(message)] = file.name
    for file in sorted((CONSOLE / "templates").glob("*.html")):
        source = io.BytesIO(file.read_bytes())
        for _, _, message, _ in babel_extract(source, _KEYWORDS, [], _OPTIONS):
            for one in message if isinstance(message, tuple) else (message,):
                if one:
                    found[one] = file.name
    return found


def catalogue() -> dict[str, str]:
    """Text → Chinese, of all catalogues."""
    found: dict[str, str] = {}
    for file in sorted((CONSOLE / "locales" / "zh_CN").glob("*.po")):
        with file.open("rb") as source:
            for message in read_po(source):
                ids = message.id if isinstance(message.id, tuple) else (message.id,)
                strings = message.string if isinstance(message.string, tuple) else (message.string,)
                for one in ids:
                    if one:
                        found[one] = strings[0]
    return found


def test_every_text_is_translated() -> None:
    """An English word in the middle of a Chinese page makes a clerk call the help desk."""
    known = catalogue()
    missing = {text: file for text, file in texts().items() if not known.get(text)}
    assert not missing


def test_no_translation_is_left_over() -> None:
    """A catalogue full of texts that no page shows hides which ones are still to be reviewed."""
    assert not set(catalogue()) - set(texts())


def test_placeholders_survive_translation() -> None:
    """A lost placeholder loses its number, an invented one breaks the page."""
    for text, translated in catalogue().items():
        assert sorted(_PLACEHOLDER.findall(text)) == sorted(_PLACEHOLDER.findall(translated)), text
