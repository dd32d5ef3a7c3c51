"""From columns and quality entries to rules; from promises to service level, gate and source."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml
from cityledger.contracts.model import ColumnType, Contract, Drift, Scope, Severity, Threshold
from cityledger.contracts.registry import load_contract
from cityledger.contracts.resolve import resolve
from open_data_contract_standard.model import OpenDataContractStandard

from .conftest import CATALOGUE, WriteContract

Data = dict[str, Any]


def _columns(data: Data) -> list[Data]:
    columns: list[Data] = data["schema"][0]["properties"]
    return columns


def _messages(write: WriteContract, data: Data) -> list[str]:
    return [violation.message for violation in resolve(write(data), CATALOGUE).violations]


def _keys(contract: Contract) -> list[str]:
    return [rule.key.removeprefix("transport.metro_trips.") for rule in contract.rules]


def test_columns_imply_rules_in_a_stable_order(good: Data, write: WriteContract) -> None:
    """Rule keys are stored for years: they must not depend on anything but the contract."""
    contract = load_contract(write(good))
    assert _keys(contract) == [
        "trip_id.not_null",
        "trip_id.pattern",
        "trip_id.unique",
        "line_code.not_null",
        "line_code.in_set",
        "entry_at.type",
        "entry_at.not_null",
        "exit_at.type",
        "fare.type",
        "fare.between",
        "_row.not_before",
        "_table.row_count",
    ]
    codes = {rule.key.rpartition(".")[2]: rule.gb_code for rule in contract.rules}
    assert codes == {
        "type": "0302",
        "not_null": "0201",
        "in_set": "0101",
        "pattern": "0302",
        "between": "0302",
        "unique": "0304",
        "not_before": "0503",
        "row_count": "0202",
    }
    assert {rule.severity for rule in contract.rules[:10]} == {Severity.BLOCK}
    unique = contract.rules[2]
    assert (unique.scope, unique.dimension) == (Scope.DATASET, "accuracy")
    assert contract.rules[4].arguments == {"values": ["1", "2"]}
    assert contract.rules[9].arguments == {"minimum": 0, "maximum": 50}


def test_a_custom_rule_brings_threshold_scope_and_code(good: Data, write: WriteContract) -> None:
    """A threshold that gets lost on the way holds no batch."""
    entry = good["schema"][0]["quality"][0]
    entry["implementation"]["gbCode"] = "0501"
    entry["businessImpact"] = "闸机时钟偏差"
    rule = load_contract(write(good)).rules[-2]
    assert rule.columns == ("exit_at", "entry_at")
    assert rule.threshold == Threshold(1.0, "percent", "闸机时钟偏差")
    assert (rule.severity, rule.gb_code, rule.dimension) == (Severity.WARN, "0501", "timeliness")
    assert rule.description == "出站时间不早于进站时间"


def test_a_composite_key_is_one_rule(good: Data, write: WriteContract) -> None:
    """Each part of a composite key repeats; only the whole is unique."""
    _columns(good)[1]["primaryKey"] = True
    contract = load_contract(write(good))
    assert contract.primary_key == ("trip_id", "line_code")
    keys = [rule for rule in contract.rules if rule.rule == "unique"]
    assert [(rule.key.rpartition("trips.")[2], rule.columns) for rule in keys] == [
        ("_key.unique", ("trip_id", "line_code"))
    ]


def test_an_entry_for_an_implied_rule_replaces_it(good: Data, write: WriteContract) -> None:
    """Otherwise the batch would be blocked by the rule that the author softened."""
    _columns(good)[1]["quality"] = [
        {
            "type": "library",
            "metric": "nullValues",
            "severity": "warn",
            "mustBeLessThan": 10,
            "unit": "rows",
        },
        {"type": "library", "metric": "duplicateValues", "severity": "info"},
    ]
    contract = load_contract(write(good))
    found = {rule.key: rule for rule in contract.rules if rule.columns == ("line_code",)}
    null = found["transport.metro_trips.line_code.not_null"]
    assert (null.severity, null.threshold) == (Severity.WARN, Threshold(9.0))
    assert _keys(contract).index("line_code.not_null") == 3
    assert found["transport.metro_trips.line_code.unique"].severity is Severity.INFO
    assert found["transport.metro_trips.line_code.in_set"].severity is Severity.BLOCK


def test_repeated_rules_get_numbers(good: Data, write: WriteContract) -> None:
    """Two rules under one key would overwrite each other's results."""
    table = good["schema"][0]
    table["quality"].append(dict(table["quality"][0], name="again"))
    assert _keys(load_contract(write(good)))[-3:] == [
        "_row.not_before",
        "_table.row_count",
        "_row.not_before.2",
    ]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"mustBe": 5}, {"minimum": 5, "maximum": 5}),
        ({"mustBeGreaterThan": 0}, {"minimum": 1}),
        ({"mustBeGreaterOrEqualTo": 3, "mustBeLessThan": 9}, {"minimum": 3, "maximum": 8}),
        ({"mustBeBetween": [2, 7]}, {"minimum": 2, "maximum": 7}),
    ],
)
def test_row_count_bounds(
    good: Data, write: WriteContract, bounds: Data, expected: dict[str, int]
) -> None:
    """Off by one here accepts an empty delivery."""
    good["schema"][0]["quality"][1] = {"type": "library", "metric": "rowCount", **bounds}
    rule = load_contract(write(good)).rules[-1]
    assert (rule.arguments, rule.threshold) == (expected, Threshold(0.0))


def test_promises_are_resolved(good: Data, write: WriteContract) -> None:
    """Deadline, retention, gate and source drive stages that never see the file."""
    good["customProperties"][1]["value"] = "evolve"
    contract = load_contract(write(good))
    level = contract.service_level
    assert (level.grain, level.schedule) == ("day", "0 6 * * *")
    assert (level.latency, level.retention) == (timedelta(hours=6), timedelta(days=3 * 366))
    assert contract.drift is Drift.EVOLVE
    assert contract.null_tokens == ("", "-", "无")
    assert contract.source.connector == "drop_folder"
    assert contract.source.options == {
        "path": "transport/metro_trips_{yyyy}{mm}{dd}*.csv.gz",
        "controlFile": "transport/metro_trips_{yyyy}{mm}{dd}.ctl",
    }
    assert (contract.owner, contract.steward) == ("owner.transport", "steward.transport")
    assert contract.sharing == {"type": 2, "condition": "仅限公共交通规划使用"}


def test_layout_and_columns_are_resolved(good: Data, write: WriteContract) -> None:
    """The header recipe reaches the parser under the names that it knows."""
    good["servers"][0]["format"] = "excel"
    good["servers"][0]["customProperties"] += [
        {"property": "headerRows", "value": 2},
        {"property": "totalMarkers", "value": ["合 计"]},
        {"property": "groupColumn", "value": "line_code"},
    ]
    contract = load_contract(write(good))
    layout = contract.layout
    assert (layout.format, layout.header_rows, layout.group_column) == ("excel", 2, "line_code")
    assert layout.total_markers == ("合 计",)
    fare = contract.column("fare")
    assert (fare.type, fare.precision, fare.semantic_type, fare.unit) == (
        ColumnType.NUMBER,
        (6, 2),
        "money",
        "元",
    )
    assert contract.column("trip_id").headers == ("交易流水号", "trip_id", "流水号", "TRADE_NO")


def test_round_trip_through_the_official_model(good: Data, write: WriteContract) -> None:
    """Another ODCS tool may rewrite the file; the contract must mean the same."""
    before = load_contract(write(good))
    text = OpenDataContractStandard.model_validate(good).to_yaml()
    after = load_contract(write(text))
    assert after.columns == before.columns
    assert after.rules == before.rules
    assert (after.source, after.layout, after.gate) == (before.source, before.layout, before.gate)


# --- one spoiled place, one message --------------------------------------------------------------


def _spoil(data: Data, place: str, value: Any) -> None:
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    target: Any = data
    for step in steps:
        target = target[step]
    if value is None:
        del target[last]
    else:
        target[last] = value


_QUALITY = "schema.0.quality.0.implementation"


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("id", "transport.trips", "does not agree with the file's path"),
        ("domain", "traffic", "does not agree with the file's path"),
        ("schema.0.name", "trips", "does not agree with the file's path"),
        ("version", "1.0", "no semantic version"),
        ("version", 1.0, "must be text"),
        ("apiVersion", "v3.0.2", "no known apiVersion"),
        ("schema", [], "0 schema objects"),
        ("schema.0.properties", [], "the schema has no columns"),
        ("schema.0.properties.0.primaryKey", False, "no column is a primaryKey"),
        ("schema.0.properties.0.primaryKey", "yes", "must be true or false"),
        ("schema.0.properties.0.logicalTypeOptions.pattern", "[", "no valid regular expression"),
        ("schema.0.properties.0.logicalTypeOptions", {"minimum": 1}, "unknown key 'minimum'"),
        ("schema.0.properties.1.name", "trip_id", "column 'trip_id' is given twice"),
        ("schema.0.properties.1.businessName", "流水号", "could mean 'trip_id' or 'line_code'"),
        ("schema.0.properties.1.businessName", "ｔｒａｄｅ＿ｎｏ", "could mean"),
        ("schema.0.properties.1.classification", None, "'classification' is missing"),
        ("schema.0.properties.1.enum.0.value", True, "'value' must be text"),
        ("schema.0.properties.1.items", {"name": "x"}, "a column inside a column"),
        ("schema.0.properties.2.logicalTypeOptions.format", "%Y-%m", "no date format"),
        ("schema.0.properties.2.logicalTypeOptions.minimum", "31.12.2025", "not an ISO timestamp"),
        ("schema.0.properties.4.physicalType", "decimal(6)", "no decimal type"),
        ("schema.0.properties.4.physicalType", "decimal(40,2)", "can't exist"),
        ("schema.0.properties.4.logicalType", "integer", "a money is no integer"),
        ("schema.0.properties.3.name", "fare_currency", "adds a column 'fare_currency'"),
        ("schema.0.properties.4.logicalTypeOptions.maximum", float("nan"), "finite number"),
        ("schema.0.quality.0.severity", None, "'severity' is missing"),
        ("schema.0.quality.0.dimension", None, "'dimension' is missing"),
        (f"{_QUALITY}.columns", ["exit_at"], "needs 2 columns, 1 given"),
        (f"{_QUALITY}.columns", ["exit_at", "x"], "no column 'x'"),
        (f"{_QUALITY}.scope", "dataset", "can't judge scope 'dataset'"),
        (f"{_QUALITY}.rule", "sum_of", "needs argument 'tolerance'"),
        (f"{_QUALITY}.rule", "Sum", "not the name of a rule"),
        (f"{_QUALITY}.gbCode", "0999", "no GB/T 36344 indicator"),
        (f"{_QUALITY}.gbCode", "0302", "belongs to accuracy, not to timeliness"),
        (f"{_QUALITY}.unit", "share", "no known unit"),
        (f"{_QUALITY}.mustBeLessOrEqualTo", 100.5, "no percentage"),
        (f"{_QUALITY}.mustBeLessOrEqualTo", None, "a unit without a threshold"),
        (f"{_QUALITY}.mustBe", 0, "together"),
        (f"{_QUALITY}.columns.0", 5, "a text is expected here"),
        ("schema.0.quality.0.mustBe", 0, "does nothing at this place"),
        ("schema.0.quality.1.mustBeGreaterThan", None, "rowCount without a bound"),
        ("schema.0.quality.1.metric", "nullValues", "of which column?"),
        ("schema.0.properties.1.quality", [{"type": "soda"}], "no known type"),
        ("servers", [], "0 servers"),
        ("servers.0.path", "/etc/passwd", "must stay below the drop folder"),
        ("servers.0.path", "a/../../b", "must stay below the drop folder"),
        ("servers.0.path", "C:\\data\\x.csv", "must stay below the drop folder"),
        ("servers.0.path", "a_{date}.csv", "unknown placeholder {date}"),
        ("servers.0.path", "a_{yyyy.csv", "a brace without its partner"),
        ("servers.0.encoding", "gb-18030-x", "unknown encoding"),
        ("servers.0.delimiter", ";", "unknown key 'delimiter'"),
        ("servers.0.customProperties.0.property", "delimiter", "a delimiter is one character"),
        ("servers.0.customProperties.0.value", None, "has no value"),
        ("servers.0.type", "custom", "no connector is named"),
        ("slaProperties.0.unit", "w", "no known unit"),
        ("slaProperties.1.value", -1, "out of bounds"),
        ("slaProperties.2.value", 1000, "out of bounds"),
        ("slaProperties.2", {"property": "latency", "value": 1, "unit": "d"}, "no retention"),
        ("team.members.1.role", "owner", "a second owner"),
        ("team", None, "no steward is named"),
        ("support", None, "no support contact"),
        ("customProperties.0.value.type", 4, "not 1, 2 or 3"),
        ("customProperties.0.value.type", 3, "'basis' is missing"),
        ("customProperties.0.value.condition", None, "'condition' is missing"),
        (
            "customProperties.0",
            {"property": "noKeyReason", "value": "x"},
            "although there is a key",
        ),
        ("customProperties.2.value", "NA", "a list is expected"),
        ("customProperties.3.value.minRows", -1, "'minRows' must be a whole number"),
        ("customProperties.3.value.maxRejectedPercent", 101, "no percentage"),
        ("description", "text", "not valid ODCS"),
    ],
)
def test_each_mistake_has_its_message(
    good: Data, write: WriteContract, place: str, value: Any, expected: str
) -> None:
    """What the lint lets through fails at three in the morning."""
    _spoil(good, place, value)
    messages = _messages(write, good)
    assert [message for message in messages if expected in message], messages


def test_a_missing_sharing_class_is_reported(good: Data, write: WriteContract) -> None:
    """Without a class nobody knows whether the data may be shared."""
    del good["customProperties"][0]
    assert _messages(write, good) == ["the sharing class is missing"]


def test_a_dataset_without_key_needs_a_reason(good: Data, write: WriteContract) -> None:
    """Having no key is a decision, not an omission."""
    del _columns(good)[0]["primaryKey"]
    good["customProperties"].append({"property": "noKeyReason", "value": "闸机不报流水号"})
    assert _messages(write, good) == []


def test_another_connector_takes_its_own_options(good: Data, write: WriteContract) -> None:
    """Connectors come as packages: the contract must not need a change here."""
    good["servers"][0] |= {
        "type": "custom",
        "customProperties": [
            {"property": "connector", "value": "sftp"},
            {"property": "connectionId", "value": "transport_sftp"},
        ],
    }
    contract = load_contract(write(good))
    assert contract.source.connector == "sftp"
    assert contract.source.options["connectionId"] == "transport_sftp"
    assert _messages(write, good) == ["unknown connector 'sftp'"]


@pytest.mark.parametrize(
    "expression", ["0 6 * * *", "*/15 0-5,22 1 1,7 0-7", "59 23 31 12 7", "0 6 5 */3 *"]
)
def test_cron_expressions(good: Data, write: WriteContract, expression: str) -> None:
    """A schedule that Airflow understands must pass."""
    good["slaProperties"][3]["value"] = expression
    assert load_contract(write(good)).service_level.schedule == expression


@pytest.mark.parametrize(
    "expression",
    [
        "60 6 * * *",
        "0 24 * * *",
        "0 6 0 * *",
        "0 6 * 13 *",
        "0 6 * *",
        "a b c d e",
        "5-1 * * * *",
        "*/0 * * * *",
    ],
)
def test_bad_cron_expressions(good: Data, write: WriteContract, expression: str) -> None:
    """A schedule that Airflow refuses would take the DAG away in silence."""
    good["slaProperties"][3]["value"] = expression
    assert len(_messages(write, good)) >= 1


def test_credentials_are_refused_by_name_and_by_url(good: Data, write: WriteContract) -> None:
    """Contracts are read by everybody and kept for ever."""
    good["servers"][0]["customProperties"].append({"property": "apiKey", "value": "abc"})
    good["support"][0]["url"] = "https://bot:abc@tickets.example"
    violations = resolve(write(good)).violations
    assert sorted(v.message for v in violations if "Airflow connection" in v.fix) == [
        "a URL with a password",
        "a credential has no place in a contract",
    ]
    assert not [v for v in violations if "abc" in str(v)]


def test_yaml_that_the_standard_library_wrote_is_equal(good: Data, write: WriteContract) -> None:
    """Block or flow style is taste."""
    flow = write(yaml.safe_dump(good, allow_unicode=True, default_flow_style=True))
    first = load_contract(flow)
    second = load_contract(write(good))
    assert (first.columns, first.rules) == (second.columns, second.rules)
    assert first.sha256 != second.sha256
