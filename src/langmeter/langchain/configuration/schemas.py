"""Classes that describe data, by the hash of their schema: arguments of tools, structured output, states of graphs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from langmeter.langchain.configuration.redaction import digest
from langmeter.langchain.configuration.walk import canonical, class_name

if TYPE_CHECKING:
    from langmeter.langchain.configuration.walk import Node


class _QuietSchema(GenerateJsonSchema):
    """Without the warnings that pydantic would print into the application's output."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  (pydantic's own declaration)


def describe_type(cls: type) -> Node:
    """A class by its name and, where it declares fields, the hash of its schema."""
    node: Node = {"kind": "type", "class": class_name(cls)}
    schema = schema_hash(cls)
    if schema is not None:
        node["schema"] = schema
    return node


def schema_hash(schema: Any) -> str | None:
    """The hash of a schema, given as JSON schema or as a class; None where there is nothing to tell."""
    if isinstance(schema, dict):
        return digest(canonical(schema))
    if not isinstance(schema, type):
        return None
    if issubclass(schema, BaseModel):
        try:
            return digest(canonical(schema.model_json_schema(schema_generator=_QuietSchema)))
        except Exception:  # noqa: BLE001  (fields of types that JSON schema does not know: their names and types are left)
            return _annotations_hash({name: field.annotation for name, field in schema.model_fields.items()})
    return _annotations_hash(vars(schema).get("__annotations__"))


def _annotations_hash(annotations: Any) -> str | None:
    if not isinstance(annotations, dict) or not annotations:
        return None
    # A function in an annotation (the reducer of a graph's state) is printed with its address.
    fields = sorted(
        (name, re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(annotation))) for name, annotation in annotations.items()
    )
    return digest(canonical(fields))
