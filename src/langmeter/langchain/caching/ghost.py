"""Hashes that ghost mode knows equal calls by: equal where LangChain's cache keys are.

Made from what the start callback is given, which is the same for `invoke` and `stream`. Only a hash leaves this module.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from langchain_core.load import dumps

_PROCESS_KEY: Final = os.urandom(16)
"""Makes hashes of prompts worth nothing outside of this process and its children."""
_IDS: Final = {"id"}


class DeferredHash:
    """A hash that is made when this is called. It shows nothing of its arguments, as a `partial` would: those are prompts."""

    __slots__ = ("_arguments", "_make")

    def __init__(self, make: Callable[..., int], *arguments: Any) -> None:
        self._make = make
        self._arguments = arguments

    def __call__(self) -> int:
        """The hash; takes as long as `make` does."""
        return self._make(*self._arguments)


def chat_hash(serialized: Mapping[str, Any] | None, messages: list[Any], parameters: Mapping[str, Any] | None) -> int:
    """64 bits that are equal for two chat calls if LangChain would file them under the same key, and else are not.

    It is of the messages without their ids, of the parameters of the call, and of the model's own description if its class
    has one, as LangChain's key is. Takes 15 µs and more, by the length of the prompt: run it on the worker.

    Args:
        serialized: the model as the start callback is given it.
        messages: the messages of one prompt.
        parameters: the invocation parameters of the call.
    """
    return _hash(_content(messages), _description(serialized), parameters)


def text_hash(prompt: str, parameters: Mapping[str, Any] | None) -> int:
    """The same for a text model, whose key LangChain makes from the prompt and the model's parameters alone."""
    return _hash(prompt, "", parameters)


def _hash(prompt: str, description: str, parameters: Mapping[str, Any] | None) -> int:
    digest = hashlib.blake2b(digest_size=8, key=_PROCESS_KEY)
    for part in (prompt, description, str(sorted((parameters or {}).items()))):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return int.from_bytes(digest.digest(), "big")


def _content(messages: list[Any]) -> str:
    """The messages as text, without their ids: by pydantic, at a tenth of what `dumps` takes, or else by `dumps`."""
    try:
        return "\0".join(
            f"{type(message).__qualname__} {message.model_dump_json(exclude=_IDS)}" for message in messages
        )
    except ValueError:
        # pydantic has no JSON for lone surrogates, nor for objects that LangChain describes in its own way
        return dumps([message.model_copy(update={"id": None}) for message in messages])


def _description(serialized: Mapping[str, Any] | None) -> str:
    if serialized is None or serialized.get("type") != "constructor":
        return ""
    return json.dumps(_without_addresses(serialized), sort_keys=True, default=repr)


def _without_addresses(value: Any) -> Any:
    """LangChain leaves these out of its keys too: a `repr` often holds an address in memory."""
    if isinstance(value, Mapping):
        return {
            name: _without_addresses(field)
            for name, field in value.items()
            if name != "graph" and not (name == "repr" and value.get("type") == "not_implemented")
        }
    return [_without_addresses(item) for item in value] if isinstance(value, list) else value
