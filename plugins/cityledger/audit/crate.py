"""The pack described as a Workflow Run RO-Crate (RO-Crate 1.1, profile Process Run Crate 0.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
_PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
_WORKFLOW, _RUN = "code/dbt_project/dbt_project.yml", "#standardise"
_SOFTWARE, _CITY, _LICENSE = "urn:cityledger:software", "#city", "#license"
_TYPES = {
    "json": "application/json",
    "sql": "application/sql",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "html": "text/html",
    "pdf": "application/pdf",
    "py": "text/x-python",
}


def crate(predicate: Mapping[str, Any], contents: Mapping[str, bytes]) -> bytes:
    """The crate's metadata file; its parts are the pack's files."""
    files = [name for name in sorted(contents) if name != _WORKFLOW]
    made = max((event["time"] for event in predicate["log"]["events"]), default="1970-01-01")
    # The profile's pattern knows no fractions of a second.
    made = datetime.fromisoformat(made).isoformat(timespec="seconds")
    graph = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": _PROFILES[2]}],
        },
        _root(predicate, [*files, _WORKFLOW], made),
        *(
            {"@id": one, "@type": "CreativeWork", "name": one.split("/", 4)[-1]}
            for one in _PROFILES
        ),
        {
            "@id": _WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "dbt project of the build",
            "programmingLanguage": {"@id": "#dbt"},
            "encodingFormat": _TYPES["yml"],
            "version": predicate["build"]["code"]["commit"],
        },
        {"@id": "#dbt", "@type": "ComputerLanguage", "name": "dbt", "alternateName": "dbt"},
        {
            "@id": _SOFTWARE,
            "@type": "SoftwareApplication",
            "name": "CityLedger",
            "softwareVersion": predicate["build"]["code"]["version"],
        },
        {"@id": _CITY, "@type": "Organization", "name": "The city that made this evidence"},
        {
            "@id": _LICENSE,
            "@type": "CreativeWork",
            "name": "Reserved",
            "description": "The evidence belongs to the city that made it",
        },
        {
            "@id": _RUN,
            "@type": "CreateAction",
            "name": f"standardise {predicate['build']['run_id']}",
            "description": "The build that made the number, from the landed files to the indicator",
            "instrument": {"@id": _WORKFLOW},
            "agent": {"@id": _CITY},
            "object": _references(one["@id"] for one in _inputs(predicate)),
            "result": {"@id": "#value"},
            "endTime": made,
        },
        {
            "@id": "#value",
            "@type": "PropertyValue",
            "name": str(
                predicate["subject"].get("indicator_code") or predicate["subject"]["table"]
            ),
            "value": predicate["subject"].get("value")
            or predicate["subject"].get("content_sha256"),
        },
        *_inputs(predicate),
        *(_file(name, contents[name]) for name in files),
    ]
    document = {"@context": _CONTEXT, "@graph": graph}
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode()


def _root(predicate: Mapping[str, Any], files: list[str], made: str) -> dict[str, Any]:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"CityLedger evidence {predicate['id']}",
        "description": "What a number rests on: inputs, contracts, code, verdicts, proofs",
        "identifier": predicate["id"],
        "datePublished": made,
        "license": {"@id": _LICENSE},
        "author": {"@id": _CITY},
        "publisher": {"@id": _CITY},
        "conformsTo": _references(_PROFILES),
        "mainEntity": {"@id": _WORKFLOW},
        "mentions": {"@id": _RUN},
        "hasPart": _references(files),
    }


def _references(names: Iterable[str]) -> Any:
    """Links to entities; a single one stands alone, as RO-Crate recommends."""
    links = [{"@id": name} for name in names]
    return links[0] if len(links) == 1 else links


def _inputs(predicate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The landed objects: outside the crate, or in it by their hash."""
    return [
        {
            "@id": f"urn:sha256:{one['sha256']}:{number}-{place}",
            "@type": "CreativeWork",
            "name": one["name"],
            "identifier": f"s3://{one['bucket']}/{one['key']}",
            "version": one["version_id"] or "",
            "sha256": one["sha256"],
        }
        for number, delivery in enumerate(predicate["inputs"])
        for place, one in enumerate(delivery["objects"])
    ]


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": "File",
        "name": name.rpartition("/")[2],
        "contentSize": str(len(data)),
        "encodingFormat": _TYPES.get(name.rpartition(".")[2], "text/plain"),
    }
