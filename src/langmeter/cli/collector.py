"""Where telemetry would go by the standard variables, and whether anybody listens there."""

from __future__ import annotations

import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from langmeter.settings import standard_variable

SIGNALS = ("traces", "metrics", "logs")
_VARIABLE = "OTEL_EXPORTER_OTLP_{}"
_DEFAULTS = {
    "http/protobuf": "http://localhost:4318",
    "http/json": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}
_PORTS = {"http": 80, "https": 443}


class Destination(NamedTuple):
    """Where one signal goes."""

    url: str
    protocol: str
    exporter: str
    """`otlp`, `console`, `none` or a list of them."""
    variable: str | None
    """The variable that the address comes from; None for the standard default."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        parts = urlsplit(self.url if "//" in self.url else f"//{self.url}")
        return parts.hostname or "localhost", parts.port or _PORTS.get(parts.scheme, 4317)

    def answers(self, seconds: float = 0.3) -> bool:
        """Whether something accepts a connection there within that time. Blocks; sends nothing."""
        try:
            socket.create_connection(self.address, timeout=seconds).close()
        except (OSError, ValueError):  # ValueError: a host name that cannot be one
            return False
        return True


def destination(signal: str) -> Destination:
    """Where `traces`, `metrics` or `logs` would go."""
    protocol = _first(_name(signal, "PROTOCOL"), _VARIABLE.format("PROTOCOL"))[1] or "http/protobuf"
    variable, url = _first(_name(signal, "ENDPOINT"), _VARIABLE.format("ENDPOINT"))
    exporter = standard_variable(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    return Destination(url or _DEFAULTS.get(protocol, _DEFAULTS["http/protobuf"]), protocol, exporter, variable)


def _name(signal: str, what: str) -> str:
    return _VARIABLE.format(f"{signal.upper()}_{what}")


def _first(*names: str) -> tuple[str | None, str | None]:
    """The first of these variables that is set, with its value."""
    return next(((name, value) for name in names if (value := standard_variable(name))), (None, None))
