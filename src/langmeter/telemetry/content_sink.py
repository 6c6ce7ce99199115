"""Where content goes: onto the span of its run, and for model calls into the event of the conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry._logs import SeverityNumber

from langmeter import semconv
from langmeter.telemetry.content import ContentPolicy, as_span_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import Logger
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from langmeter.events import Content, Failure
    from langmeter.settings import Settings


class ContentSink:
    """Records content where the settings, the sampler and the logger want it. Thread-safe; holds no state of its own."""

    def __init__(self, settings: Settings, logger: Logger) -> None:
        self._policy = ContentPolicy(settings)
        self._logger = logger
        self._tells = settings.exception_messages

    def wants(self, span: Span | None, context: Context | None, *, is_call: bool) -> bool:
        """Whether somebody records the content of a run; also while its span cannot be made yet."""
        policy = self._policy
        if not policy.active:
            return False
        if span is None or (policy.on_spans and span.is_recording()):
            return True
        return is_call and self._has_event(context)

    def record(self, span: Span, context: Context, content: Content, attributes: Mapping[str, Any] | None) -> None:
        """Redact content once and write it.

        Args:
            span: of the run; not ended yet.
            context: holds the span, for the event.
            content: what was captured.
            attributes: everything on the span of a model call, which its event repeats; None for runs that have no event.
        """
        on_span = self._policy.on_spans and span.is_recording()
        on_event = attributes is not None and self._has_event(context)
        if not (on_span or on_event):
            return
        structured = self._policy.event_attributes(content)
        if on_span:
            span.set_attributes(as_span_attributes(structured))
        if on_event:
            self._logger.emit(
                context=context,
                severity_number=SeverityNumber.DEBUG,
                severity_text="DEBUG",
                event_name=semconv.DETAILS_EVENT,
                attributes={**(attributes or {}), **structured},
            )

    def told(self, failure: Failure) -> Failure:
        """A failure with the words of its exception redacted; they are empty unless the settings ask for them."""
        if not self._tells:
            return failure
        text = self._policy.text
        stack = None if failure.stacktrace is None else text(failure.stacktrace)
        return failure._replace(message=text(failure.message), stacktrace=stack)

    def _has_event(self, context: Context | None) -> bool:
        return self._policy.on_events and self._logger.enabled(
            context=context, severity_number=SeverityNumber.DEBUG, event_name=semconv.DETAILS_EVENT
        )
