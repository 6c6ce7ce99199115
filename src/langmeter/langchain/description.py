"""`langmeter.describe`: the configuration of a model, a chain or a graph, redacted, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Self

from langmeter.boundary import swallow
from langmeter.langchain.configuration.objects import describe_object
from langmeter.langchain.configuration.redaction import REDACTED
from langmeter.langchain.configuration.walk import Json, Walk, canonical, class_name

_SCHEME: Final = "cfg1:"
"""Changes with the rules by which a configuration is read: fingerprints of two schemes are not comparable."""
_DIGITS: Final = 24


class Description:
    """What an object is configured to do. Immutable; equal to every description with the same configuration."""

    __slots__ = ("_fingerprint", "_text")

    def __init__(self, configuration: Json) -> None:
        self._text = canonical(configuration)
        self._fingerprint = _fingerprint(json.loads(self._text))

    @property
    def fingerprint(self) -> str:
        """`cfg1:` and 24 hexadecimal digits: the same in every process for the same configuration, whatever its secrets."""
        return self._fingerprint

    @property
    def configuration(self) -> Any:
        """The configuration as a mapping of JSON-ready values: a copy, the caller's to change."""
        return json.loads(self._text)

    def to_dict(self) -> dict[str, Any]:
        """`{"fingerprint": …, "configuration": …}`, JSON-ready."""
        return {"fingerprint": self._fingerprint, "configuration": self.configuration}

    def to_json(self, *, indent: int | None = None) -> str:
        """The same as JSON text with sorted keys: equal text for equal descriptions."""
        return json.dumps(self.to_dict(), sort_keys=True, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The description that `to_json` wrote.

        Raises:
            ValueError: the text is no description, or its fingerprint is not that of its configuration.
        """
        try:
            stored = json.loads(text)
            description = cls(stored["configuration"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ValueError(
                "not a description: expected the JSON text of Description.to_json(), "
                'an object with "fingerprint" and "configuration"'
            ) from None
        if stored.get("fingerprint") != description.fingerprint:
            raise ValueError(
                f"the fingerprint {stored.get('fingerprint')!r} is not that of the configuration beside it, which is "
                f"{description.fingerprint!r}: the text was changed, or another version of langmeter wrote it"
            )
        return description

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Description) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Description({self._fingerprint!r})"


def describe(runnable: object) -> Description:
    """The redacted configuration of a model, a chain, a tool, an agent or a graph, with a fingerprint.

    Text appears only where it is an identifier (the name of a model, of a tool, of a variable); prompts, descriptions and
    all other text appear as hashes; secrets appear as `[redacted]` and do not enter the fingerprint. Reads stored values
    only: calls nothing of the object but what LangChain calls on each run, changes nothing, reaches no network, and never
    raises. What is not known appears by the name of its class, marked `opaque`. At most 10,000 values are visited: a few
    milliseconds for an ordinary chain. Safe from any thread.

    Args:
        runnable: a LangChain or LangGraph object; any other object gives the name of its class.
    """
    try:
        return Description(Walk(describe_object).value("", runnable))
    except Exception as error:  # noqa: BLE001  (the promise above, for objects that lie about themselves)
        swallow("describe", error)
        return Description({"class": class_name(type(runnable)), "unreadable": True})


def _fingerprint(configuration: Json) -> str:
    text = canonical(_without_secrets(configuration))
    return f"{_SCHEME}{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def _without_secrets(value: Json) -> Json:
    """The configuration without what is redacted: a key that comes from the environment in one process only is no change."""
    if isinstance(value, dict):
        kept = {name: _without_secrets(item) for name, item in value.items() if item != REDACTED}
        return {name: item for name, item in kept.items() if item != {} or value[name] == {}}
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value
