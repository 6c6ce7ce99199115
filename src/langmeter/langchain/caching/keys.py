"""The key that LangChain files an answer under, made by LangChain's own code.

Private names relied on: `BaseChatModel._generate_with_cache` and `_get_llm_string`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, NoReturn

from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel


class Key(NamedTuple):
    """What `lookup` and `update` of a response cache are called with."""

    prompt: str
    llm_string: str


class UnknownKeyError(RuntimeError):
    """The key cannot be made: this version of langchain-core, or the model, makes it in a way that is not known here."""


class _Found(BaseException):
    """Carries the key out, past any `except Exception` on the way."""

    def __init__(self, key: Key) -> None:
        self.key = key


class _KeyCatcher(BaseCache):
    """Stops LangChain at its look-up, to learn what it would have asked for."""

    def lookup(self, prompt: str, llm_string: str) -> NoReturn:
        raise _Found(Key(prompt, llm_string))

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """Never reached."""

    def clear(self, **kwargs: Any) -> None:
        """Nothing to clear."""


_CATCHER: Final = _KeyCatcher()


def lookup_key(model: BaseChatModel, messages: list[Any], stop: list[str] | None, kwargs: Mapping[str, Any]) -> Key:
    """The key of one chat call, as this version of LangChain makes it: what goes into it differs between versions.

    Runs LangChain's own code up to its look-up, on a stand-in that has a model's cache and key and nothing else, so that
    nothing is called, counted or changed. Costs what it costs LangChain: 60 µs and more.

    Raises:
        UnknownKeyError: LangChain no longer looks up where it did, or the model cannot describe itself.
    """
    stand_in = SimpleNamespace(cache=_CATCHER, _get_llm_string=model._get_llm_string)
    generate = inspect.unwrap(BaseChatModel._generate_with_cache)
    try:
        generate(stand_in, messages, stop=stop, run_manager=None, **kwargs)
    except _Found as found:
        return found.key
    except Exception as error:
        raise UnknownKeyError(f"its keys cannot be made ({type(error).__name__})") from error
    raise UnknownKeyError("this version of langchain-core asks it elsewhere")
