"""The generator of the demo city: same bytes everywhere, honest answer key, real dirt."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import xlrd
import yaml
from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract, Severity
from cityledger.contracts.registry import load_contracts
from cityledger.demo.generate import identifiers
from cityledger.demo.generate.answers import DeliveryAnswer
from cityledger.demo.generate.catalogue import DEFECTS
from cityledger.demo.generate.city import DISTRICTS, FORMER_COUNTY
from cityledger.demo.generate.delivery import Delivery
from cityledger.demo.generate.generator import deliveries, generate, key_path
from cityledger.errors import BadInputError
from cityledger.settings import PROJECT_DIR
from stdnum.cn import uscc

CONTRACTS = PROJECT_DIR / "contracts"
SMALL = 0.02


@pytest.fixture(scope="module")
def full() -> tuple[Delivery, ...]:
    """The whole city at scale 1."""
    return tuple(deliveries(1.0, 1))


@pytest.fixture(scope="module")
def small() -> tuple[Delivery, ...]:
    """The smallest city."""
    return tuple(deliveries(SMALL, 1))


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    """The demo city's contracts."""
    return load_contracts(CONTRACTS)


def _digests(city: Iterator[Delivery]) -> dict[str, str]:
    return {
        path: hashlib.sha256(data).hexdigest()
        for delivery in city
        for path, data in delivery.files.items()
    }


def _file(city: tuple[Delivery, ...], ending: str) -> bytes:
    found = [data for d in city for path, data in d.files.items() if path.endswith(ending)]
    assert len(found) == 1, ending
    return found[0]


def _answer(city: tuple[Delivery, ...], dataset: str) -> DeliveryAnswer:
    return next(d.answer for d in city if d.answer.dataset == dataset)


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Prevents a demo that differs by machine, hash seed or time, so nobody can compare figures."""
    code = (
        "import sys; from pathlib import Path;"
        "from cityledger.demo.generate.generator import generate;"
        f"generate(Path(sys.argv[1]), scale={SMALL}, seed=1)"
    )
    generate(tmp_path / "here", scale=SMALL, seed=1)
    environment = {"PYTHONHASHSEED": "7", "TZ": "America/New_York", "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "there")], check=True, env=environment
    )
    mine = _tree(tmp_path / "here")
    assert mine == _tree(tmp_path / "there")
    assert len(mine) == 11
    assert key_path(tmp_path / "here").read_bytes() == key_path(tmp_path / "there").read_bytes()


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_another_seed_is_another_city_day(small: tuple[Delivery, ...]) -> None:
    """Prevents a seed that is read but not used."""
    first, second = _digests(iter(small)), _digests(deliveries(SMALL, 2))
    same = {path for path in first if first[path] == second[path]}
    assert same == {"transport/metro_trips_20260331.ctl"}, "only the row count may be the same"


@pytest.mark.parametrize(("scale", "seed"), [(0, 1), (-1, 1), (101, 1), (float("nan"), 1), (1, -1)])
def test_senseless_scale_or_seed_is_refused(tmp_path: Path, scale: float, seed: int) -> None:
    """Prevents an empty or endless drop folder from a slip of the finger."""
    with pytest.raises(BadInputError, match="scale"):
        generate(tmp_path / "drop", scale=scale, seed=seed)
    assert not (tmp_path / "drop").exists()


def test_every_kind_of_defect_is_planted(full: tuple[Delivery, ...]) -> None:
    """Prevents a catalogue that promises more than the data shows."""
    planted = Counter[str]()
    for delivery in full:
        planted.update(delivery.answer.defects)
    assert set(planted) == set(DEFECTS)


def test_small_city_has_the_same_kinds(small: tuple[Delivery, ...]) -> None:
    """Prevents tests at small scale from passing because nothing is there to find."""
    planted = {name for delivery in small for name in delivery.answer.defects}
    assert planted == set(DEFECTS)


@pytest.mark.parametrize("size", ["full", "small"])
def test_answers_add_up(size: str, request: pytest.FixtureRequest) -> None:
    """Prevents a key whose counts and lists contradict each other."""
    for delivery in request.getfixturevalue(size):
        answer: DeliveryAnswer = delivery.answer
        assert answer.extracted == answer.parsed + answer.rejected
        assert answer.parsed == answer.validated + answer.quarantined
        assert answer.rejected == sum(answer.rejects.values()) == len(answer.rejected_records)
        assert answer.quarantined == len(answer.quarantined_rows)
        assert answer.expected_rejects <= answer.rejected
        assert answer.declared in (None, answer.extracted)
        listed = Counter(
            rule for row in (*answer.quarantined_rows, *answer.warned_rows) for rule in row.rules
        )
        whole = {rule for rule in answer.rules if ".matches_" in rule}
        assert {rule: n for rule, n in answer.rules.items() if rule not in whole} == listed
        places = [
            (row.file, row.member, row.row)
            for row in (*answer.quarantined_rows, *answer.warned_rows, *answer.rejected_records)
        ]
        assert len(places) == len(set(places)), "a record has one defect at most"


def test_rules_of_the_key_are_rules_of_the_contracts(
    small: tuple[Delivery, ...], contracts: dict[str, Contract]
) -> None:
    """Prevents an answer key that expects a rule which nobody evaluates."""
    for delivery in small:
        answer = delivery.answer
        severities = {rule.key: rule.severity for rule in contracts[answer.dataset].rules}
        assert set(answer.rules) <= set(severities)
        for row in answer.quarantined_rows:
            assert any(severities[rule] is Severity.BLOCK for rule in row.rules)
        for row in answer.warned_rows:
            assert all(severities[rule] is not Severity.BLOCK for rule in row.rules)


def test_files_lie_where_the_contracts_look(
    small: tuple[Delivery, ...], contracts: dict[str, Contract]
) -> None:
    """Prevents extracts that no connector finds."""
    assert {delivery.answer.dataset for delivery in small} == set(contracts)
    for delivery in small:
        contract = contracts[delivery.answer.dataset]
        start = Partition.parse(delivery.answer.partition).start
        wanted = [
            str(contract.source.options[name])
            .replace("{yyyy}", f"{start:%Y}")
            .replace("{mm}", f"{start:%m}")
            .replace("{dd}", f"{start:%d}")
            for name in ("path", "controlFile", "control_file")
            if name in contract.source.options
        ]
        for path in delivery.files:
            assert any(fnmatch.fnmatch(path, pattern) for pattern in wanted), path


def test_planted_rates_do_not_hold_the_batches(
    small: tuple[Delivery, ...], full: tuple[Delivery, ...], contracts: dict[str, Contract]
) -> None:
    """Prevents a demo that stops and waits for a steward."""
    for delivery in (*small, *full):
        answer = delivery.answer
        contract = contracts[answer.dataset]
        unexpected = answer.rejected - answer.expected_rejects
        assert 100 * answer.quarantined / answer.parsed <= contract.gate.max_quarantined_percent
        assert 100 * unexpected / answer.extracted <= contract.gate.max_rejected_percent
        assert answer.validated >= contract.gate.min_rows
        for rule in contract.rules:
            if rule.threshold and rule.key in answer.rules:
                share = 100 * answer.rules[rule.key] / answer.parsed
                found = share if rule.threshold.unit == "percent" else answer.rules[rule.key]
                assert found <= rule.threshold.maximum, rule.key


def test_area_codes_are_those_of_the_city() -> None:
    """Prevents records of districts that city.yaml does not know."""
    city = yaml.safe_load((CONTRACTS / "city.yaml").read_text(encoding="utf-8"))
    current = {area["code"]: area["name"] for area in city["areas"] if "valid_to" not in area}
    former = {area["code"] for area in city["areas"] if "valid_to" in area}
    assert current == DISTRICTS
    assert former == {FORMER_COUNTY}


def test_gb18030_file_is_neither_utf8_nor_gbk_safe(small: tuple[Delivery, ...]) -> None:
    """Prevents an "GB18030" extract that any decoder reads."""
    data = _file(small, "政务服务办件_20260331.csv")
    header = data.split(b"\r\n", 1)[0]
    assert header.decode("gb18030").startswith("办件编号,事项编码")
    with pytest.raises(UnicodeDecodeError):
        header.decode("utf-8")
    assert b"\0" in data
    assert b"\xff" in data


def test_workbook_has_titles_merged_header_total_and_notes(small: tuple[Delivery, ...]) -> None:
    """Prevents a workbook that is a CSV in disguise."""
    data = _file(small, "12345热线工单日报_2026-03-31.xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(data))["工单明细"]
    answer = _answer(small, "hotline.tickets")
    assert {"A1:N1", "A3:A4", "B3:F3", "I3:M3"} <= {str(area) for area in sheet.merged_cells.ranges}
    assert [sheet.cell(3, 2).value, sheet.cell(4, 2).value] == ["工单信息", "工单编号"]
    total = next(r for r in answer.rejected_records if r.reason == "total_row")
    assert sheet.cell(total.row, 1).value == "合计"
    rows = sheet.iter_rows(min_row=5, max_row=total.row - 1, min_col=13, max_col=13)
    values = [int(str(cell.value)) for (cell,) in rows]
    assert sheet.cell(total.row, 13).value != sum(values), "the planted difference"


def test_xls_is_biff_with_real_dates(small: tuple[Delivery, ...]) -> None:
    """Prevents an .xls that is an .xlsx by another name."""
    data = _file(small, ".xls")
    assert data.startswith(b"\xd0\xcf\x11\xe0")
    sheet = xlrd.open_workbook(file_contents=data).sheet_by_index(0)
    kinds = Counter(sheet.cell_type(row, 6) for row in range(2, sheet.nrows - 1))
    assert kinds[xlrd.XL_CELL_DATE] > kinds[xlrd.XL_CELL_TEXT] > 0


def test_air_quality_is_utf16_with_tabs(small: tuple[Delivery, ...]) -> None:
    """Prevents a UTF-8 file with the wrong label."""
    data = _file(small, "空气质量小时值_202603.txt")
    assert data.startswith(b"\xff\xfe")
    assert data.decode("utf-16").split("\r\n")[0].split("\t")[:2] == ["站点编码", "站点名称"]


def test_register_zip_has_gbk_names_without_the_flag(small: tuple[Delivery, ...]) -> None:
    """Prevents member names that every unzip reads."""
    archive = zipfile.ZipFile(io.BytesIO(_file(small, ".zip")))
    assert archive.testzip() is None
    assert all(not info.flag_bits & 0x800 for info in archive.infolist())
    names = [info.filename.encode("cp437").decode("gbk") for info in archive.infolist()]
    assert names == ["企业登记/1_内资企业.csv", "企业登记/2_个体工商户.csv"]


def test_visits_start_with_a_byte_order_mark(small: tuple[Delivery, ...]) -> None:
    """Prevents losing the case of the header that hides behind a mark."""
    assert _file(small, "门诊就诊_20260331.csv").startswith("\ufeff就诊流水号,".encode())


def test_satisfaction_is_json_lines_with_two_broken(small: tuple[Delivery, ...]) -> None:
    """Prevents broken lines that a JSON reader would accept."""
    lines = _file(small, ".jsonl").decode().splitlines()
    answer = _answer(small, "hotline.satisfaction")
    broken = {entry.row: entry.reason for entry in answer.rejected_records}
    for number, line in enumerate(lines, 1):
        if broken.get(number) == "invalid_json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(line)
        else:
            assert isinstance(json.loads(line), list) is (number in broken)


def test_control_file_states_the_records(small: tuple[Delivery, ...]) -> None:
    """Prevents a declared count that would hold the batch."""
    data = gzip.decompress(_file(small, ".csv.gz"))
    assert int(_file(small, ".ctl")) == data.count(b"\n") - 1
    assert _answer(small, "transport.metro_trips").declared == data.count(b"\n") - 1


def test_gzip_and_zip_carry_no_time(small: tuple[Delivery, ...]) -> None:
    """Prevents archives that differ by the second in which they were made."""
    assert _file(small, ".csv.gz")[3:8] == bytes(5)
    for name in (".zip", "工单日报_2026-03-31.xlsx"):
        with zipfile.ZipFile(io.BytesIO(_file(small, name))) as archive:
            assert {info.date_time for info in archive.infolist()} == {(2026, 4, 1, 0, 0, 0)}


def test_places_point_at_the_planted_rows(small: tuple[Delivery, ...]) -> None:
    """Prevents a key that is right in sum and wrong by a line (a cell with a line break shifts)."""
    answer = _answer(small, "gov_services.service_cases")
    lines = _file(small, "政务服务办件_20260331.csv").split(b"\n")
    for entry in answer.quarantined_rows:
        if entry.defect == "old_area_code":
            assert f",{FORMER_COUNTY},".encode() in lines[entry.row - 1]
    for entry in answer.rejected_records:
        if entry.reason == "nul_byte":
            assert b"\0" in lines[entry.row - 1]
    broken = [c for c in answer.tolerated if c.defect == "line_break_in_cell"]
    assert broken
    assert all("变更".encode("gb18030") in lines[cell.row] for cell in broken)


def test_identifiers_follow_their_standards() -> None:
    """Prevents generated numbers that no correct rule accepts (vectors and a second library)."""
    assert identifiers.citizen_id("110105", "19491231", 2) == "11010519491231002X"
    assert identifiers.old_citizen_id("11010519491231002X") == "110105491231002"
    codes = [identifiers.uscc("91", "110105", serial) for serial in range(10_000_000, 10_000_200)]
    assert all(uscc.is_valid(code) for code in codes)
    assert not any(uscc.is_valid(identifiers.wrong_uscc(code)) for code in codes)
    number = identifiers.registration_number("110105", 1)
    product = 10
    for digit in number[:14]:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    assert (product + int(number[14])) % 10 == 1
