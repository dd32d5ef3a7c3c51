"""The shape of a contract file: the official ODCS model, plus "no unknown key anywhere".

The official model forbids unknown keys at the top level only, so the walk below derives the known
keys of every level from its classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from cityledger.contracts.document import NodePath
from cityledger.contracts.node import Node

Model = type[BaseModel]


def check_keys(root: Node) -> None:
    """Note every key that ODCS does not define, at any depth."""
    _walk(root, OpenDataContractStandard)


def check_official(root: Node) -> None:
    """Note what the official model refuses, where nothing has been noted yet."""
    try:
        OpenDataContractStandard.model_validate(root.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False, include_input=False):
            if detail["type"] == "extra_forbidden":
                continue  # `check_keys` has said it, with the nearest name
            path = _existing_path(root.value, detail["loc"])
            if path not in root.findings.paths:
                root.findings.add(
                    path, f"not valid ODCS: {detail['msg']}", "see docs/contracts.md for the field"
                )


def _walk(node: Node, model: Model) -> None:
    fields = _fields(model)
    node.only(fields)
    for key in node.names():
        if key in fields:
            _descend(node[key], fields[key])


@cache
def _fields(model: Model) -> dict[str, Any]:
    """Key → type of its value."""
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


@cache
def _model(annotation: Any, *, in_list: bool) -> Model | None:
    """The model that a type holds, if it does."""
    return next(_models(annotation, in_list=in_list), None)


def _descend(node: Node, annotation: Any) -> None:
    if isinstance(node.value, dict):
        model = _model(annotation, in_list=False)
        if model is not None:
            _walk(node, model)
    elif isinstance(node.value, list):
        model = _model(annotation, in_list=True)
        for item in node.items() if model is not None else []:
            if model is not None and isinstance(item.value, dict):
                _walk(item, model)


def _models(annotation: Any, *, in_list: bool) -> Iterator[Model]:
    """The model classes that an annotation allows, as such or as elements of a list."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _models(part, in_list=in_list)
    elif origin is list and in_list:
        yield from _models(get_args(annotation)[0], in_list=False)
    elif not in_list and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation


def _existing_path(value: Any, location: tuple[int | str, ...]) -> NodePath:
    """The part of pydantic's location that exists in the file (union tags don't)."""
    path: list[int | str] = []
    for step in location:
        known = isinstance(value, dict) and step in value
        known |= isinstance(value, list) and isinstance(step, int) and step < len(value)
        if known:
            value = value[step]
            path.append(step)
    return tuple(path)
