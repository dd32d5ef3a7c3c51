"""Places, people and firms of the fictional city, as raw material for the extracts."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from cityledger.demo.generate.identifiers import citizen_id

CITY = "云汐市"
DISTRICTS = {
    "990102": "云港区",
    "990103": "汐湾区",
    "990104": "青屿区",
    "990105": "桥北区",
    "990106": "松溪区",
    "990181": "澜山市",
}
FORMER_COUNTY = "990122"
"""松溪县, whose code ended on 2025-12-31 (now 990106)."""

SHARES = (0.254, 0.205, 0.124, 0.178, 0.093, 0.146)
"""Of the population, in the order of ``DISTRICTS``."""

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕张孔曹严华金魏陶姜"
_GIVEN = "安邦博晨达恩帆歌涵嘉珂岚铭宁沛琪然舒桐薇熙妍逸泽"
_ROADS = ("云海路", "汐月街", "青屿大道", "灯塔路", "桥北中路", "望潮街", "竹溪路", "澜山大道")


def districts(rng: np.random.Generator, count: int) -> list[str]:
    """District codes in the proportion of their population."""
    codes = np.array(list(DISTRICTS))
    return [str(code) for code in codes[rng.choice(len(codes), count, p=SHARES)]]


def names(rng: np.random.Generator, count: int) -> list[str]:
    """Invented names of persons."""
    first = rng.integers(len(_SURNAMES), size=count)
    second = rng.integers(len(_GIVEN), size=count)
    third = rng.integers(len(_GIVEN) + 8, size=count)
    return [
        _SURNAMES[a] + _GIVEN[b] + (_GIVEN[c] if c < len(_GIVEN) else "")
        for a, b, c in zip(first, second, third, strict=True)
    ]


def phones(rng: np.random.Generator, count: int) -> list[str]:
    """Mobile numbers of a prefix that no operator uses (14000…)."""
    return [f"1400000{number:04d}" for number in rng.integers(10_000, size=count).tolist()]


def addresses(rng: np.random.Generator, areas: list[str]) -> list[str]:
    """Invented addresses in the given districts."""
    roads = rng.integers(len(_ROADS), size=len(areas)).tolist()
    numbers = rng.integers(1, 400, size=len(areas)).tolist()
    return [
        f"{CITY}{DISTRICTS[area]}{_ROADS[road]}{number}号"
        for area, road, number in zip(areas, roads, numbers, strict=True)
    ]


def citizens(rng: np.random.Generator, count: int, latest: date) -> list[tuple[str, date, bool]]:
    """Citizen numbers with birth date and whether male; nobody is older than 95."""
    areas = rng.integers(len(DISTRICTS), size=count).tolist()
    ages = rng.integers(1, 95 * 365, size=count).tolist()
    sequences = rng.integers(1, 990, size=count).tolist()
    codes = [*(code for code in DISTRICTS if code != "990106"), FORMER_COUNTY]
    people = []
    for area, age, sequence in zip(areas, ages, sequences, strict=True):
        birth = latest - timedelta(days=age)
        number = citizen_id(codes[area], f"{birth:%Y%m%d}", sequence)
        people.append((number, birth, sequence % 2 == 1))
    return people
