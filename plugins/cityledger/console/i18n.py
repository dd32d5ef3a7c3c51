"""Languages of the pages: texts are English in the code, Chinese in ``locales/zh_CN/*.po``.

Every page module may bring a catalogue of its own (``locales/zh_CN/<page>.po``); all of them are
read together, so that people who write pages side by side do not meet in one file.
"""

from __future__ import annotations

import gettext
import io
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from fastapi import Request

LOCALES = Path(__file__).parent / "locales"
DEFAULT = "zh-CN"
#: Language tag → what its own speakers call it.
LANGUAGES = {"zh-CN": "中文", "en": "English"}
COOKIE = "cityledger_lang"


def mark(text: str) -> str:
    """Mark a text for translation where it is defined; ``_()`` translates it where it is shown."""
    return text


@lru_cache(maxsize=len(LANGUAGES))
def translations(language: str) -> gettext.NullTranslations:
    """The catalogue of a language; English is the language of the code and needs none."""
    folder = LOCALES / language.replace("-", "_")
    files = sorted(folder.glob("*.po"))
    if not files:
        return gettext.NullTranslations()
    merged = Catalog(locale=language.replace("-", "_"))
    for file in files:
        with file.open("rb") as source:
            for message in read_po(source):
                if message.id:
                    merged.add(message.id, message.string, context=message.context)
    compiled = io.BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def language_of(request: Request) -> str:
    """The language to answer in: ``?lang=``, else the cookie, else what the browser asks for."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        known = _known(wish or "")
        if known:
            return known
    return _negotiated(request.headers.get("accept-language", ""))


def _known(tag: str) -> str | None:
    short = tag.strip().lower().split("-")[0].split("_")[0]
    return {"zh": "zh-CN", "en": "en"}.get(short)


def _negotiated(header: str) -> str:
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:20]):
        tag, _, weight = part.partition(";q=")
        known = _known(tag)
        if known:
            wishes.append((-_weight(weight), place, known))
    return min(wishes)[2] if wishes else DEFAULT


def _weight(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
