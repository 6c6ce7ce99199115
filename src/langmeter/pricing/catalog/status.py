"""Whether the price table is there, how old it is, and whether there is a newer one: what `langmeter prices check` shows."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final, NamedTuple

from langmeter.pricing import notices
from langmeter.pricing.catalog import freshness
from langmeter.pricing.catalog.freshness import GENAI_PRICES, DataDate

_INDEX_TIMEOUT: Final = 20.0
_NEWEST: Final = re.compile(rf"^{GENAI_PRICES} \(([^)\s]+)\)", re.MULTILINE)
_OLD: Final = 30 * 86_400.0
"""Seconds; a release comes about every six days."""


class PriceDataStatus(NamedTuple):
    """The state of the price table of this process."""

    installed: str | None
    """Version of genai-prices; None when it is not installed."""
    problem: str | None
    """Why it cannot be used although it is installed; None when it can."""
    data: DataDate | None
    """The date of its data; None where that is not known."""
    age: float | None
    """Seconds since then."""
    newest: str | None
    """The newest release on the package index; None when it was not asked for or did not answer."""
    loose_models: tuple[tuple[str, str], ...]
    """(provider, model) that this process priced by a rule on names: the table may be older than the model."""
    unknown_models: tuple[tuple[str, str], ...]
    """(provider, model) that this process found no price for."""
    suggestion: str | None
    """What to do; None when there is nothing to do."""


def check(*, online: bool = False) -> PriceDataStatus:
    """The state of the price table.

    Loads the table (about 70 ms). Never raises.

    Args:
        online: ask the package index that pip is set up with for the newest release (a few seconds, 20 at most). The
            network is not used otherwise.
    """
    installed = _installed()
    problem = _problem() if installed is not None else None
    data = freshness.data_date(GENAI_PRICES)
    age = max(0.0, (datetime.now(UTC) - data.at).total_seconds()) if data is not None else None
    newest = _newest_release() if online else None
    loose, unknown = _models("loose"), _models("unknown")
    suggestion = _suggestion(installed, problem, newest, outdated=bool(loose or unknown) or (age or 0.0) > _OLD)
    return PriceDataStatus(installed, problem, data, age, newest, loose, unknown, suggestion)


def _suggestion(installed: str | None, problem: str | None, newest: str | None, *, outdated: bool) -> str | None:
    upgrade = f"pip install --upgrade {GENAI_PRICES}"
    if installed is None:
        return f"install the price table: {upgrade}"
    if problem is not None:
        return f"mend the price table: pip install --force-reinstall {GENAI_PRICES}"
    if newest is not None:
        return f"upgrade to {newest}: {upgrade}" if newest != installed else None
    return f"look for a newer price table: {upgrade}" if outdated else None


def _installed() -> str | None:
    try:
        return version(GENAI_PRICES)
    except PackageNotFoundError:
        return None


def _problem() -> str | None:
    from langmeter.pricing.catalog.table import GenaiPrices  # noqa: PLC0415  (the table imports `updates`, and that this)

    try:
        GenaiPrices().preload()
    except Exception as error:  # noqa: BLE001  (a broken library may raise anything)
        return f"{type(error).__name__}: {error}"
    return None


def _newest_release() -> str | None:
    """Through pip, which knows the index, its credentials and its proxy; None without pip or without an answer."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", GENAI_PRICES)
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(  # noqa: S603  (a command of ours)
            command, capture_output=True, text=True, timeout=_INDEX_TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
        found = _NEWEST.search(answer.stdout)
        return found[1] if found else None
    return None


def _models(kind: str) -> tuple[tuple[str, str], ...]:
    said = list(notices._said)  # noqa: SLF001  (what was said is kept there, and nowhere else)
    return tuple(sorted((about[1], about[2]) for about in said if about[0] == kind))
