"""Drafting a contract from a sample: what is seen is written, what can't be known is left open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.infer import People, Sample, draft_contract, vocabulary_of
from cityledger.contracts.model import Column, ColumnType, Contract
from cityledger.contracts.registry import load_contract
from cityledger.contracts.violations import ContractError
from hypothesis import given, settings
from hypothesis import strategies as st

DATASET = DatasetId("health", "visits")
PEOPLE = People("owner", "steward", "desk", "医保结算")


def _contract(folder: Path, text: str) -> Contract:
    path = folder / "health" / "visits.odcs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_contract(path)


def _column(folder: Path, header: str, values: Sequence[str | None]) -> Column:
    sample = Sample([header], [[value] for value in values], "visits_20260331.csv", "csv")
    text = draft_contract(DATASET, sample, PEOPLE, {})
    text = text.replace("noKeyReason, value: ''", "noKeyReason, value: 试样")
    return _contract(folder, text).columns[0]


def test_a_draft_with_people_passes_the_lint(tmp_path: Path) -> None:
    """Ten minutes to a new dataset only hold if the draft is valid."""
    sample = Sample(
        ["就诊号", "visitDate", "身份证号", "费用"],
        [[f"V{n:03}", "2026-03-31", "11010519491231002X", f"{n}.50"] for n in range(30)],
        "visits_20260331.csv",
        "csv",
    )
    vocabulary = vocabulary_of({"visit_no": ["就诊编号", "就 诊号"], "total_fee": ["费用"]})
    contract = _contract(tmp_path, draft_contract(DATASET, sample, PEOPLE, vocabulary))
    names = [column.name for column in contract.columns]
    assert names == ["visit_no", "visit_date", "column_3", "total_fee"]
    assert contract.primary_key == ("visit_no",)
    assert contract.column("column_3").semantic_type == "citizen_id"
    assert contract.column("column_3").classification == "sensitive"
    assert contract.column("total_fee").type is ColumnType.NUMBER
    assert contract.source.options["path"] == "health/visits_{yyyy}{mm}{dd}.csv"
    assert contract.service_level.grain == "day"


def test_a_draft_without_people_says_what_to_fill_in(tmp_path: Path) -> None:
    """Nobody answers for a dataset by default."""
    sample = Sample(["a"], [["1"], ["2"]], "visits.csv", "csv")
    text = draft_contract(DATASET, sample, People(), {})
    with pytest.raises(ContractError) as caught:
        _contract(tmp_path, text)
    marked = {n for n, line in enumerate(text.splitlines(), 1) if line.endswith("# FILL IN")}
    assert len(marked) == 4
    assert {violation.line for violation in caught.value.violations} >= marked - {
        n for n, line in enumerate(text.splitlines(), 1) if "username" not in line
    }


@pytest.mark.parametrize(
    ("values", "kind", "option"),
    [
        (["1", "-20", "300"], ColumnType.INTEGER, None),
        (["1", "2.50"], ColumnType.NUMBER, None),
        (["001", "002"], ColumnType.STRING, None),
        (["2026-03-31", "2026-04-01"], ColumnType.DATE, "yyyy-MM-dd"),
        (["2026/3/31", "2026/04/01"], ColumnType.DATE, "yyyy/MM/dd"),
        (["2026-03-31 23:59", "2026-04-01 00:00"], ColumnType.TIMESTAMP, "yyyy-MM-dd HH:mm"),
        (["2026-03-31", "unknown"], ColumnType.STRING, None),
        (["20263199", "20260101"], ColumnType.INTEGER, None),
        ([], ColumnType.STRING, None),
    ],
)
def test_types(tmp_path: Path, values: list[str], kind: ColumnType, option: str | None) -> None:
    """A code with leading zeros that became a number has lost them for ever."""
    column = _column(tmp_path, "x", values)
    assert (column.type, column.options.get("format")) == (kind, option)


@pytest.mark.parametrize(
    ("header", "value", "value_type", "classification"),
    [
        ("证件", "11010519491231002X", "citizen_id", "sensitive"),
        ("联系方式", "13812345678", "phone", "personal"),
        ("代码", "91350100M000100Y43", "uscc", "internal"),
        ("建成", "1998年5月", "chinese_date", "internal"),
        ("家庭住址", "某路1号", None, "personal"),
        ("数量", "5", None, "internal"),
    ],
)
def test_personal_data_is_suspected(
    tmp_path: Path, header: str, value: str, value_type: str | None, classification: str
) -> None:
    """A draft that calls a citizen id internal would be copied as it is."""
    column = _column(tmp_path, header, [value] * 3)
    assert (column.semantic_type, column.classification) == (value_type, classification)


def test_repeated_values_become_an_enum_and_gaps_are_seen(tmp_path: Path) -> None:
    """Few values that repeat are a code list; one gap means not required."""
    column = _column(tmp_path, "state", ["办结", "在办", " 办结 "] * 10 + [None])
    assert column.enum == ("办结", "在办")
    assert not column.required


@pytest.mark.parametrize(
    ("name", "pattern", "grain"),
    [
        ("visits_2026-03-31.csv", "visits_{yyyy}-{mm}-{dd}.csv", "day"),
        ("台账_2026年03月.xls", "台账_{yyyy}年{mm}月.xls", "month"),
        ("visits_202603.csv", "visits_{yyyy}{mm}.csv", "month"),
        ("2025年名录.xlsx", "{yyyy}年名录.xlsx", "year"),
        ("visits.csv", "visits.csv", "day"),
    ],
)
def test_the_period_in_the_file_name(tmp_path: Path, name: str, pattern: str, grain: str) -> None:
    """The pattern must find tomorrow's file, too."""
    sample = Sample(["x"], [["1"], ["2"]], name, "csv")
    contract = _contract(tmp_path, draft_contract(DATASET, sample, PEOPLE, {}))
    assert contract.source.options["path"] == f"health/{pattern}"
    assert contract.service_level.grain == grain


_CELLS = st.text(st.sampled_from("a1年 '\"#:{}[]\\\n\t,-%&*!|>@`"), max_size=5)


@settings(deadline=None, max_examples=60)
@given(
    headers=st.lists(_CELLS, min_size=1, max_size=4),
    rows=st.lists(st.lists(_CELLS, max_size=4), min_size=1, max_size=14),
)
def test_any_sample_gives_yaml_that_the_lint_can_read(
    tmp_path_factory: pytest.TempPathFactory, headers: list[str], rows: list[list[str]]
) -> None:
    """Header texts are untrusted: they must not break out of their quotes."""
    sample = Sample(headers, rows, "x.csv", "csv")
    text = draft_contract(DATASET, sample, PEOPLE, {})
    try:
        contract = _contract(tmp_path_factory.getbasetemp(), text)
    except ContractError as error:
        about = {violation.message.split("'")[0] for violation in error.violations}
        assert about <= {"", "header ", "no column is a primaryKey"}, text
    else:
        assert len(contract.columns) == len(headers)
