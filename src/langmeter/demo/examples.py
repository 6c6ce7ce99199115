"""Values that fit a JSON schema and, where words allow it, a text: what the demo's provider fills into tools and forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = 9


def example(schema: Mapping[str, Any], text: str) -> Any:
    """A value for the schema, JSON-ready; the same for the same arguments."""
    return _value(schema, "", text, schema)


def _value(schema: Mapping[str, Any], name: str, text: str, root: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _value(root["$defs"][schema["$ref"].rpartition("/")[2]], name, text, root)
    if "enum" in schema:
        return next((value for value in schema["enum"] if str(value).lower() in text.lower()), schema["enum"][-1])
    kind = schema.get("type", "string")
    if kind == "object":
        return {key: _value(part, key, text, root) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_value(schema.get("items", {}), name, text, root)]
    if kind == "integer":
        return _amount(text, schema.get("minimum", 1))
    return "!" in text if kind == "boolean" else _words(name, text)


def _amount(text: str, otherwise: int) -> int:
    """A sum of money that the text names."""
    found = re.search(r"(\d+) euros", text)
    return int(found.group(1)) if found else otherwise


def _words(name: str, text: str) -> str:
    """A text for a field: the order number where the field asks for one, what the text is about, or its beginning."""
    number = re.search(r"\d{4}", text)
    if number and "order" in name:
        return number.group()
    subject = re.search(r" about ([^,.?]+)", text)
    return subject.group(1) if subject else " ".join(text.split()[:_WORDS]).rstrip(".,")
