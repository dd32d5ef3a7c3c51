"""Why a row is in quarantine, in a sentence that a clerk understands: Chinese and English.

Sentences name columns by their business names and give the rule's own arguments. They never hold a
value of the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from cityledger.contracts.model import Column, Contract, RuleSpec
from cityledger.records import Record


class Reason(Record):
    """One broken rule of one row.

    Attributes:
        key: The rule's stable key.
        columns: Names of the columns that it judges.
        zh, en: What is wrong.
    """

    key: str
    columns: tuple[str, ...]
    zh: str
    en: str


# {c} the judged column, {o} the other columns of the rule, the rest are the rule's arguments.
_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "not_null": ("{c}不能为空", "{c} must not be empty"),
    "required_if": (
        "{o}{condition}时，{c}不能为空",
        "{c} must not be empty where {o}{condition_en}",
    ),
    "not_missing": ("{c}不能填写表示“缺失”的代码", "{c} must not be a code for a missing value"),
    "unique": ("{all}重复：同一批次中已有相同的值", "{all} repeats the value of an earlier row"),
    "in_set": ("{c}不在允许的取值范围内{values}", "{c} is none of the allowed values{values_en}"),
    "pattern": ("{c}的格式不符合要求（{pattern}）", "{c} does not have the form {pattern}"),
    "between": (
        "{c}应在 {minimum} 至 {maximum} 之间",
        "{c} must lie between {minimum} and {maximum}",
    ),
    "length": (
        "{c}的长度应为 {minimum} 至 {maximum} 个字符",
        "{c} must have {minimum} to {maximum} characters",
    ),
    "decimal_places": ("{c}最多保留 {maximum} 位小数", "{c} has more than {maximum} decimals"),
    "precise_to": ("{c}应精确到{precision}", "{c} must be precise to the {precision}"),
    "in_period": ("{c}不在本期数据的时间范围内", "{c} lies outside the period of the delivery"),
    "not_in_future": ("{c}晚于数据日期", "{c} lies in the future"),
    "not_before": ("{c}早于{o}", "{c} lies before {o}"),
    "no_default_day": ("{c}疑似系统默认日期，不是真实日期", "{c} is a system's default day"),
    "sum_of": ("{c}不等于{o}之和", "{c} is not the sum of {o}"),
    "at_least_sum": ("{c}小于{o}之和", "{c} is less than the sum of {o}"),
    "at_least_column": ("{c}小于{o}", "{c} is less than {o}"),
    "at_most_column": ("{c}大于{o}", "{c} is more than {o}"),
    "equal_columns": ("{c}与{o}不一致", "{c} differs from {o}"),
    "compare": (
        "{c}与{other}的大小关系不成立（应为 {operator}）",
        "{c} {operator} {other} does not hold",
    ),
    "ratio_of": ("{c}与{o}的比例不符", "{c} is not the agreed share of {o}"),
    "same_prefix": (
        "{c}与{o}的前 {length} 位不一致",
        "{c} and {o} differ in their first {length} characters",
    ),
    "references": ("{c}在关联数据集 {dataset} 中不存在", "{c} is unknown in {dataset}"),
    "agrees_with": ("{c}与关联数据集 {dataset} 中的记录不一致", "{c} differs from {dataset}"),
    "no_mojibake": ("{c}含有乱码", "{c} is mojibake"),
    "no_placeholder": ("{c}填写的是占位内容，不是真实值", "{c} is a stand-in for a missing value"),
    "no_sentinel": ("{c}填写的是表示“未知”的数字", "{c} is a number that stands for unknown"),
    "no_personal_numbers": ("{c}含有不应出现的个人号码", "{c} holds somebody's number"),
    "not_shifted": (
        "该行各列错位：{all}与列名不符",
        "the row is shifted: {all} do not fit their headers",
    ),
    "citizen_id_fits": ("{c}不是有效的公民身份号码", "{c} is no valid citizen id"),
    "birth_matches_id": ("{c}与{o}中的出生日期不一致", "{c} differs from the date of birth in {o}"),
    "sex_matches_id": ("{c}与{o}中的性别不一致", "{c} differs from the sex in {o}"),
    "known_region": ("{c}中的行政区划代码未知", "the area code in {c} is unknown"),
    "known_industry": ("{c}不在国民经济行业分类中", "{c} is no code of GB/T 4754"),
    "known_uscc_kind": ("{c}的登记管理部门或机构类别代码未知", "the registry in {c} is unknown"),
    "uscc_fits": ("{c}不是有效的统一社会信用代码", "{c} is no valid social credit code"),
    "org_code_fits": (
        "{c}中的组织机构代码校验不通过",
        "the organisation code in {c} fails its check",
    ),
    "regno_fits": ("{c}不是有效的工商注册号", "{c} is no valid registration number"),
    "same_magnitude": (
        "{c}与上期相比数量级异常，请核对单位",
        "{c} is of another magnitude: check its unit",
    ),
    "non_decreasing": ("{c}为累计值，不应小于上期", "{c} is cumulative and must not fall"),
    "not_overlapping": ("{all}的时间段与其他记录重叠", "the spans {all} overlap another row's"),
}

_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "citizen_id": (
        "{c}不是有效的公民身份号码（18 位，请核对位数、出生日期和校验码）",
        "{c} is no valid citizen id (18 characters: check length, date of birth, check character)",
    ),
    "uscc": (
        "{c}不是有效的统一社会信用代码（18 位，请核对校验码）",
        "{c} is no valid social credit code (18 characters, check character)",
    ),
    "phone": ("{c}不是有效的电话号码", "{c} is no valid telephone number"),
    "area_code": ("{c}不是有效的行政区划代码", "{c} is no valid area code"),
    "sex": ("{c}不是有效的性别代码（1 男，2 女）", "{c} is no code of sex (1 male, 2 female)"),
    "money": ("{c}不是有效的金额", "{c} is no amount of money"),
    "duration": ("{c}不是有效的时长", "{c} is no duration"),
    "boolean": ("{c}应填写“是”或“否”", "{c} must be yes or no"),
    "date": ("{c}不是有效的日期（如 2026-03-31）", "{c} is no date (like 2026-03-31)"),
    "timestamp": (
        "{c}不是有效的日期时间（如 2026-03-31 08:30:00）",
        "{c} is no date and time (like 2026-03-31 08:30:00)",
    ),
    "time": ("{c}不是有效的时间（如 08:30:00）", "{c} is no time (like 08:30:00)"),
    "integer": ("{c}应为整数", "{c} must be a whole number"),
    "number": ("{c}应为数字", "{c} must be a number"),
    "string": ("{c}的内容无法识别", "{c} cannot be read"),
}

_OTHER: Final = ("{all}不符合规则“{description}”", "{all} break the rule: {description}")

REJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "too_few_fields": ("列数少于表头", "fewer fields than the header"),
    "too_many_fields": ("列数多于表头，可能有未加引号的逗号", "more fields than the header"),
    "nul_byte": ("含有空字节", "holds a NUL byte"),
    "undecodable": ("文字编码错误，无法识别", "cannot be decoded"),
    "bad_quotes": ("引号不配对", "quotes do not match"),
    "record_too_long": ("记录过长", "the record is too long"),
    "not_an_object": ("不是 JSON 对象", "no JSON object"),
    "invalid_json": ("不是有效的 JSON", "invalid JSON"),
    "total_row": ("合计行，已作为核对数据", "a total, kept to check the sums"),
    "note": ("表格说明", "a note"),
    "group_heading": ("分组标题", "a group heading"),
    "blank_record": ("空行", "a blank record"),
}


def explain(keys: Iterable[str], contract: Contract) -> tuple[Reason, ...]:
    """A reason for each broken rule of a row, in the order of the keys.

    A required text that can't be read breaks ``type`` and ``not_null``; only the former is told,
    since the cell is not empty. A rule that the contract no longer has is named by its key.
    """
    specs = {spec.key: spec for spec in contract.rules}
    broken = list(keys)
    unreadable = {
        specs[key].columns for key in broken if key in specs and specs[key].rule == "type"
    }
    return tuple(_reasons(broken, specs, unreadable, contract))


def _reasons(
    keys: Iterable[str],
    specs: Mapping[str, RuleSpec],
    unreadable: set[tuple[str, ...]],
    contract: Contract,
) -> Iterator[Reason]:
    for key in keys:
        spec = specs.get(key)
        if spec is None:
            yield Reason(key=key, columns=(), zh=f"不符合规则 {key}", en=f"breaks rule {key}")
        elif spec.rule != "not_null" or spec.columns not in unreadable:
            yield sentence(spec, contract)


def sentence(spec: RuleSpec, contract: Contract) -> Reason:
    """What a rule that failed says about a row."""
    columns = {column.name: column for column in contract.columns}
    zh, en = _templates(spec, columns)
    return Reason(
        key=spec.key,
        columns=spec.columns,
        zh=_fill(zh, spec, columns),
        en=_fill(en, spec, columns),
    )


def _templates(spec: RuleSpec, columns: Mapping[str, Column]) -> tuple[str, str]:
    if spec.rule != "type":
        return _TEXTS.get(spec.rule, _OTHER)
    column = columns.get(spec.columns[0])
    if column is None:
        return _TYPES["string"]
    by_kind = _TYPES.get(column.semantic_type or "")
    return by_kind or _TYPES[str(column.type)]


def _fill(template: str, spec: RuleSpec, columns: Mapping[str, Column]) -> str:
    named = [_named(name, columns) for name in spec.columns]
    arguments = spec.arguments
    words = {
        "c": named[0] if named else "",
        "o": "、".join(named[1:]),
        "all": "、".join(named),
        "other": "、".join(named[1:]) or str(arguments.get("value", "")),
        "description": spec.description or spec.rule,
        "minimum": _argument(spec, "minimum", "0"),
        "maximum": _argument(spec, "maximum", "∞"),
        "values": _listed(arguments.get("values"), "（{}）"),
        "values_en": _listed(arguments.get("values"), " ({})"),
        "condition": _condition(spec, "为"),
        "condition_en": _condition(spec, " is "),
    }
    for name in ("pattern", "operator", "precision", "length", "dataset"):
        words[name] = _argument(spec, name, "")
    return template.format_map(words)


def _named(name: str, columns: Mapping[str, Column]) -> str:
    column = columns.get(name)
    return f"“{column.business_name}”" if column else name


def _argument(spec: RuleSpec, name: str, missing: str) -> str:
    value = spec.arguments.get(name)
    if value is None:
        return missing
    return f"{value:g}" if isinstance(value, float) else str(value)


#: Longer lists of values are in the contract; a cell of a worksheet is no place for them.
_MOST_VALUES: Final = 12


def _listed(values: object, frame: str) -> str:
    if not isinstance(values, list | tuple) or not 0 < len(values) <= _MOST_VALUES:
        return ""
    return frame.format("、".join(str(value) for value in values))


_TRUTH: Final = {True: "是", False: "否"}


def _condition(spec: RuleSpec, verb: str) -> str:
    wanted = spec.arguments.get("equals", spec.arguments.get("in"))
    if wanted is None:
        return "有值" if verb == "为" else " has a value"
    several = wanted if isinstance(wanted, list | tuple) else (wanted,)
    return verb + "、".join(_TRUTH[v] if isinstance(v, bool) else str(v) for v in several)
