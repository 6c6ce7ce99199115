"""Which exporters the standard variables ask for, and how each is built."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple, TypeAlias

from langmeter.bootstrap.notices import say_once
from langmeter.settings import standard_variable

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
Protocol: TypeAlias = Literal["http/protobuf", "grpc"]

DEFAULT_PROTOCOL: Protocol = "http/protobuf"
_DEFAULT_ENDPOINT = {"http/protobuf": "http://localhost:4318", "grpc": "http://localhost:4317"}
_PACKAGE = {"http/protobuf": "opentelemetry.exporter.otlp.proto.http", "grpc": "opentelemetry.exporter.otlp.proto.grpc"}
_CLASS = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
_FORCED_PROTOCOL: dict[str, Protocol] = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}


class Exporter(NamedTuple):
    """One exporter that the variables ask for."""

    kind: type[Any]
    destination: str
    """For people: a URL, or the exporter's name."""
    build: Callable[[], Any]
    """Makes an instance; cheap but for connections, and callable again after a fork."""
    otlp: bool = False
    grpc: bool = False


def exporters(signal: Signal) -> Iterator[Exporter]:
    """The exporters of `OTEL_<SIGNAL>_EXPORTER` (default `otlp`), imported; what cannot be had is left out with a warning."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip() for name in (standard_variable(variable) or "otlp").split(",") if name.strip()]
    if "none" in names:
        return
    for name in names:
        found = (
            _otlp(signal, _FORCED_PROTOCOL.get(name))
            if name == "otlp" or name in _FORCED_PROTOCOL
            else _named(signal, name)
        )
        if found is not None:
            yield found


def import_default_exporters() -> None:
    """Import what the variables ask for, so that building it later is quick."""
    signals: tuple[Signal, ...] = ("traces", "metrics", "logs")
    for signal in signals:
        list(exporters(signal))


def component(group: str, name: str) -> Any:
    """The object that an installed package registers as `name` under the entry point `group`; None if there is none."""
    for entry in entry_points(group=group, name=name):
        return entry.load()
    return None


def _named(signal: Signal, name: str) -> Exporter | None:
    kind = component(f"opentelemetry_{signal}_exporter", name)
    if kind is None:
        say_once(
            f"exporter {signal} {name}",
            f"OTEL_{signal.upper()}_EXPORTER names {name!r}, which no installed package provides; it is left out. "
            "Known everywhere: otlp, console, none.",
        )
        return None
    return Exporter(kind, name, kind)


def _otlp(signal: Signal, forced: Protocol | None) -> Exporter | None:
    protocol = forced or _protocol(signal)
    module, name = _CLASS[signal]
    try:
        kind = getattr(importlib.import_module(f"{_PACKAGE[protocol]}.{module}"), name)
    except ImportError as error:
        package = "opentelemetry-exporter-otlp-proto-" + protocol.partition("/")[0]
        say_once(
            f"protocol {protocol}",
            f"the OTLP exporter for {protocol} cannot be imported ({error}), so nothing is exported with it: "
            f"pip install {package}, or set OTEL_EXPORTER_OTLP_PROTOCOL to another protocol",
        )
        return None
    fail_fast = _fail_fast_options(kind, signal, protocol)
    return Exporter(kind, endpoint(signal, protocol), lambda: kind(**fail_fast()), otlp=True, grpc=protocol == "grpc")


def _protocol(signal: Signal) -> Protocol:
    asked = standard_variable(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or standard_variable(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if asked is None or asked == DEFAULT_PROTOCOL:
        return DEFAULT_PROTOCOL
    if asked == "grpc":
        return "grpc"
    say_once(
        f"protocol {asked}",
        f"the OTLP protocol {asked!r} is not supported; using {DEFAULT_PROTOCOL}. Choose it or grpc.",
    )
    return DEFAULT_PROTOCOL


def endpoint(signal: Signal, protocol: Protocol) -> str:
    """Where the exporter of `signal` sends to, for messages: as its user wrote it, without user, password and query."""
    written = (
        standard_variable(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
        or standard_variable("OTEL_EXPORTER_OTLP_ENDPOINT")
        or _DEFAULT_ENDPOINT[protocol]
    )
    # By hand: gRPC takes `host:port`, which a parser of URLs reads as a scheme and a path.
    scheme, slashes, rest = written.partition("//") if "//" in written else ("", "", written)
    authority, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}".partition("?")[0]


def _fail_fast_options(kind: type[Any], signal: Signal, protocol: Protocol) -> Callable[[], dict[str, Any]]:
    """Makes the arguments that keep an exporter from retrying while nobody answers; none where it takes none.

    What they need is imported here and not when they are made: by then the process may be forking.
    """
    parameters = inspect.signature(kind).parameters
    if protocol == "grpc" and "retryable_error_codes" in parameters:
        retries = _grpc_retries()
        return lambda: {"retryable_error_codes": retries}
    credentials = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_{}CREDENTIAL_PROVIDER"
    if standard_variable(credentials.format("")) or standard_variable(credentials.format(f"{signal.upper()}_")):
        return dict  # the session comes from there
    if protocol == "http/protobuf" and "session" in parameters:
        try:
            from langmeter.bootstrap.session import FailFastSession  # noqa: PLC0415  (loads requests, which is optional)
        except ImportError:
            return dict
        return lambda: {"session": FailFastSession()}
    return dict


def _grpc_retries() -> frozenset[Any]:
    """Status codes worth a retry within one export: the specification's, less those that say nobody answers."""
    from grpc import StatusCode  # type: ignore[import-untyped]  # noqa: PLC0415  (heavy, and only here with gRPC)

    return frozenset(
        {
            StatusCode.CANCELLED,
            StatusCode.RESOURCE_EXHAUSTED,
            StatusCode.ABORTED,
            StatusCode.OUT_OF_RANGE,
            StatusCode.DATA_LOSS,
        }
    )
