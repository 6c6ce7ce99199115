"""From a value to its JSON-ready description: bounded, without cycles, and without an exception.

A walk holds what one description needs to end: the objects it is inside of, the functions it has seen, and how many values
it may still visit. What an object of LangChain looks like is settled in `objects`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, Final, TypeAlias

from pydantic import SecretBytes, SecretStr

from langmeter.boundary import swallow
from langmeter.langchain.configuration import redaction
from langmeter.langchain.configuration.redaction import REDACTED, digest, label, qualified, text

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Node: TypeAlias = dict[str, Json]
Describe: TypeAlias = Callable[["Walk", Any], Node]

_MOST_VALUES: Final = 10_000
_DEEPEST: Final = 40
_WIDEST: Final = 100
_LARGEST_NUMBER: Final = 10**10
"""Longer numbers are known by their hash: they may be those of cards, accounts or telephones."""
_SCHEMAS: Final = frozenset(
    {"schema", "json_schema", "args_schema", "input_schema", "output_schema", "parameters_schema"}
)
_TOOLS: Final = frozenset({"tools", "functions"})
_UNORDERED: Final = frozenset({"input_variables", "optional_variables"})


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces; what is not JSON is known by its class."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=lambda other: class_name(type(other)))


def class_name(cls: type) -> str:
    """Module and qualified name of a class; of the class itself where pydantic has made one for its type parameters."""
    parameters = getattr(cls, "__pydantic_generic_metadata__", None)
    origin = parameters.get("origin") if isinstance(parameters, dict) else None
    cls = origin if isinstance(origin, type) else cls
    return qualified(cls.__module__, cls.__qualname__)


class Walk:
    """One description under way."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._inside: list[int] = []
        self._left = _MOST_VALUES
        self._functions: set[int] = set()

    def value(self, name: str, value: object) -> Json:
        """How a value appears that stands under `name`; what cannot be read is marked and costs nothing else."""
        try:
            return self._scalar(name, value)
        except Exception as error:  # noqa: BLE001  (somebody else's object: whatever it raises costs this value alone)
            swallow("describe", error)
            return {"unreadable": True}

    def first_visit(self, function: object) -> bool:
        """Whether this is the first time that the walk meets a function."""
        known = id(function) in self._functions
        self._functions.add(id(function))
        return not known

    def mapping(self, name: str, values: dict[Any, Any]) -> Node:
        """A mapping, key by key; past the hundredth key as one hash."""
        entries = list(dict.items(values))
        node = {
            _key(key): REDACTED
            if item is not None and redaction.redacts_values(name, str(key))
            else self.value(key if isinstance(key, str) else "", item)
            for key, item in entries[:_WIDEST]
        }
        if len(entries) > _WIDEST:
            rest = {_key(key): self.value(key if isinstance(key, str) else "", item) for key, item in entries[_WIDEST:]}
            node["..."] = {"omitted": len(rest), "hash": digest(canonical(rest))}
        return node

    def items(self, name: str, values: Iterable[Any]) -> list[Json]:
        """A sequence, item by item; past the hundredth as one hash."""
        described = [self.value(name, item) for item in itertools.islice(values, _MOST_VALUES)]
        if name in _UNORDERED or isinstance(values, set | frozenset):
            described.sort(key=canonical)
        shown, rest = described[:_WIDEST], described[_WIDEST:]
        return [*shown, {"omitted": len(rest), "hash": digest(canonical(rest))}] if rest else shown

    def _scalar(self, name: str, value: object) -> Json:
        if value is None or isinstance(value, bool):
            return value
        if redaction.is_secret_name(name) or isinstance(value, SecretStr | SecretBytes):
            return REDACTED
        if isinstance(value, enum.Enum):
            return f"{class_name(type(value))}.{label(value.name)}"
        if isinstance(value, str):
            return text(name, str.__str__(value))
        if isinstance(value, int | float | decimal.Decimal):
            return _number(value)
        other = _other_scalar(value)
        return other if other is not None else self._nested(name, value)

    def _nested(self, name: str, value: object) -> Json:
        self._left -= 1
        if id(value) in self._inside:
            return {"class": class_name(type(value)), "cycle": len(self._inside) - self._inside.index(id(value))}
        if self._left < 0 or len(self._inside) >= _DEEPEST:
            return {"class": class_name(type(value)), "truncated": True}
        self._inside.append(id(value))
        try:
            return self._container(name, value)
        finally:
            self._inside.pop()

    def _container(self, name: str, value: object) -> Json:
        if isinstance(value, dict):
            if name in _SCHEMAS:
                return digest(canonical(value))
            return self.mapping(name, value)
        names = getattr(type(value), "_fields", None)
        if isinstance(value, tuple) and names is not None:
            return self.mapping(name, dict(zip(names, value, strict=False)))
        if isinstance(value, list | tuple | set | frozenset | deque):
            if name in _TOOLS:
                return [self._tool(item) for item in itertools.islice(value, _WIDEST)]
            return self.items(name, value)
        return self._describe(self, value)

    def _tool(self, tool: object) -> Json:
        """A tool as a model is told of it: the format of OpenAI, of Anthropic, or a tool that the provider runs."""
        definition = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(definition, dict):
            return self.value("tool", tool)
        node: Node = {"kind": "tool_definition", "name": label(str(definition.get("name") or definition.get("type")))}
        if definition.get("description"):
            node["description"] = digest(str(definition["description"]))
        for schema in ("parameters", "input_schema"):
            if schema in definition:
                node["schema"] = digest(canonical(definition[schema]))
        known = {"name", "description", "parameters", "input_schema"}
        if rest := {key: item for key, item in definition.items() if key not in known}:
            node["parameters"] = self.value("", rest)
        return node


def _key(key: object) -> str:
    if isinstance(key, str):
        return label(str.__str__(key))
    return str(key) if key is None or isinstance(key, bool | int) else class_name(type(key))


def _number(value: int | float | decimal.Decimal) -> Json:  # noqa: PYI041  (mypy tells them apart here)
    if isinstance(value, int):
        return int(value) if abs(value) < _LARGEST_NUMBER else digest(hex(value))
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return str(value)


def _other_scalar(value: object) -> Json:
    """What else has one obvious text; None for everything that has parts."""
    if isinstance(value, bytes | bytearray):
        return digest(bytes(value))
    if isinstance(value, PurePath):
        return digest(value.name)  # its directory differs from machine to machine
    if isinstance(value, re.Pattern):
        return digest(value.pattern)
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, dt.date | dt.time):
        return digest(value.isoformat())
    return None
