"""Masking: what stays visible, and that nothing else does. All numbers and names are made up."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from cityledger.contracts.model import Column, ColumnType
from cityledger.contracts.registry import load_contract
from cityledger.masking import HIDDEN, kind_of, mask, mask_frame, scrub
from cityledger.settings import PROJECT_DIR
from hypothesis import given
from hypothesis import strategies as st

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def column(name: str, business_name: str = "", **fields: Any) -> Column:
    business_name = business_name or name
    settings: dict[str, Any] = {"type": ColumnType.STRING, "classification": "personal"}
    return Column(
        name=name, business_name=business_name, headers=(business_name,), **(settings | fields)
    )


CITIZEN_ID = column("id", "公民身份号码", semantic_type="citizen_id", classification="sensitive")
PHONE = column("phone", "联系电话", semantic_type="phone")
NAME = column("patient_name", "患者姓名")
ADDRESS = column("home", "家庭住址")
CARD = column("account", "银行卡号", classification="sensitive")
MAIL = column("mail", "电子邮箱")
PLATE = column("plate_no", "号牌号码")
PASSPORT = column("document", "护照号")
BIRTH = column("birth_date", "出生日期", type=ColumnType.DATE, semantic_type="chinese_date")


@st.composite
def citizen_ids(draw: st.DrawFn) -> str:
    """Numbers of 18 characters with a fitting check character."""
    area, day = draw(st.integers(110101, 659001)), draw(st.dates()).replace(year=1980)
    body = f"{area}{draw(st.integers(1930, 2020))}{day:%m%d}{draw(st.integers(0, 999)):03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


@st.composite
def bank_cards(draw: st.DrawFn) -> str:
    """Numbers of 16 to 19 digits with a fitting check digit."""
    body = "62" + draw(st.text("0123456789", min_size=13, max_size=16))
    values = [int(digit) for digit in reversed(body)]
    total = sum(sum(divmod(2 * v, 10)) if at % 2 == 0 else v for at, v in enumerate(values))
    return body + str(-total % 10)


mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
numbers = st.one_of(citizen_ids(), mobiles, bank_cards())


def _runs(text: str, length: int = 4) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


@pytest.mark.parametrize(
    ("of", "value", "shown"),
    [
        (NAME, "张三", "张*"),
        (NAME, "张 三", "张*"),
        (NAME, "欧阳锋锋", "欧阳**"),
        (NAME, "司马光", "司马*"),
        (NAME, "古丽·艾尼", "古**"),
        (NAME, "某某市第一人民医院", HIDDEN),
        (NAME, "Zhang San", HIDDEN),
        (NAME, "张", HIDDEN),
        (NAME, "张3", HIDDEN),
        (CITIZEN_ID, "11010519491231002X", "1****************X"),
        (CITIZEN_ID, "11010519491231002x", "1****************X"),
        (CITIZEN_ID, "110105491231002", "1*************2"),
        (CITIZEN_ID, "1.10105E+17", HIDDEN),
        (CITIZEN_ID, "1101051949123100", HIDDEN),
        (CITIZEN_ID, "张三", HIDDEN),
        (PHONE, "138 0013 8000", "138****8000"),
        (PHONE, "+86-13800138000", "138****8000"),
        (PHONE, "(0571)88888888", "0571-******88"),
        (PHONE, "88888888", HIDDEN),
        (PHONE, "13800138000.0", HIDDEN),
        (CARD, "6222 0212 3456 7890 129", HIDDEN),
        (CARD, "4111111111111111", "411111******1111"),
        (ADDRESS, "浙江省杭州市西湖区文三路138号", "浙江省杭州市西湖区****"),
        (ADDRESS, "杭州市西湖区北山街道1号", "杭州市西湖区北山街道****"),
        (ADDRESS, "杭州市阳光小区3号楼", HIDDEN),
        (ADDRESS, "西湖区文三路138号", HIDDEN),
        (MAIL, "somebody@example.org", "s***@example.org"),
        (MAIL, "somebody(at)example.org", HIDDEN),
        (PLATE, "粤B12312", "粤B·***12"),
        (PLATE, "B12312", HIDDEN),
        (PASSPORT, "E12345678", "E****"),
        (BIRTH, "1990-03-07", "1990-**-**"),
        (BIRTH, "1990年3月7日", "1990-**-**"),
        (BIRTH, "19900307", "1990-**-**"),
        (BIRTH, "32939", HIDDEN),
        (column("remark", "备注"), "张三投诉", HIDDEN),
        (column("sex", "性别", semantic_type="sex"), "男", HIDDEN),
        (column("x", "x", semantic_type="uscc"), "91330100712345678X", HIDDEN),
    ],
)
def test_what_stays_visible(of: Column, value: str, shown: str) -> None:
    """A mask that shows too much gives people away; one that hides all helps nobody."""
    assert mask(value, of) == shown


@pytest.mark.parametrize(
    ("of", "value", "shown"),
    [
        (column("n", "企业名称", classification="public"), "某某有限公司", "某某有限公司"),
        (column("n", "备注", classification="public"), "请致电13800138000", "请致电****"),
        (
            column("c", "代码", classification="public", semantic_type="uscc"),
            "91350100M000100Y43",
            "91350100M000100Y43",
        ),
        (
            column("c", "代码", classification="public", semantic_type="uscc"),
            "11010519491231002X",
            HIDDEN,
        ),
        (
            column("t", "流水号", classification="internal", options={"pattern": r"^T\d{16}$"}),
            "T2026033100000017",
            "T2026033100000017",
        ),
        (
            column("t", "流水号", classification="internal", options={"pattern": r"^T\d{16}$"}),
            "11010519491231002X",
            HIDDEN,
        ),
        (
            column("t", "事由", classification="internal", options={"pattern": r"^.{1,200}$"}),
            "找13800138000",
            "找****",
        ),
        (
            column("f", "费用", classification="public", type=ColumnType.NUMBER),
            "12.123456789012345",
            "12.123456789012345",
        ),
        (
            column("t", "时间", classification="public", type=ColumnType.TIMESTAMP),
            "20260331123456",
            "20260331123456",
        ),
    ],
)
def test_open_columns_show_their_own_values_and_nobodys_number(
    of: Column, value: str, shown: str
) -> None:
    """A shifted row puts an id number under a public header."""
    assert mask(value, of) == shown


@pytest.mark.parametrize("classification", ["", "secret", "Personal", "核心"])
def test_an_unknown_classification_hides_all(classification: str) -> None:
    """A typing error in a contract must not publish a column."""
    assert mask("张三", replace(NAME, classification=classification)) == HIDDEN


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["personal", "sensitive"]))
def test_a_column_of_no_known_kind_shows_nothing(value: str, classification: str) -> None:
    """Free text about people can't be masked in part."""
    assert mask(value, column("remark", "备注", classification=classification)) == HIDDEN


@given(st.one_of(citizen_ids(), st.text(min_size=4).filter(str.strip)))
def test_sensitive_values_never_show_four_characters_in_a_row(value: str) -> None:
    """Four digits in a row are a birth year."""
    for of in (CITIZEN_ID, replace(NAME, classification="sensitive")):
        assert not _runs(mask(value, of).replace(HIDDEN, "")) & _runs(value) - {"****"}


@given(bank_cards())
def test_bank_cards_keep_their_middle(value: str) -> None:
    """What the table allows is six and four, not one more."""
    assert mask(value, CARD) == value[:6] + "*" * (len(value) - 10) + value[-4:]


@given(st.text(min_size=1), st.sampled_from([NAME, PHONE, ADDRESS, MAIL, PLATE, PASSPORT, BIRTH]))
def test_any_text_is_masked_without_an_error(value: str, of: Column) -> None:
    """A mask that raises on odd text puts the text into a traceback."""
    shown = mask(value, of)
    assert shown == "" or "*" in shown or not value.strip()


def test_blank_and_null_tokens_stay() -> None:
    """A steward has to see that a value is missing."""
    assert mask(None, NAME) == mask(" ", NAME) == ""
    assert mask("无", replace(NAME, null_tokens=("无",))) == "无"


@given(
    numbers,
    st.sampled_from(["", "错误的值：", "id=", "value is '", "第3行 ", "ID"]),
    st.sampled_from(["", "。", "' not valid", " 2026-03-31", "号"]),
)
def test_a_number_in_a_message_is_gone(number: str, before: str, after: str) -> None:
    """An error text with an id number ends in a log that everybody may read."""
    clean = scrub(before + number + after)
    assert not _runs(number, 6) & _runs(clean, 6)
    assert clean.startswith(before)


@given(numbers, st.sampled_from([" ", "-", "\u3000", "\u200b", "'"]), st.integers(3, 6))
def test_a_number_in_groups_is_gone(number: str, sign: str, size: int) -> None:
    """People write card numbers in fours."""
    groups = sign.join(number[at : at + size] for at in range(0, len(number), size))
    assert scrub(f"电话 {groups}，谢谢") == f"电话 {HIDDEN}，谢谢"


@given(numbers)
def test_a_number_in_full_width_is_gone(number: str) -> None:
    """Input methods write full-width digits."""
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in number)
    assert not re.search(r"\d{4}", unicodedata.normalize("NFKC", scrub(f"号码{wide}有误")))


@given(st.text(st.characters(exclude_categories=["Nd", "Cs"], exclude_characters="@·")))
def test_text_without_numbers_is_left_alone(text: str) -> None:
    """A scrubber that eats words makes messages useless."""
    assert scrub(text) == text or re.search(r"[A-HJ-NP-Z]{4}", unicodedata.normalize("NFKC", text))


@given(st.text())
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    """A message passes several layers, each of which may scrub."""
    once = scrub(text)
    assert scrub(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "health.outpatient_visits/2026-03-31, delivery 3f5a0c9d1b2e4f60",
        "12 of 3,456 rows failed at 2026-04-01 12:34:56",
        "line 1048576, column 17",
        "port 5432 on 127.0.0.1",
    ],
)
def test_places_and_counts_in_messages_stay(text: str) -> None:
    """Without place and count a message helps nobody."""
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("call 0571-88888888 now", "call **** now"),
        ("粤B12312 mail somebody@example.org", "**** mail ****"),
        ("lost: 1.10105194912310E+17", "lost: ****"),
        ("3 13800138000 7", "3 **** 7"),
        ("110105 19491231 002X, 张三", "****, 张三"),
    ],
)
def test_examples_of_scrubbing(text: str, clean: str) -> None:
    """The spellings of the wild."""
    assert scrub(text) == clean


def test_a_frame_is_masked_by_its_contract() -> None:
    """The pages and downloads mask frames; a column that nobody classified must not pass."""
    contract = load_contract(PROJECT_DIR / "contracts/health/outpatient_visits.odcs.yaml")
    frame = pl.DataFrame(
        {
            "citizen_id": ["11010519491231002X", None],
            "patient_name": ["欧阳锋锋", ""],
            "visit_department": ["内科", "13800138000"],
            "citizen_id_birth_date": ["1949-12-31", "1949-12-31"],
            "total_fee": [12.5, None],
            "_birth_date": ["1949-12-31", None],
            "_row_id": ["d-1-2", "d-1-3"],
        }
    )
    masked = mask_frame(frame.drop("visit_department"), contract)
    assert masked.to_dict(as_series=False) == {
        "citizen_id": ["1****************X", None],
        "patient_name": ["欧阳**", ""],
        "citizen_id_birth_date": [HIDDEN, HIDDEN],
        "total_fee": [HIDDEN, None],
        "_birth_date": [HIDDEN, None],
        "_row_id": ["d-1-2", "d-1-3"],
    }


def test_every_personal_column_of_the_house_is_masked() -> None:
    """A contract that is added later is covered, too."""
    for path in sorted((PROJECT_DIR / "contracts").glob("*/*.odcs.yaml")):
        for one in load_contract(path).columns:
            if one.classification in {"personal", "sensitive"}:
                shown = mask("某人11010519491231002X", one)
                assert shown == HIDDEN, (path.name, one.name, kind_of(one))
