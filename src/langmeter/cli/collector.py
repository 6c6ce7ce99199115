"""Where telemetry would go from here, as bootstrap reads the standard variables, and whether anybody listens there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from langmeter.bootstrap.exporters import Signal, exporters
from langmeter.settings import standard_variable

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_PORTS = {"http": 80, "https": 443}
_GRPC_PORT = 4317


class Destination(NamedTuple):
    """Where one signal goes."""

    exporter: str
    """`otlp`, or the name of another exporter, which needs no address."""
    url: str | None = None
    protocol: str | None = None
    variable: str | None = None
    """The variable that the address comes from; None for the standard default."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        url = self.url or ""
        parts = urlsplit(url if "//" in url else f"//{url}")
        return parts.hostname or "localhost", parts.port or _PORTS.get(parts.scheme, _GRPC_PORT)

    def answers(self, seconds: float = 0.3) -> bool:
        """Whether something accepts a connection there within that time. Blocks; sends nothing."""
        try:
            socket.create_connection(self.address, timeout=seconds).close()
        except (OSError, ValueError):  # ValueError: a host name that cannot be one
            return False
        return True


def destinations(signal: Signal) -> Iterator[Destination]:
    """Where a signal would go; what cannot be exported is left out, and bootstrap warns of it."""
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    variable = next((name for name in names if standard_variable(name)), None)
    for found in exporters(signal):
        if found.otlp:
            yield Destination("otlp", found.destination, "grpc" if found.grpc else "http/protobuf", variable)
        else:
            yield Destination(found.destination)
