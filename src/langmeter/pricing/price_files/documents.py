"""Documents of prices as trees of values that know their line: from YAML, from JSON, or from a dictionary.

What could hurt is refused while reading, before anything is built from it: aliases (a few bytes of YAML can stand for
gigabytes), tags, deep nesting, keys that are given twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

_MAX_DEPTH: Final = 12
_TOO_DEEP: Final = f"is nested more than {_MAX_DEPTH} levels deep; a file of prices needs 5"
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class Fault(Exception):  # noqa: N818  (a fault of the document, told to its author as a `PriceFileError`)
    """Something in a document that cannot be used, and the way to mend it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Node(NamedTuple):
    """A value and its place. `value` is a `dict[str, Node]`, a `list[Node]`, text, a `Decimal`, a bool or None."""

    value: object
    line: int | None = None
    """1-based; of the key, for a value that has one; None where there are no lines."""

    def shown(self) -> str:
        """The value for a message, shortened."""
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        text = str(self.value) if isinstance(self.value, Decimal) else repr(self.value)
        return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


_LONGEST_SHOWN: Final = 80


# -- dictionaries ----------------------------------------------------------------------------------------------------


def from_object(value: object, depth: int = 0) -> Node:
    """The tree of a Python value.

    Raises:
        Fault: it is nested too deeply, or a key is no text.
    """
    if depth > _MAX_DEPTH:
        raise Fault(_TOO_DEEP)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise Fault(f"key {key!r:.80} must be text")
        return Node({key: from_object(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return Node([from_object(item, depth + 1) for item in value])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Node(Decimal(value if isinstance(value, int) else str(value)))
    # Dates are `datetime` objects in dictionaries, and text everywhere else.
    return Node(value.isoformat() if hasattr(value, "isoformat") else value)


# -- JSON ------------------------------------------------------------------------------------------------------------


def from_json(text: str) -> Node:
    """The tree of a JSON text; numbers keep all their digits.

    Raises:
        Fault: the text is no JSON, is nested too deeply or gives a key twice.
    """
    try:
        json.loads(text, parse_int=str)  # whole numbers of any length
    except json.JSONDecodeError as error:
        raise Fault(f"is not valid JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise Fault(_TOO_DEEP) from None
    return _JsonReader(text).value(0, 0)[0]


class _JsonReader:
    """Reads a text that is known to be valid once more, for the lines, which the standard library does not give."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._scalars = json.JSONDecoder(parse_int=_decimal, parse_float=_decimal, parse_constant=_decimal)
        self._counted, self._line = 0, 1
        self._end = 0

    def value(self, at: int, depth: int) -> tuple[Node, int]:
        """The value that starts at an index or after the space there, and the index behind it."""
        at = self._skip(at)
        line = self._line_at(at)
        if depth > _MAX_DEPTH:
            raise Fault(_TOO_DEEP, line)
        if self._text[at] == "{":
            return self._mapping(at, line, depth)
        if self._text[at] == "[":
            items = []
            for start in self._items(at, "]"):
                item, self._end = self.value(start, depth + 1)
                items.append(item)
            return Node(items, line), self._end
        scalar, end = self._scalars.raw_decode(self._text, at)
        return Node(scalar, line), end

    def _mapping(self, at: int, line: int, depth: int) -> tuple[Node, int]:
        members: dict[str, Node] = {}
        for start in self._items(at, "}"):
            key_line = self._line_at(start)
            key, end = self._scalars.raw_decode(self._text, start)
            if key in members:
                raise _given_twice(key, key_line, members[key].line)
            item, self._end = self.value(self._skip(end) + 1, depth + 1)
            members[key] = item._replace(line=key_line)
        return Node(members, line), self._end

    def _items(self, at: int, closing: str) -> Iterator[int]:
        """Where each item of a list or an object starts; who reads it leaves in `_end` where it stops."""
        self._end = self._skip(at + 1)
        while self._text[self._end] != closing:
            yield self._end
            self._end = self._skip(self._end)
            if self._text[self._end] == ",":
                self._end = self._skip(self._end + 1)
        self._end += 1

    def _skip(self, at: int) -> int:
        space = _SPACE.match(self._text, at)
        return space.end() if space is not None else at

    def _line_at(self, at: int) -> int:
        self._line += self._text.count("\n", self._counted, at)
        self._counted = max(self._counted, at)
        return self._line


def _decimal(text: str) -> Decimal:
    """A number with all its digits; NaN and infinities too, which are refused later, with what they were meant to be."""
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all measure
        return Decimal("Infinity")


# -- YAML ------------------------------------------------------------------------------------------------------------


def import_yaml() -> Any:
    """PyYAML, imported when it is first needed; None where it is not installed."""
    try:
        import yaml  # noqa: PLC0415  (only those who write YAML need it)
    except ImportError:
        return None
    return yaml


def from_yaml(text: str) -> Node:
    """The tree of a YAML text of one document.

    Raises:
        Fault: PyYAML is missing, the text is no YAML, or it has aliases, tags, deep nesting or a key twice.
    """
    yaml = import_yaml()
    if yaml is None:
        raise Fault('reading YAML needs PyYAML: pip install "langmeter[cli]", or write the file as JSON')
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return _YamlReader(loader, yaml).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        line = None if mark is None else mark.line + 1
        raise Fault(f"is not valid YAML: {problem}", line) from None
    finally:
        loader.dispose()


class _YamlReader:
    """Builds the tree from the events of a parser, which come one by one: nothing is expanded, nothing is constructed."""

    def __init__(self, loader: Any, yaml: Any) -> None:
        self._loader = loader
        self._yaml = yaml

    def document(self) -> Node:
        """The one document of the text."""
        root: Node | None = None
        while self._loader.check_event():
            event = self._loader.get_event()
            if isinstance(event, self._yaml.NodeEvent):
                if root is not None:
                    raise Fault("has a second document; one file is one document", _line(event))
                root = self._node(event, 0)
        return root if root is not None else Node(None)

    def _node(self, event: Any, depth: int) -> Node:
        line = _line(event)
        if event.anchor is not None:
            raise Fault("anchors (&) and aliases (*) are not allowed; write the values out", line)
        if event.tag is not None:
            raise Fault(f"tag {event.tag!r:.80} is not allowed; write the plain value", line)
        if depth > _MAX_DEPTH:
            raise Fault(_TOO_DEEP, line)
        if isinstance(event, self._yaml.MappingStartEvent):
            return Node(self._members(depth), line)
        if isinstance(event, self._yaml.SequenceStartEvent):
            return Node([self._node(item, depth + 1) for item in self._until(self._yaml.SequenceEndEvent)], line)
        return Node(self._scalar(event), line)

    def _members(self, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        for event in self._until(self._yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, self._yaml.ScalarEvent):
                self._node(event, depth + 1)
                raise Fault("a key must be plain text", line)
            key = self._node(event, depth + 1)
            item = self._node(self._loader.get_event(), depth + 1)
            if event.value in members:
                raise _given_twice(event.value, line, members[event.value].line)
            members[event.value] = item._replace(line=key.line)
        return members

    def _until(self, end: type) -> Iterator[Any]:
        while not self._loader.check_event(end):
            yield self._loader.get_event()
        self._loader.get_event()

    def _scalar(self, event: Any) -> object:
        text: str = event.value
        node = self._yaml.ScalarNode
        tag = self._loader.resolve(node, text, event.implicit).rpartition(":")[2]
        if tag == "bool":
            return text.lower() in ("true", "yes", "on")
        if tag == "null":
            return None
        return _number(text) if tag in ("int", "float") else text


def _number(text: str) -> object:
    """A number as it is written; the text where YAML means an octal, a hexadecimal or a sexagesimal one."""
    plain = text.replace("_", "").lower()
    if plain.endswith((".nan", ".inf")):
        return Decimal(plain.replace(".", ""))
    try:
        return Decimal(plain)
    except InvalidOperation:
        return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _given_twice(key: object, line: int, first: int | None) -> Fault:
    return Fault(f"key {key!r:.80} is given twice; it is in line {first} already", line)
