"""What a contract promises besides its columns: source, layout, service level, gate, sharing."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cityledger.contracts.catalogue import RuleCatalogue
from cityledger.contracts.custom import custom_properties
from cityledger.contracts.model import Drift, Gate, Layout, ServiceLevel, SourceSpec
from cityledger.contracts.node import Node, nearest

FORMATS = ("csv", "excel", "jsonl", "json")
_LAYOUT_PROPERTIES = (
    "delimiter",
    "sheet",
    "headerRows",
    "skipRows",
    "totalMarkers",
    "noteMarkers",
    "groupColumn",
    "maxBytes",
    "partBytes",
)
_SERVER_KEYS = (
    "id",
    "server",
    "type",
    "description",
    "environment",
    "path",
    "format",
    "encoding",
    "customProperties",
)
_LOCAL_OPTIONS = ("controlFile",)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("yyyy", "yy", "mm", "dd", "q", "partition")
_GRAINS = {"d": "day", "m": "month", "q": "quarter", "y": "year"}
# A promise in months or years must never turn out shorter than the calendar's.
_LATENCY_HOURS = {"h": 1, "d": 24}
_MAX_WORKING_DAYS = 250
_RETENTION_DAYS = {"d": 1, "m": 31, "y": 366}
_MAX_LATENCY = timedelta(days=366)
_MAX_RETENTION = timedelta(days=100 * 366)
_CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_CRON_PART = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/[1-9][0-9]?)?")


# --- source and layout -------------------------------------------------------------------------


def resolve_server(
    root: Node, column_names: tuple[str, ...], catalogue: RuleCatalogue | None
) -> tuple[SourceSpec, Layout]:
    """Read ``servers``: where the files come from and how they look."""
    servers = root["servers"].items()
    if len(servers) != 1:
        root["servers"].add(
            f"{len(servers)} servers", "give exactly one server: where the extracts come from"
        )
    server = servers[0] if servers else root["servers"][0]
    if not servers:
        return SourceSpec("drop_folder", {}), Layout()
    server.only(_SERVER_KEYS)
    server["server"].text(required=True, what="a name for this server, e.g. drop")
    kind = server["type"].choice(("local", "custom"), required=True)
    known = [*_LAYOUT_PROPERTIES, *_LOCAL_OPTIONS, "pool"] if kind == "local" else None
    properties = custom_properties(server, known)
    layout = _layout(server, properties, column_names)
    return _source(server, kind, properties, catalogue), layout


def _source(
    server: Node,
    kind: str | None,
    properties: dict[str, Node],
    catalogue: RuleCatalogue | None,
) -> SourceSpec:
    connector: str | None = "drop_folder"
    if kind == "custom":
        connector = properties["connector"].text() if "connector" in properties else None
        if connector is None:
            server.add("no connector is named", "add customProperty connector: <name>")
    path = server["path"].text(required=kind == "local", what="pattern below the drop folder")
    if path is not None:
        _check_pattern(server["path"], path)
    taken = {*_LAYOUT_PROPERTIES, "pool", "connector"}
    options: dict[str, Any] = {
        name: node.value for name, node in properties.items() if name not in taken
    }
    if "controlFile" in options:
        _check_pattern(properties["controlFile"], properties["controlFile"].text() or "")
    _check_connector(server, connector, properties, options, catalogue)
    if path is not None:
        options = {"path": path, **options}
    pool = properties["pool"].text() if "pool" in properties else None
    return SourceSpec(connector or "", options, pool or "default_pool")


def _check_connector(
    server: Node,
    connector: str | None,
    properties: dict[str, Node],
    options: dict[str, Any],
    catalogue: RuleCatalogue | None,
) -> None:
    if catalogue is None or catalogue.connectors is None or connector is None:
        return
    if connector not in catalogue.connectors:
        place = properties.get("connector", server["type"])
        place.add(f"unknown connector '{connector}'", nearest(connector, catalogue.connectors))
    known = catalogue.connectors.get(connector)
    if known is None:
        return
    for name in options:
        if name not in known.allowed:
            properties[name].add(
                f"connector {connector} has no option '{name}'", nearest(name, known.allowed)
            )
    for name in sorted(known.required - options.keys() - {"path"}):
        server.add(f"connector {connector} needs option '{name}'", f"add customProperty {name}")


def _check_pattern(node: Node, pattern: str) -> None:
    parts = pattern.replace("\\", "/").split("/")
    if pattern.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        node.add("a path must stay below the drop folder", "write a relative path without '..'")
    for name in _PLACEHOLDER.findall(pattern):
        if name not in _PLACEHOLDERS:
            choices = ", ".join(f"{{{known}}}" for known in _PLACEHOLDERS)
            node.add(f"unknown placeholder {{{name}}}", f"use {choices}")
    if "{" in _PLACEHOLDER.sub("", pattern) or "}" in _PLACEHOLDER.sub("", pattern):
        node.add("a brace without its partner", "placeholders are written {yyyy}")


def _layout(server: Node, properties: dict[str, Node], columns: tuple[str, ...]) -> Layout:
    given: dict[str, Any] = {
        "format": server["format"].choice(FORMATS, required=True),
        "encoding": _encoding(server["encoding"]),
        "delimiter": _delimiter(properties["delimiter"]) if "delimiter" in properties else None,
    }
    readers: dict[str, Callable[[Node], Any]] = {
        "sheet": Node.text,
        "headerRows": lambda node: node.integer(minimum=1),
        "skipRows": lambda node: node.integer(minimum=0),
        "totalMarkers": Node.texts,
        "noteMarkers": Node.texts,
        "groupColumn": lambda node: node.choice(columns),
        "maxBytes": lambda node: node.integer(minimum=1),
        "partBytes": lambda node: node.integer(minimum=1),
    }
    for name, read in readers.items():
        if name in properties:
            given[re.sub(r"([A-Z])", r"_\1", name).lower()] = read(properties[name])
    return Layout(**{name: value for name, value in given.items() if value is not None})


def _encoding(node: Node) -> str | None:
    name = node.text()
    if name is None or name == "auto":
        return name
    try:
        codecs.lookup(name)
    except LookupError:
        node.add(f"unknown encoding '{name}'", "use auto, utf-8, gb18030, utf-16 …")
        return None
    return name


def _delimiter(node: Node) -> str | None:
    text = node.text()
    if text is None or text == "auto" or len(text) == 1:
        return text
    node.add("a delimiter is one character", 'use auto or one character; a tab is "\\t"')
    return None


# --- service level -----------------------------------------------------------------------------


def resolve_service_level(root: Node) -> ServiceLevel:
    """Read ``slaProperties``."""
    names = ("frequency", "latency", "retention", "schedule")
    found: dict[str, Node] = {}
    for item in root["slaProperties"].items():
        name = item["property"].choice(names, required=True)
        if name in found:
            item["property"].add(f"'{name}' is given twice", "keep one")
        elif name is not None:
            found[name] = item
    for name in names[:3]:
        if name not in found:
            root["slaProperties"].add(
                f"no {name} is promised", f"add {{property: {name}, value: …, unit: …}}"
            )
    working_days = _working_days(found.get("latency"))
    latency = (
        _duration(found.get("latency"), _LATENCY_HOURS, _MAX_LATENCY, "hours")
        if working_days is None
        else _nominal(working_days)
    )
    retention = _duration(found.get("retention"), _RETENTION_DAYS, _MAX_RETENTION, "days")
    schedule = found["schedule"]["value"] if "schedule" in found else None
    grain = _grain(found.get("frequency"))
    return ServiceLevel(grain, latency, retention, _cron(schedule), working_days)


def _working_days(item: Node | None) -> int | None:
    """A latency in working days (unit ``wd``); None if it is in calendar time."""
    if item is None or item["unit"].value != "wd":
        return None
    days = item["value"].integer(minimum=1)
    if days is None or days > _MAX_WORKING_DAYS:
        item["value"].add("a latency in working days is a whole number", "write 1 to 250")
        return 1
    return days


def _nominal(working_days: int) -> timedelta:
    """Calendar time for so many working days, without holidays: for those that need a length."""
    return timedelta(days=working_days + 2 * ((working_days + 4) // 5))


def _grain(item: Node | None) -> str:
    if item is None:
        return "day"
    if item["value"].value != 1:
        item["value"].add("a frequency other than 1", "write value: 1 and unit: d, m, q or y")
    return _GRAINS[item["unit"].choice(tuple(_GRAINS), required=True) or "d"]


def _duration(item: Node | None, factors: dict[str, int], limit: timedelta, base: str) -> timedelta:
    if item is None:
        return timedelta(days=1)
    value = item["value"].number(required=True)
    unit = item["unit"].choice(tuple(factors), required=True)
    if value is None or unit is None:
        return timedelta(days=1)
    amount = value * factors[unit]
    if not 0 < amount <= limit / timedelta(**{base: 1}):
        item["value"].add(f"{value} {unit} is out of bounds", f"more than 0, up to {limit.days} d")
        return timedelta(days=1)
    return timedelta(**{base: amount})


def _cron(node: Node | None) -> str | None:
    expression = node.text() if node is not None else None
    if node is None or expression is None:
        return None
    fields = expression.split()
    if len(fields) != len(_CRON_FIELDS):
        node.add(
            f"a cron expression has five fields, this one {len(fields)}",
            "minute hour day month weekday, e.g. '0 6 * * *'",
        )
        return None
    for text, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_cron_part(part, low, high) for part in text.split(",")):
            node.add(f"'{text}' is no {name} in cron", f"use *, {low}-{high}, lists, ranges, /step")
    return expression


def _cron_part(part: str, low: int, high: int) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None:
        return False
    first = int(match[1]) if match[1] else low
    last = int(match[2]) if match[2] else first
    return low <= first <= last <= high


# --- gate, drift, sharing ----------------------------------------------------------------------


def resolve_gate(node: Node | None) -> Gate:
    """Read the custom property ``gate``."""
    if node is None:
        return Gate()
    node.only(("maxQuarantinedPercent", "maxRejectedPercent", "minRows"))
    default = Gate()
    return Gate(
        percent(node["maxQuarantinedPercent"], default.max_quarantined_percent),
        percent(node["maxRejectedPercent"], default.max_rejected_percent),
        _or(node["minRows"].integer(minimum=0), default.min_rows),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def percent(node: Node, default: float) -> float:
    """A share from 0 to 100."""
    value = node.number()
    if value is None:
        return default
    if not 0 <= value <= 100:
        node.add(f"{value} is no percentage", "write 0 to 100 (5 means five in a hundred)")
        return default
    return float(value)


def resolve_drift(node: Node | None) -> Drift:
    """Read the custom property ``drift``."""
    if node is None:
        return Drift.FREEZE
    return Drift(node.choice([drift.value for drift in Drift]) or Drift.FREEZE)


def resolve_sharing(root: Node, node: Node | None) -> dict[str, Any]:
    """Read the custom property ``sharing`` (政务信息资源目录 class 1, 2, 3)."""
    if node is None:
        root["customProperties"].add(
            "the sharing class is missing",
            "add {property: sharing, value: {type: 1}}; 2 is conditional, 3 not shared",
        )
        return {}
    node.only(("type", "condition", "basis"))
    kind = node["type"].value
    if kind not in (1, 2, 3) or isinstance(kind, bool):
        node["type" if node["type"].present else 0].add(
            "the sharing type is not 1, 2 or 3", "1 unconditional, 2 conditional, 3 not shared"
        )
        return {}
    needed = {2: "condition", 3: "basis"}.get(kind)
    if needed is not None:
        advice = {"condition": "under which condition", "basis": "on which legal basis"}[needed]
        node[needed].text(required=True, what=advice)
    return {key: value for key, value in node.value.items() if value is not None}
