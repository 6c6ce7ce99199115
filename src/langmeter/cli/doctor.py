"""`langmeter doctor`: what would happen to telemetry from here, and what is in the way."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from langmeter.bootstrap import checks
from langmeter.cli import other_instrumentation
from langmeter.cli.collector import SIGNALS, destinations
from langmeter.settings import CONTENT_VARIABLE, Settings, standard_flag, standard_variable, table
from langmeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langmeter.bootstrap.exporters import Signal
    from langmeter.cli.collector import Destination

_PACKAGES = (
    "langchain-core",
    "langchain-openai",
    "langchain",
    "langgraph",
    "langchain-community",
    "openai",
    "tiktoken",
    "genai-prices",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-grpc",
    "redis",
)
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_DEFAULT_INTERVAL = 60_000
_PROBLEM = 1


class Setting(NamedTuple):
    """One setting in force."""

    name: str
    value: Any
    source: str
    """`default`, or the name of the variable that it comes from."""


def examine(*, as_json: bool) -> int:
    """Print the findings; the exit status is 0 if nothing is in the way, else 1."""
    findings = _findings()
    if as_json:
        Console(soft_wrap=True, color_system=None).print(json.dumps(findings, indent=2), markup=False, highlight=False)
    else:
        _print(Console(highlight=False), findings)
    return _PROBLEM if findings["problems"] else 0


def _findings() -> dict[str, Any]:
    with _warnings() as warnings:  # the parts that decide say themselves what is wrong
        settings = Settings()
        targets = {signal: list(destinations(signal)) for signal in SIGNALS}
        checks.nothing_to_set_up(settings, fill=False)
        checks.check_totals(ours=True)
    answers = _who_answers(targets)
    return {
        "langmeter": __version__,
        "installed": {name: _installed(name) for name in _PACKAGES},
        "other_instrumentation": [other._asdict() for other in other_instrumentation.installed(settings)],
        "providers": _providers(settings),
        "destinations": {
            signal: [{**found._asdict(), "answers": answers.get(found.url)} for found in targets[signal]]
            for signal in SIGNALS
        },
        "temporality": standard_variable(checks.TEMPORALITY_VARIABLE) or "cumulative",
        "metric_export_interval_ms": _export_interval() or _DEFAULT_INTERVAL,
        "service_name": _resource_attribute("service.name") or "unknown_service",
        "service_instance_id": _resource_attribute(checks.INSTANCE_ID) or "fresh for every process",
        "settings": [setting._asdict() for setting in _settings_in_force(settings)],
        "problems": [*warnings, *_problems(settings, targets, answers)],
    }


def _export_interval() -> int | None:
    """Milliseconds between two exports of metrics; None if the variable says no such thing."""
    text = standard_variable(_INTERVAL) or str(_DEFAULT_INTERVAL)
    return int(text) if text.isdigit() and int(text) > 0 else None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What langmeter logs in this block."""
    found: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("langmeter")
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def _settings_in_force(settings: Settings) -> Iterator[Setting]:
    for row in table():
        value = getattr(settings, row.name)
        names = [row.variable, CONTENT_VARIABLE if row.name == "content" else None]
        source = next((name for name in names if name and standard_variable(name) and value != row.default), "default")
        shown = value if isinstance(value, str | int | float | bool | None) else str(value)
        yield Setting(row.name, shown, source)


def _who_answers(targets: Mapping[Signal, list[Destination]]) -> dict[str | None, bool]:
    """Whether each address answers, every address asked once; exporters other than OTLP have none."""
    asked = {found.url: found for each in targets.values() for found in each if found.url is not None}
    return {url: found.answers() for url, found in asked.items()}


def _resource_attribute(name: str) -> str | None:
    """A resource attribute by the standard variables; the service's name has a variable of its own that wins."""
    own = standard_variable("OTEL_SERVICE_NAME") if name == "service.name" else None
    pairs = (pair.partition("=") for pair in (standard_variable("OTEL_RESOURCE_ATTRIBUTES") or "").split(","))
    return own or {key.strip(): value.strip() for key, _, value in pairs}.get(name)


def _providers(settings: Settings) -> str:
    if standard_flag("OTEL_SDK_DISABLED"):
        return "none: OTEL_SDK_DISABLED is true"
    return {
        "auto": "the application's; where it has none, langmeter's, at the first model call",
        "now": "the application's; those that are missing are langmeter's, at once",
        "never": "the application's only",
    }[settings.bootstrap]


def _problems(
    settings: Settings, targets: Mapping[Signal, list[Destination]], answers: dict[str | None, bool]
) -> Iterator[str]:
    if standard_flag("OTEL_SDK_DISABLED"):
        yield "OTEL_SDK_DISABLED is true: nothing is exported; unset it"
    if not settings.enabled:
        yield "LANGMETER_ENABLED is off: instrument() does nothing; unset it"
    for url in sorted(url for url, answered in answers.items() if url is not None and not answered):
        signals = ", ".join(signal for signal, found in targets.items() if url in [each.url for each in found])
        yield f"nobody answers at {url} ({signals}); start a Collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT"
    if _export_interval() is None:
        yield f"{_INTERVAL} is {standard_variable(_INTERVAL)!r}: give a positive number of milliseconds, or unset it"
    yield from other_instrumentation.problems(settings)


def _print(console: Console, findings: dict[str, Any]) -> None:
    _section(
        console,
        f"langmeter {findings['langmeter']}",
        ((n, v or "not installed") for n, v in findings["installed"].items()),
    )
    _section(
        console,
        "export",
        [
            ("providers", findings["providers"]),
            *(
                (signal, ", ".join(map(_describe, found)) or "not exported")
                for signal, found in findings["destinations"].items()
            ),
            ("temporality", findings["temporality"]),
            ("metrics every", f"{findings['metric_export_interval_ms'] / 1000:g} s"),
            ("service.name", findings["service_name"]),
            ("service.instance.id", findings["service_instance_id"]),
        ],
    )
    if findings["other_instrumentation"]:
        others = findings["other_instrumentation"]
        _section(console, "other instrumentation", ((other["package"], _manner(other)) for other in others))
    rows = [(setting["name"], setting["value"], setting["source"]) for setting in findings["settings"]]
    _section(console, "settings", ((name, f"{value!s:24} {source}") for name, value, source in rows))
    if not findings["problems"]:
        console.print("No problems found.", style="green")
    for problem in findings["problems"]:
        console.print(Text.assemble(("problem  ", "bold yellow"), problem))


def _describe(found: dict[str, Any]) -> str:
    if found["url"] is None:
        return f"exporter {found['exporter']}"
    state = "answers" if found["answers"] else "nobody answers"
    return f"{found['url']} by {found['protocol']}, {found['variable'] or 'default'}: {state}"


def _manner(other: dict[str, Any]) -> str:
    again = "silent inside langmeter's calls" if other["silent"] else "reports calls a second time"
    return f"{other['sees']}: {again}"


def _section(console: Console, title: str, rows: Any) -> None:
    console.print(title, style="bold")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(f"  {name}", Text(str(value)))
    console.print(grid)
    console.print()
