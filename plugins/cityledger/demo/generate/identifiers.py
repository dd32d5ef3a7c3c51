"""Check digits of the identifiers that the demo city hands out.

Written from the standards and apart from ``quality_checks``, so that the answer key doesn't share
a mistake with the rules that it tests.
"""

from __future__ import annotations

_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def citizen_id(area: str, birth: str, sequence: int) -> str:
    """An 18-character number by GB 11643.

    Args:
        area: Six digits.
        birth: ``yyyymmdd``.
        sequence: 0–999; odd for men, even for women.
    """
    body = f"{area}{birth}{sequence:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return body + "10X98765432"[total % 11]


def old_citizen_id(number: str) -> str:
    """The 15-digit form that the number had before 1999 (births of 19xx only)."""
    return number[:6] + number[8:17]


def organisation_code(serial: int) -> str:
    """Nine characters by GB 11714, for a serial below 10^8."""
    body = f"{serial:08d}"
    rest = 11 - sum(int(d) * w for d, w in zip(body, _ORG_WEIGHTS, strict=True)) % 11
    return body + {10: "X", 11: "0"}.get(rest, str(rest))


def uscc(kind: str, area: str, serial: int) -> str:
    """An 18-character code by GB 32100 with the organisation code's own check digit (GB 11714).

    Args:
        kind: Registration department and class, e.g. ``91``.
        area: Six digits.
        serial: The organisation's number, below 10^8.
    """
    body = kind + area + organisation_code(serial)
    total = sum(
        _USCC_ALPHABET.index(char) * weight
        for char, weight in zip(body, _USCC_WEIGHTS, strict=True)
    )
    return body + _USCC_ALPHABET[-total % 31]


def wrong_uscc(code: str) -> str:
    """The code with another check character."""
    place = _USCC_ALPHABET.index(code[-1])
    return code[:-1] + _USCC_ALPHABET[(place + 1) % 31]


def wrong_citizen_id(number: str) -> str:
    """The number with another check character."""
    return number[:-1] + ("1" if number[-1] != "1" else "2")


def registration_number(area: str, serial: int) -> str:
    """A 15-digit business registration number (check digit: GB/T 17710, MOD 11,10)."""
    body = f"{area}{serial:08d}"
    product = 10
    for digit in body:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return body + str((11 - product) % 10)
