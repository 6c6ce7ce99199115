"""Exceptions as log events: the conventions have deprecated exceptions on span events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry._logs import SeverityNumber

from langmeter import semconv

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.context import Context

    from langmeter.events import Failure


def log_exception(logger: Logger, failure: Failure, context: Context) -> None:
    """Log the exception of a failed run once, linked to the run's span: where it came up first, not at every run around."""
    if failure.reported or not logger.enabled(
        context=context, severity_number=SeverityNumber.WARN, event_name=semconv.EXCEPTION_EVENT
    ):
        return
    attributes: dict[str, str] = {semconv.EXCEPTION_TYPE: failure.error_type}
    if failure.message:
        attributes[semconv.EXCEPTION_MESSAGE] = failure.message
    if failure.stacktrace:
        attributes[semconv.EXCEPTION_STACKTRACE] = failure.stacktrace
    logger.emit(
        context=context,
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        event_name=semconv.EXCEPTION_EVENT,
        attributes=attributes,
    )
