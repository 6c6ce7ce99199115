"""Other instrumentation installed here that sees the same model calls, and whether it reports them a second time."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Final, NamedTuple

from langmeter.settings import standard_flag, standard_variable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

    from langmeter.settings import Settings

_GROUP: Final = "opentelemetry_instrumentor"
_FRAMEWORK: Final = "langchain"
_OURS: Final = "langmeter"
_SHARED: Final = "opentelemetry-util-genai"
# Names under which instrumentation of provider SDKs is registered, whoever publishes it.
_SDKS: Final = frozenset(
    {
        *("anthropic", "bedrock", "cohere", "google_genai", "google_generativeai", "groq", "litellm", "mistralai"),
        *("ollama", "openai", "replicate", "together", "vertexai", "watsonx"),
    }
)


class Other(NamedTuple):
    """One installed package that instruments LangChain or a provider's SDK."""

    package: str
    sees: str
    """What it instruments: `langchain`, `openai`, …"""
    silent: bool
    """True when it keeps silent inside a call that langmeter reports."""


def installed(settings: Settings) -> list[Other]:
    """What is installed here, sorted by package. Whether an application switches it on cannot be seen from outside."""
    return sorted(set(_found(settings)))


def problems(settings: Settings) -> Iterator[str]:
    """What would report a call a second time, and how to stop it."""
    for other in installed(settings):
        if other.silent:
            continue
        if other.sees != _FRAMEWORK and not settings.suppress_nested and _shares(other.package):
            yield (
                f"LANGMETER_SUPPRESS_NESTED is off: {other.package}, where it is switched on, reports the calls of "
                f"{other.sees} a second time; unset it"
            )
        else:
            yield (
                f"{other.package}, where it is switched on (`opentelemetry-instrument` does), reports the calls of "
                f"{other.sees} a second time; uninstall it or switch it off: docs/other-instrumentation.md"
            )
    if _langsmith_exports():
        yield (
            "LangSmith is set to export its runs as OpenTelemetry spans, which repeat every call; unset "
            "LANGSMITH_TRACING_MODE and LANGSMITH_OTEL_ENABLED"
        )


def _found(settings: Settings) -> Iterator[Other]:
    for distribution in distributions():
        package = distribution.name
        for entry_point in distribution.entry_points:
            sees = entry_point.name.replace("-", "_")
            if entry_point.group != _GROUP or package == _OURS or sees not in {_FRAMEWORK, *_SDKS}:
                continue
            silent = sees != _FRAMEWORK and settings.suppress_nested and _requires_shared(distribution)
            yield Other(package, sees, silent)


def _shares(package: str) -> bool:
    return any(_requires_shared(found) for found in distributions(name=package))


def _requires_shared(distribution: Distribution) -> bool:
    """Whether it is built on the package whose context key says that a call is measured already."""
    return any(re.match(rf"{_SHARED}\b", requirement) for requirement in distribution.requires or ())


def _langsmith_exports() -> bool:
    traces = standard_flag("LANGSMITH_TRACING") or standard_flag("LANGCHAIN_TRACING_V2")
    mode = (standard_variable("LANGSMITH_TRACING_MODE") or "").lower()
    return traces and (mode in {"otel", "hybrid"} or (not mode and standard_flag("LANGSMITH_OTEL_ENABLED")))
