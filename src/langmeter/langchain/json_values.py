"""Any Python value as JSON-ready data: bounded, and without running the code of unknown objects.

What has no obvious JSON form becomes the name of its class, never its `repr`: that shows addresses, and may show secrets.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

_DEPTH: Final = 14
_VALUES: Final = 20_000
"""Values of one call that are looked at; telemetry keeps far fewer."""
_ITEMS: Final = 512
_LONGEST_TEXT: Final = 262_144
"""Characters of a text that is looked into for JSON: parsing takes about ten milliseconds then, on the application's path."""
_OMITTED: Final = "[omitted]"
_SECRET: Final = "[redacted:secret]"  # noqa: S105  (what stands for one)
_AS_TEXT: Final = (UUID, datetime, date, time, timedelta, Decimal, PurePath)
_MESSAGE_FIELDS: Final = ("type", "content", "name", "tool_calls", "tool_call_id")
_FRAMEWORK: Final = ("langgraph", "langchain")


def json_ready(value: Any) -> Any:
    """The value as dictionaries, lists, texts, numbers, booleans and None; a copy, but for its texts."""
    return _Copy().of(value, 0)


def json_object(text: Any) -> dict[str, Any] | None:
    """The JSON object that a text holds; None if it holds none, or is too long to look into."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class _Copy:
    """One copy under way: how many more values it may hold. Cycles end at the bound on depth."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _VALUES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            return _OMITTED
        try:
            if isinstance(value, Enum):
                value = value.value
            if value is None or isinstance(value, bool | int | float | str):
                return _plain(value)
            return self._container(value, depth)
        except Exception:  # noqa: BLE001  (its own code: a dictionary that changes meanwhile, a property that raises)
            return _named(value)

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | AbstractSet):
            return [self.of(item, depth + 1) for item in list(islice(value, _ITEMS))]
        if isinstance(value, SecretStr | SecretBytes):
            return _SECRET
        if isinstance(value, bytes | bytearray | memoryview):
            return f"[{len(value)} bytes]"
        if isinstance(value, _AS_TEXT):
            return str(value)
        fields = _fields(value)
        return _named(value) if fields is None else self._mapping(fields, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        items = list(islice(value.items(), _ITEMS))
        return {key if isinstance(key, str) else _key(key): self.of(inner, depth + 1) for key, inner in items}


def _plain(value: Any) -> Any:
    """Subclasses of the plain types may have code of their own: only the value is taken."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__add__(0.0, value)
    return value if isinstance(value, bool) or value is None else int.__index__(value)


def _key(key: Any) -> str:
    return str(key) if isinstance(key, int | float | UUID | None) else _named(key)


def _named(value: Any) -> str:
    return f"<{type(value).__name__}>"


def _fields(value: Any) -> Mapping[str, Any] | None:
    """The data of a message, of a document, of a pydantic model or a dataclass; None for any other object.

    Fields that their author keeps out of dumps or of the `repr` are left out here as well. Objects that do something
    (models, chains, clients) are named only: their fields hold keys and whole applications.
    """
    cls = type(value)
    if isinstance(value, type) or hasattr(cls, "invoke") or hasattr(cls, "ainvoke"):
        return None
    if isinstance(value, BaseModel):
        return _model_fields(value)
    if dataclasses.is_dataclass(value):
        if cls.__module__.startswith(_FRAMEWORK):
            return _command(value)
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}
    return None


def _model_fields(value: BaseModel) -> Mapping[str, Any]:
    given = value.__dict__
    if "content" in given and "type" in given:
        return {name: given[name] for name in _MESSAGE_FIELDS if given.get(name)}
    hidden = {name for name, field in type(value).model_fields.items() if field.exclude or not field.repr}
    return {name: inner for name, inner in given.items() if name not in hidden}


def _command(value: Any) -> Mapping[str, Any] | None:
    """What a LangGraph `Command` asks for; other objects of the framework hold the whole state of the run."""
    if type(value).__name__ != "Command":
        return None
    given = {name: getattr(value, name, None) for name in ("update", "resume", "goto")}
    return {name: inner for name, inner in given.items() if inner}
