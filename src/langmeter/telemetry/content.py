"""Opt-in content, as it is written: redacted, bounded, JSON text on spans and structured values on events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langmeter import semconv
from langmeter.boundary import shield
from langmeter.telemetry.content_limits import ContentLimits, Json, by_worth, compact
from langmeter.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from langmeter.events import Content
    from langmeter.settings import Settings

_MESSAGES: Final = frozenset({semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES})
_RECORDS: Final = frozenset({semconv.TOOL_DEFINITIONS, semconv.RETRIEVAL_DOCUMENTS, semconv.MEMORY_RECORDS})


class ContentPolicy:
    """What `Settings` says about content. Immutable; safe from any thread.

    The user's hook and the built-in patterns see every text and every key that the application chose, once; the structure
    stays the conventions' own whatever they return.
    """

    def __init__(self, settings: Settings) -> None:
        self.on_spans: Final = settings.content in ("span", "span_and_event")
        self.on_events: Final = settings.content in ("event", "span_and_event")
        self.active: Final = self.on_spans or self.on_events
        self._longest: Final = settings.content_max_length
        self._redactor: Final = Redactor(settings)
        if self.active or settings.exception_messages:
            self._redactor.prepare()

    def span_attributes(self, content: Content) -> dict[str, str]:
        """Content as a span carries it: compact JSON text, and plain text where the conventions want text."""
        return as_span_attributes(self.event_attributes(content))

    def event_attributes(self, content: Content) -> dict[str, Json]:
        """Content as an event carries it: redacted lists and maps."""
        limits = ContentLimits(self._redactor, self._longest)
        shown: dict[str, Json] = {}
        for name in by_worth(content):
            with shield("content"):
                shown[_named(limits, name)] = _limited(limits, name, content[name])
        return shown

    def text(self, text: str) -> str:
        """One text, redacted and bounded: the message of an exception, or its stack trace with messages."""
        return self._redactor.text(text, self._longest)


def _named(limits: ContentLimits, name: str) -> str:
    """The name of an attribute; that of a prompt's variable is a key that the application chose."""
    prefix = semconv.PROMPT_VARIABLE_PREFIX
    return prefix + limits.text(name.removeprefix(prefix)) if name.startswith(prefix) else name


def _limited(limits: ContentLimits, name: str, value: object) -> Json:
    if name in _MESSAGES:
        return limits.messages(value)
    if name == semconv.SYSTEM_INSTRUCTIONS:
        return limits.parts(value)
    if name in _RECORDS:
        return limits.records(value)
    if name.startswith(semconv.PROMPT_VARIABLE_PREFIX):
        shown = limits.value(value, name=name.removeprefix(semconv.PROMPT_VARIABLE_PREFIX))
        return shown if isinstance(shown, str) else compact(shown)
    return limits.value(value)


def as_span_attributes(structured: dict[str, Json]) -> dict[str, str]:
    """The attributes of an event as a span carries them. Older SDKs drop maps, and back ends expect JSON text."""
    return {name: value if isinstance(value, str) else compact(value) for name, value in structured.items()}
