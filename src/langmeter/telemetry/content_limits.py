"""A redacted copy of captured content that is never large: bounds on texts, on lists, on depth and on the whole."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from langmeter import semconv
from langmeter.boundary import swallow
from langmeter.telemetry.redaction import MARGIN

if TYPE_CHECKING:
    from langmeter.telemetry.redaction import Redactor

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_TOTAL: Final = 262_144
"""Characters of all content of one span together, or four of its longest texts where that is more."""
_READ: Final = 4
"""Times as many characters are redacted at most: masks and markers are short, and the application waits meanwhile."""
_ITEMS: Final = 256
"""Messages of a history, parts of a message, items of a list, keys of an object."""
_DEPTH: Final = 12
_NODE: Final = 8
"""What every value counts besides its characters, so that a million empty ones have an end too."""
_INT64: Final = 2**63
_OMITTED: Final = "omitted"
_TOO_DEEP: Final = "[nested too deeply]"
_SCHEMA_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_SCHEMA_WORDS: Final = ("$ref", "anyOf", "allOf", "oneOf")

# The keys of the conventions and their enumerated words: those stay as they are, whatever a hook makes of texts.
_ENUMERATED: Final = frozenset({"type", "role", "modality"})
_KEYS: Final = frozenset(
    {
        *("role", "parts", "name", "type", "content", "id", "arguments", "unparsed_arguments", "response", "modality"),
        *(
            "mime_type",
            "size",
            "uri",
            "file_id",
            "transcript",
            "server_tool_call",
            "server_tool_call_response",
            "count",
        ),
        *("description", "parameters", "score"),
    }
)
_WITH_TYPE: Final = frozenset({"server_tool_call", "server_tool_call_response"})
_WORDS: Final = frozenset(
    {
        *("system", "user", "assistant", "tool", "developer", "function", _OMITTED, "refusal", "encrypted_reasoning"),
        *("text", "reasoning", "tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response"),
        *("blob", "omitted_blob", "file", "uri", "compaction", "image", "video", "audio", "document"),
    }
)


class ContentLimits:
    """One pass over the content of one span. Not shared between threads."""

    __slots__ = ("_left", "_longest", "_redactor", "_unread")

    def __init__(self, redactor: Redactor, longest_text: int) -> None:
        self._redactor = redactor
        self._longest = longest_text
        self._left = max(_TOTAL, 4 * longest_text)
        self._unread = _READ * self._left

    def messages(self, value: object) -> Json:
        """A history: its first message and its newest ones, as many as fit, and how many were left out."""
        messages = _items(value)
        if not messages:
            return []
        kept = {0: self._message(messages[0])}
        for position in range(len(messages) - 1, 0, -1):
            if len(kept) == _ITEMS or self._is_full():
                break
            kept[position] = self._message(messages[position])
        shown = [kept[position] for position in sorted(kept)]
        left_out = sum(_count(message) for position, message in enumerate(messages) if position not in kept)
        if left_out:
            shown.insert(1, {"role": _OMITTED, "parts": [{"type": _OMITTED, "count": left_out}]})
        return [message for message in shown if message is not None]

    def parts(self, value: object) -> Json:
        """The parts of a message."""
        parts = _items(value)
        shown: list[Json] = []
        for position, part in enumerate(parts):
            if position == _ITEMS or (position > 0 and self._is_full()):
                shown.append({"type": _OMITTED, "count": sum(map(_count, parts[position:]))})
                break
            shown.append(self._isolated(self._part, part))
        return [part for part in shown if part is not None]

    def records(self, value: object) -> Json:
        """A list of objects of the conventions: tool definitions, documents."""
        shown = [self._isolated(self._part, record) for record in _items(value)[:_ITEMS]]
        return [record for record in shown if record is not None]

    def text(self, value: str, *, name: str = "") -> str:
        """A redacted text, shortened to what is left; `name` is what the text is the value of."""
        hidden = self._redactor.hidden(name) if name else None
        if hidden is not None:
            shown = hidden
        elif self._is_full():
            shown = f"…[{len(value)} characters]" if value else ""
        else:
            shown = self._redactor.text(value, min(self._longest, self._left))
            self._unread -= min(len(value), self._longest + MARGIN)
        self._left -= len(shown) + _NODE
        return shown

    def value(self, value: object, *, depth: int = 0, name: str = "") -> Json:
        """Any JSON-ready value, its keys included."""
        if isinstance(value, str):
            return self.text(value, name=name)
        if value is None or isinstance(value, int | float):
            self._left -= _NODE
            hidden = self._redactor.hidden(name) if name and value is not None and not isinstance(value, bool) else None
            return self._number(value) if hidden is None else hidden
        if depth >= _DEPTH:
            return _TOO_DEEP
        self._left -= _NODE
        return self._object(value, depth, name) if isinstance(value, Mapping) else self._list(value, depth, name)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_full(self) -> bool:
        return self._left <= 0 or self._unread <= 0

    def _message(self, message: object) -> Json:
        return self._isolated(self._message_fields, message)

    def _message_fields(self, message: object) -> Json:
        if not isinstance(message, Mapping):
            return None
        shown = self._fields({key: inner for key, inner in message.items() if key != "parts"})
        return {**shown, "parts": self.parts(message.get("parts"))}

    def _part(self, part: object) -> Json:
        if not isinstance(part, Mapping):
            return None
        shown = self._fields(part)
        if shown.get("type") == "text" and not isinstance(shown.get("content"), str):
            # What a graph was given instead of messages: redacted by its keys, then a text like any other.
            shown["content"] = _cut(compact(shown.get("content")), self._longest)
        return shown

    def _fields(self, given: Mapping[object, object]) -> dict[str, Json]:
        """An object of the conventions: its own keys stay, those that a provider or an application added are texts."""
        shown: dict[str, Json] = {}
        for key, inner in given.items():
            name = key if isinstance(key, str) else f"<{type(key).__name__}>"
            if name in _WITH_TYPE and isinstance(inner, Mapping):
                shown[name] = self._fields(inner)
            elif name in _ENUMERATED and isinstance(inner, str) and inner in _WORDS:
                shown[name] = inner
            elif name in _KEYS:
                shown[name] = self.value(inner, depth=1, name=name)
            elif not self._is_full():
                shown[self.text(name)] = self.value(inner, depth=1, name=name)
        return shown

    def _object(self, value: Mapping[object, object], depth: int, owner: str) -> Json:
        shown: dict[str, Json] = {}
        secret = owner if owner and self._redactor.hidden(owner) is not None and not _is_schema(value) else ""
        for position, (key, inner) in enumerate(value.items()):
            if position == _ITEMS or self._is_full():
                shown[f"[{len(value) - position} more]"] = None
                break
            name = key if isinstance(key, str) else f"<{type(key).__name__}>"
            said = secret or (_label(value) if name == "value" else name)
            shown[self.text(name)] = self.value(inner, depth=depth + 1, name=said)
        return shown

    def _list(self, value: object, depth: int, name: str) -> Json:
        if not isinstance(value, list | tuple):
            return f"<{type(value).__name__}>"
        shown: list[Json] = []
        for item in value[:_ITEMS]:
            if self._is_full():
                break
            shown.append(self.value(item, depth=depth + 1, name=name))
        return [*shown, f"[{len(value) - len(shown)} more]"] if len(shown) < len(value) else shown

    def _number(self, value: object) -> Json:
        if isinstance(value, float):
            if not math.isfinite(value):
                return str(value)
            # A table of numbers turns a column of cards into floats.
            whole = self._redactor.number(int(value)) if value.is_integer() and abs(value) < _INT64 else 0
            return whole if isinstance(whole, str) else value
        if value is None or isinstance(value, bool) or not isinstance(value, int):
            return bool(value) if value is not None else None
        # OTLP has 64 bits for an integer; one that is larger makes it lose the whole batch.
        if not -_INT64 <= value < _INT64:
            return f"<{value.bit_length()}-bit integer>"
        return self._redactor.number(value)

    def _isolated(self, read: Callable[[object], Json], value: object) -> Json:
        """None for what cannot be read: it loses only itself."""
        try:
            return read(value)
        except Exception as error:  # noqa: BLE001  (content may be anything)
            swallow("content", error)
            return None


def _count(item: object) -> int:
    """How many a message or a part stands for: the edge puts a marker in place of those that it did not read."""
    if not isinstance(item, Mapping):
        return 1
    parts = _items(item.get("parts"))
    marker = parts[0] if item.get("role") == _OMITTED and parts else item
    count = marker.get("count") if isinstance(marker, Mapping) and marker.get("type") == _OMITTED else 1
    return count if isinstance(count, int) else 1


def _is_schema(value: Mapping[object, object]) -> bool:
    """Whether an object under a secret's name describes the secret rather than holds it."""
    kind = value.get("type")
    return (isinstance(kind, str) and kind in _SCHEMA_TYPES) or any(word in value for word in _SCHEMA_WORDS)


def _label(pair: Mapping[object, object]) -> str:
    """What a `{"name": …, "value": …}` pair, of a header or a variable, says that its value is."""
    return next((label for key in ("name", "key") if isinstance(label := pair.get(key), str)), "value")


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…[{len(text)} characters]"


def compact(value: object) -> str:
    """JSON text without spaces; characters beyond ASCII as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


_WORTH_MOST: Final = (semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS)


def by_worth(names: Iterable[str]) -> list[str]:
    """The names in the order in which they are given room: answers and instructions before the history."""
    return sorted(names, key=lambda name: name not in _WORTH_MOST)
