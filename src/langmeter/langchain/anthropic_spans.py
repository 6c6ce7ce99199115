"""Keeps the `anthropic` SDK from reporting a call a second time that we report.

From version 2 on that SDK makes a span of its own, with usage, for every API call, and sends the trace context of that span
to Anthropic in a header. Its switches are for whoever makes the client (`open_telemetry=False`) or starts the process
(`ANTHROPIC_OPEN_TELEMETRY=false`), and LangChain makes the client. So the one function that starts the span is wrapped, and
told apart only inside a model call of ours. The package is never imported by us; a version without that function is left
alone, and what is lost there is that a trace holds the same usage twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import wrapt
from opentelemetry import trace
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider

from langmeter import bootstrap, semconv
from langmeter.boundary import guarded
from langmeter.telemetry.duplicates import measured_operation

if TYPE_CHECKING:
    from types import ModuleType

_MODULE: Final = "anthropic._base_client"
_FUNCTION: Final = "start_api_call_span"
_CALL: Final = "anthropic.messages.create"
_OPTIONS: Final = 2
"""The position of the argument that says which call it is."""
_INFERENCE: Final = (semconv.CHAT, semconv.TEXT_COMPLETION)
_SILENT: Final = NoOpTracer()
"""Its spans record nothing and have the context of the span around them."""


class _AnthropicSpans:
    """The wrapper around the SDK's function: at most one in a process, as the installed handler is."""

    def __init__(self) -> None:
        self._watches = False
        self._wanted = False
        self._module: ModuleType | None = None
        self._original: Any = None
        self._wrapper: Any = None

    def apply(self) -> None:
        """Wrap the function: now, or as soon as the application imports the SDK."""
        self._wanted = True
        if self._module is not None:
            self._wrap()
        elif not self._watches:
            self._watches = True
            wrapt.register_post_import_hook(self._found, _MODULE)

    def remove(self) -> None:
        """Put back what was there before; a wrapper that somebody else has wrapped stays, without effect."""
        self._wanted = False
        if self._module is not None and getattr(self._module, _FUNCTION, None) is self._wrapper is not None:
            setattr(self._module, _FUNCTION, self._original)

    @guarded("anthropic")
    def _found(self, module: ModuleType) -> None:
        self._module = module
        if self._wanted:
            self._wrap()

    def _wrap(self) -> None:
        original = getattr(self._module, _FUNCTION, None)
        if original is None or original is self._wrapper:
            return
        self._original = original
        self._wrapper = wrapt.FunctionWrapper(original, self._start, enabled=self._in_force)
        setattr(self._module, _FUNCTION, self._wrapper)

    def _in_force(self) -> bool:
        return self._wanted

    def _start(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """`start_api_call_span(tracer, base_url, options, …)`: the span of one API call, or None for a call without."""
        instead = _instead(args)
        if instead == "context":
            return wrapped(_SILENT, *args[1:], **kwargs)
        return None if instead == "nothing" else wrapped(*args, **kwargs)


@guarded("anthropic")
def _instead(args: Any) -> Literal["context", "nothing"] | None:
    """What takes the place of the SDK's span: no span, with or without trace context; None leaves the SDK alone."""
    if measured_operation() not in _INFERENCE or getattr(args[_OPTIONS], "span_name", None) != _CALL:
        return None
    # Where the SDK would make spans without us, it goes on sending trace context: that of our span, which stands for its own.
    provider = trace.get_tracer_provider()
    idle = bootstrap.is_proxy(provider) or isinstance(provider, NoOpTracerProvider)
    return "nothing" if idle or bootstrap.owns(provider) else "context"


anthropic_spans: Final = _AnthropicSpans()
