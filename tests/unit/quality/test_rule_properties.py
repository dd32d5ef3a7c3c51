"""Rules against brute force, on whatever hypothesis makes up, and the standards' test vectors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

import polars as pl
import pytest
from cityledger.contracts.model import Scope
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from quality_checks.rules.industry import SECTIONS

HISTORY = Scope.HISTORY
FEW = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="session")
def broken(suite, column, rule):
    """Row numbers that break a row rule of scope row, for typed columns."""

    def judge(name: str, columns: Sequence[Any], data: dict[str, list[Any]], **arguments: Any):
        made = suite(columns, [rule(name, *(c.name for c in columns), arguments=arguments)])
        text = {
            key: [None if v is None else str(v) for v in values] for key, values in data.items()
        }
        frame = pl.DataFrame(text, schema=dict.fromkeys(text, pl.String))
        verdict = made.session().check(made.read(frame))
        masks = list(verdict.failing.values())
        return masks[0].arg_true().to_list() if masks else []

    return judge


@pytest.fixture(scope="session")
def over_time(suite, rule):
    """The result of a rule over all partitions."""

    def judge(name: str, columns: Sequence[Any], frame: pl.DataFrame, *judged: str, **arguments):
        spec = rule(name, *judged, arguments=arguments, scope=HISTORY)
        return suite(columns, [spec]).check_history(frame)[0]

    return judge


hanzi = st.text(
    st.integers(0xB0A1, 0xD7F9)
    .filter(lambda code: 0xA1 <= code & 0xFF <= 0xFE)
    .filter(lambda code: not 0xD7FA <= code <= 0xD7FE)
    .map(lambda code: code.to_bytes(2, "big").decode("gb2312")),
    min_size=2,
    max_size=8,
)


@FEW
@example("堡堡")  # in UTF-8 with A0 and without a C1 control
@given(hanzi)
def test_every_way_of_decoding_wrongly_is_seen(broken, column, text: str) -> None:
    """A pair of encodings that the rule misses lets a delivery of rubbish through."""
    wrong = [text.encode("utf-8").decode("latin-1"), text.encode("gb18030").decode("latin-1")]
    try:
        wrong.append(text.encode("utf-8").decode("gb18030"))
    except UnicodeDecodeError:
        wrong.append(text.encode("utf-8").decode("gb18030", errors="replace"))
    assume(all(w == w.strip() for w in wrong))
    data = {"a": [text, *wrong]}
    assert broken("no_mojibake", [column("a")], data) == [1, 2, 3]


@pytest.mark.parametrize(
    "name", ["浠水县", "涓流", "渝北区", "鑫源", "缙云县", "㐂", "亳州市谯城区"]
)
def test_rare_characters_are_not_mojibake(broken, column, name: str) -> None:
    """Names of real places hold characters that wrong decodings also produce."""
    assert broken("no_mojibake", [column("a")], {"a": [name]}) == []


@FEW
@given(st.integers(0, 99), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), st.integers(0, 99))
def test_industry_codes(broken, column, division: int, letter: str, rest: int) -> None:
    """GB/T 4754: a letter with another section's division is a typing error."""
    low, high = SECTIONS.get(letter, (100, 0))
    code = f"{letter}{division:02}{rest:02}"
    good = low <= division <= high
    assert (broken("known_industry", [column("a")], {"a": [code]}) == []) == good
    bare = broken("known_industry", [column("a")], {"a": [f"{division:02}"]}) == []
    assert bare == (1 <= division <= 97)


def test_the_sections_of_gb_t_4754_cover_every_division_once() -> None:
    """A gap between two sections would refuse a whole branch of the economy."""
    found = [n for low, high in SECTIONS.values() for n in range(low, high + 1)]
    assert found == list(range(1, 98))


@pytest.mark.parametrize(
    ("rule_", "text", "good"),
    [
        ("citizen_id_fits", "11010519491231002X", True),
        ("citizen_id_fits", "110105194912310021", False),
        ("citizen_id_fits", "810000199408230021", True),
        ("citizen_id_fits", "830000199201300022", True),
        ("citizen_id_fits", "110105491231002", False),
        ("citizen_id_fits", "110105194902300021", False),
        ("uscc_fits", "91350100M000100Y43", True),
        ("uscc_fits", "91350100M000100Y44", False),
        ("uscc_fits", "9135010OM000100Y43", False),
        ("known_uscc_kind", "91350100M000100Y43", True),
        ("known_uscc_kind", "N2350100M000100Y43", True),
        ("known_uscc_kind", "N4350100M000100Y43", False),
        ("known_uscc_kind", "Y1350100M000100Y43", True),
        ("known_uscc_kind", "B1350100M000100Y43", False),
        ("known_uscc_kind", "110108000000016", True),
        ("regno_fits", "110108000000016", True),
        ("regno_fits", "110108000000061", False),
        ("regno_fits", "91350100M000100Y43", True),
    ],
)
def test_vectors_of_the_standards(broken, column, rule_: str, text: str, good: bool) -> None:
    """The vectors that real registers gave: one wrong weight fails them."""
    assert (broken(rule_, [column("a")], {"a": [text]}) == []) is good


@FEW
@given(st.lists(st.one_of(st.none(), st.integers(-5, 5000)), max_size=12))
def test_magnitudes(over_time, column, values: list[int | None]) -> None:
    """Against a loop over pairs of neighbours."""
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(len(values))]
    columns = [column("a", "integer"), column("day", "date")]
    frame = pl.DataFrame({"a": values, "day": days}, schema={"a": pl.Int64, "day": pl.Date})
    result = over_time("same_magnitude", columns, frame, "a", orderBy="day", factor=10)
    given_ = [value for value in values if value is not None]
    pairs = [(a, b) for a, b in pairwise(given_) if a > 0 and b > 0]
    assert result.evaluated == len(pairs)
    assert result.failed == sum(not (b / a < 10 and b / a > 1 / 10) for a, b in pairs)


periods = st.lists(
    st.tuples(st.integers(0, 60), st.one_of(st.none(), st.integers(0, 9))), max_size=8
)


@FEW
@given(st.lists(periods, max_size=3))
def test_overlaps(over_time, column, series: list[list[tuple[int, int | None]]]) -> None:
    """A code that is valid twice on one day has two names on that day."""
    start = date(2026, 1, 1)
    rows = []
    expected = 0
    for name, found in enumerate(series):
        ended = None
        for low, length in sorted(dict(found).items()):
            first = start + timedelta(days=low)
            last = None if length is None else first + timedelta(days=length)
            expected += ended is not None and first <= ended
            ended = max(ended or date.min, last or date.max)
            rows.append((first, last, str(name)))
    frame = pl.DataFrame(
        rows, schema={"a": pl.Date, "b": pl.Date, "g": pl.String}, orient="row"
    ).sample(fraction=1, shuffle=True, seed=1)
    columns = [column("a", "date"), column("b", "date"), column("g")]
    result = over_time("not_overlapping", columns, frame, "a", "b", by=["g"])
    assert result.failed == expected


@FEW
@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcde")), max_size=12),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["2026-01", "2026-02"])), max_size=6
    ),
    st.sampled_from(["all", "newest"]),
)
def test_references(suite, column, rule, keys, known, partition) -> None:
    """A foreign key is judged by what is released of the other dataset, all of it or the newest."""
    other = pl.DataFrame(known, schema={"id": pl.String, "_partition": pl.String}, orient="row")
    arguments = {"dataset": "health.other", "column": "id", "partition": partition}
    made = suite(
        [column("a")],
        [rule("references", "a", arguments=arguments)],
        tables=lambda _, names: other.select(names).unique(),
    )
    result = made.check_history(pl.DataFrame({"a": keys}, schema={"a": pl.String}))[0]
    newest = max((p for _, p in known), default="")
    there = {k for k, p in known if partition == "all" or p == newest}
    asked = [key for key in keys if key is not None]
    assert result.message == ""
    assert (result.evaluated, result.failed) == (len(asked), sum(k not in there for k in asked))


def test_a_reference_to_nothing_is_an_error_not_a_pass(suite, column, rule) -> None:
    """Without the other table nobody has looked anything up."""
    spec = rule("references", "a", arguments={"dataset": "health.gone"})
    for tables in (None, lambda *_: None):
        made = suite([column("a")], [spec], tables=tables)
        result = made.check_history(pl.DataFrame({"a": ["x"]}))[0]
        assert (result.status.value, result.failed) == ("error", 0)
        assert result.message == "there is no released table of health.gone with these columns"


def test_another_datasets_value(suite, column, rule) -> None:
    """A combined key, and values that differ in one of several rows of the other table."""
    other = pl.DataFrame({"id": ["1", "1", "2", "3"], "name": ["x", "old", "y", None]})
    spec = rule(
        "agrees_with", "a", "k", arguments={"dataset": "d.d", "column": "name", "key": "id"}
    )
    made = suite([column("a"), column("k")], [spec], tables=lambda _, names: other.select(names))
    table = pl.DataFrame({"a": ["x", "z", "q", None, "v"], "k": ["1", "1", "3", "2", None]})
    result = made.check_history(table)[0]
    assert (result.evaluated, result.failed, result.message) == (3, 1, "")


figures = st.lists(st.lists(st.sampled_from(["x", "y", None]), min_size=1, max_size=9), max_size=9)


@FEW
@given(figures, st.integers(1, 4), st.integers(1, 3))
def test_volume_and_distribution(over_time, column, months, window, least) -> None:
    """Against the same figures worked out with lists."""
    rows = [(f"2026-{n:02}", value) for n, part in enumerate(months, 1) for value in part]
    frame = pl.DataFrame(rows, schema={"_partition": pl.String, "a": pl.String}, orient="row")
    frame = frame.sample(fraction=1, shuffle=True, seed=2)
    window = max(window, least)
    for name, figure, judged, good in (
        ("stable_row_count", len, (), lambda now, was: abs(now - was) <= 0.5 * was),
        (
            "stable_null_share",
            lambda part: 100 * part.count(None) / len(part),
            ("a",),
            lambda now, was: abs(now - was) <= 10 + 1e-9,
        ),
    ):
        found = [figure(part) for part in months]
        pairs = [
            (now, median(found[max(0, n - window) : n]))
            for n, now in enumerate(found)
            if n >= least
        ]
        result = over_time(name, [column("a")], frame, *judged, window=window, least=least)
        if not pairs:
            assert result.status.value == "error"
            continue
        assert result.evaluated == len(pairs)
        clear = [
            p for p in pairs if name == "stable_row_count" or abs(abs(p[0] - p[1]) - 10) > 1e-6
        ]
        if len(clear) == len(pairs):
            assert result.failed == sum(not good(*pair) for pair in pairs)


@FEW
@given(figures, st.integers(1, 4))
def test_shares_of_categories(over_time, column, months, window) -> None:
    """A category that appears or vanishes counts, one that nobody ever used does not."""
    rows = [(f"2026-{n:02}", value) for n, part in enumerate(months, 1) for value in part]
    frame = pl.DataFrame(rows, schema={"_partition": pl.String, "a": pl.String}, orient="row")
    result = over_time("stable_shares", [column("a")], frame, "a", window=window, least=1)
    parts = [[v for v in part if v] for part in months if any(part)]
    moved = []
    for n, part in enumerate(parts[1:], 1):
        was = [v for before in parts[max(0, n - window) : n] for v in before]
        moved.append(abs(part.count("x") / len(part) - was.count("x") / len(was)) * 100)
    assume(all(abs(points - 20) > 1e-6 for points in moved))
    if not moved:
        assert result.status.value == "error"
    else:
        assert (result.evaluated, result.failed) == (len(moved), sum(p > 20 for p in moved))


@FEW
@given(st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=1, max_size=12))
def test_running_numbers(over_time, column, numbers) -> None:
    """Repeated numbers fill no gap."""
    frame = pl.DataFrame({"a": numbers}, schema={"a": pl.Int64})
    result = over_time("consecutive", [column("a", "integer")], frame, "a")
    given_ = {n for n in numbers if n is not None}
    if not given_:
        assert result.status.value == "error"
    else:
        assert result.failed == (max(given_) - min(given_) + 1 != len(given_))


def test_unit_slips_in_a_whole_delivery(over_time, column) -> None:
    """元 delivered as 万元: every value is plausible by itself."""
    rows = [(f"2026-{n:02}", 100.0 * n) for n in range(1, 5)] + [("2026-05", 5_000_000.0)]
    frame = pl.DataFrame(rows, schema={"_partition": pl.String, "a": pl.Float64}, orient="row")
    result = over_time("stable_mean", [column("a", "number")], frame, "a")
    assert (result.evaluated, result.failed) == (2, 1)


def test_rows_outside_the_condition_are_not_counted(suite, column, rule) -> None:
    """B of X = A / B: a rule for the provinces says nothing about their cities."""
    columns = [column("a", "integer"), column("day", "date"), column("city")]
    arguments = {"orderBy": "day", "where": {"city": None}}
    made = suite(columns, [rule("non_decreasing", "a", arguments=arguments)])
    frame = pl.DataFrame(
        {
            "a": [5, 9, 4, 1],
            "day": [date(2026, 3, n) for n in (1, 1, 2, 2)],
            "city": [None, "x", None, "x"],
        }
    )
    result = made.check_history(frame)[0]
    assert (result.evaluated, result.failed) == (2, 1)
    needed = rule("required_if", "a", "city", arguments={"equals": "x"})
    session = suite(columns, [needed]).session()
    text = pl.DataFrame({"a": ["1", None], "day": [None, None], "city": ["x", "y"]})
    session.check(suite(columns, [needed]).read(text))
    assert (session.finish()[0].evaluated, session.finish()[0].failed) == (1, 0)


def test_periods_of_deliveries(suite, column, rule) -> None:
    """A monthly delivery may hold the whole month, and no day more than it is told."""
    made = suite(
        [column("a", "date"), column("b", "timestamp")],
        [rule("not_in_future", "a"), rule("in_period", "b", arguments={"daysAfter": 1})],
    )
    text = pl.DataFrame(
        {
            "a": ["2026-03-31", "2026-04-01", None],
            "b": ["2026-03-31 23:59:59", "2026-04-01 23:59:00", "2026-04-02 00:00:00"],
        }
    )
    verdict = made.session().check(made.read(text))
    assert [mask.to_list() for mask in verdict.failing.values()] == [
        [False, True, False],
        [False, False, True],
    ]
