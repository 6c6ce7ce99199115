"""What an object stores that is configuration: the fields of pydantic models and the attributes of ordinary objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from langchain_core.embeddings import Embeddings
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import VectorStore
from pydantic_core import PydanticUndefined

from langmeter.langchain.configuration.classes import is_component, is_middleware, is_of_agents, kind_of, of_library
from langmeter.langchain.configuration.functions import class_code
from langmeter.langchain.configuration.walk import class_name

if TYPE_CHECKING:
    from pydantic import BaseModel

    from langmeter.langchain.configuration.walk import Node, Walk

# What says how a run is watched or stored, and not what it does; and what LangChain derives itself.
_NOT_CONFIGURATION: Final = frozenset(
    {
        *("callbacks", "callback_manager", "tags", "metadata", "cache", "verbose", "custom_get_token_ids"),
        *("rate_limiter", "name", "profile", "custom_input_type", "custom_output_type", "config_factories"),
        *("input_types", "output_types", "ls_structured_output_format", "client", "async_client", "root_client"),
        *("root_async_client", "http_client", "http_async_client"),
    }
)
# What tells one call from another.
_OF_ONE_CALL: Final = frozenset(
    {
        *("callbacks", "tags", "metadata", "config", "ls_structured_output_format", "user", "user_id"),
        *("session_id", "thread_id", "conversation_id", "request_id", "run_id", "checkpoint_id", "checkpoint_ns"),
        *("safety_identifier", "prompt_cache_key", "previous_response_id"),
    }
)
_POSITIONS: Final = frozenset({"i"})
"""How far LangChain's fake models have got in their list of answers."""
_ARGUMENTS: Final = frozenset({"kwargs", "model_kwargs"})
_PLAIN_NAMES: Final = frozenset(
    {
        *("model", "model_name", "model_id", "dimensions", "dimension", "size", "k", "top_k", "temperature"),
        *("collection_name", "index_name"),
    }
)


def stored(value: object) -> list[tuple[str, Any]]:
    """What an object stores at this moment: LangChain adds what it derives (`_serialized`) while a call is under way."""
    return list(vars(value).items()) if hasattr(value, "__dict__") else []


def head(value: object) -> Node:
    """Kind and class, and the code of a class of the application's own."""
    node: Node = {"kind": kind_of(value), "class": class_name(type(value))}
    if isinstance(value, Runnable | Embeddings) or is_middleware(value):
        code = class_code(type(value))
        if code is not None:
            node["code"] = code
    return node


def model_node(walk: Walk, value: BaseModel, *, without: frozenset[str] = frozenset()) -> Node:
    """A pydantic model with its fields."""
    node = head(value)
    found = parameters(walk, value, without=without)
    if found:
        node["parameters"] = found
    return node


def parameters(walk: Walk, value: BaseModel, *, without: frozenset[str] = frozenset()) -> Node:
    """The fields of a pydantic model that are set to something else than their default."""
    found: Node = {}
    for name, item in _stored_fields(value):
        if name not in without:
            is_arguments = name in _ARGUMENTS and isinstance(item, dict)
            found[name.removesuffix("__")] = arguments(walk, name, item) if is_arguments else walk.value(name, item)
    return found


def arguments(walk: Walk, name: str, given: dict[str, Any]) -> Node:
    """Arguments that are sent with each call, without those that tell one call from another."""
    return walk.mapping(name, {key: item for key, item in given.items() if not is_of_one_call(key)})


def is_of_one_call(name: object) -> bool:
    """Whether an argument of this name tells one call, thread or user from another."""
    return name in _OF_ONE_CALL


def plain_node(walk: Walk, value: Any) -> Node:
    """An ordinary object of a known kind.

    Of a class of the application's own only what is configuration by its name or by being a component: everything else may
    be what the object remembers between calls. So of every store of vectors, which holds documents.
    """
    node = head(value)
    whole = (of_library(type(value).__module__) and not isinstance(value, VectorStore)) or is_of_agents(value)
    found = {
        name: walk.value(name, item)
        for name, item in stored(value)
        if item is not None
        and name not in _NOT_CONFIGURATION
        and (_is_named(name, item) or (whole and name[:1] != "_"))
    }
    if found:
        node["parameters"] = dict(sorted(found.items()))
    return node


def dataclass_node(walk: Walk, value: Any) -> Node:
    """An instance of a dataclass with its fields."""
    values = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    found = {
        name: walk.value(name, item)
        for name, item in values.items()
        if item is not None and name not in _NOT_CONFIGURATION
    }
    return {**head(value), **({"parameters": found} if found else {})}


def _is_named(name: str, item: object) -> bool:
    return name.lstrip("_") in _PLAIN_NAMES or (is_component(item) and name[:2] != "__")


def _stored_fields(value: BaseModel) -> Iterator[tuple[str, Any]]:
    """The fields that differ from their defaults: so a field that a later version adds does not change a description."""
    declared = type(value).model_fields
    for name, item in stored(value):
        field = declared.get(name)  # without one it is a cached property: what using the object has built
        if field is not None and not (field.exclude or _is_left_out(name) or _is_default(item, field.default)):
            yield name, item
    for name, item in list((value.__pydantic_extra__ or {}).items()):
        if not _is_left_out(name) and item is not None:
            yield name, item


def _is_left_out(name: str) -> bool:
    return name in _NOT_CONFIGURATION or name in _POSITIONS or name.startswith("_")


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    if value is None:
        return default is PydanticUndefined
    if isinstance(value, dict | list | tuple | set | frozenset) and not value:
        return not isinstance(default, dict | list | tuple | set | frozenset) or not default
    plain = bool | int | float | str
    return isinstance(value, plain) and type(value) is type(default) and value == default
