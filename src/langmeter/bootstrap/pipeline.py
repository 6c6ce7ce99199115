"""One signal from its provider to its ways out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.bootstrap.notices import say_once
from langmeter.bootstrap.outlets import Holding, Outlet
from langmeter.settings import standard_variable

if TYPE_CHECKING:
    from langmeter.bootstrap.exporters import Exporter, Signal
    from langmeter.bootstrap.reader import PeriodicReader


class Pipeline(NamedTuple):
    """One signal: its provider, and what of ours is behind it."""

    signal: Signal
    provider: Any
    outlets: tuple[Outlet, ...] = ()
    holdings: tuple[Holding[Any], ...] = ()
    readers: tuple[PeriodicReader, ...] = ()

    def flush(self, timeout: float) -> bool:
        """True if everything recorded so far was delivered. Blocks for as long as the exporters do; may raise."""
        failures = self._failures()
        flushed = bool(self.provider.force_flush(int(timeout * 1000)))
        for holding in self.holdings:
            holding.drain()
        return flushed and failures == self._failures()

    def _failures(self) -> int:
        return sum(outlet.failures for outlet in self.outlets)

    def close(self, timeout: float) -> bool:
        """Flush, then shut down. As `flush`."""
        delivered = self.flush(timeout)
        self.provider.shutdown()
        return delivered

    def before_fork(self) -> None:
        """Wait, within bounds, for what must not be under way at a fork, and keep it from starting."""
        for reader in self.readers:
            reader.hold()
        for outlet in self.outlets:
            outlet.hold()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for outlet in self.outlets:
            outlet.release()
        for reader in self.readers:
            reader.release()

    def after_fork(self) -> None:
        """Start over in a forked child."""
        for outlet in self.outlets:
            outlet.after_fork()
        for holding in self.holdings:
            holding.after_fork()
        for reader in self.readers:
            reader.after_fork()


def way_out(signal: Signal, exporter: Exporter) -> Outlet:
    """The outlet for one exporter."""
    return Outlet(signal, exporter.destination, exporter.build, fork_waits=exporter.grpc)


def positive_number(variable: str, default: int) -> int:
    """A positive number from a standard variable; a wrong one is warned about."""
    text = standard_variable(variable)
    if text is None:
        return default
    try:
        value = int(float(text))
    except (ValueError, OverflowError):
        value = 0
    if value > 0:
        return value
    say_once(variable, f"{variable}={text} is not a positive number; using {default}")
    return default
