"""How the demo writes numbers: money, counts, times and shares, always in the same width and precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

NOTHING = "-"


def money(amount: Decimal) -> str:
    """US dollars to a millionth: single calls cost that little."""
    return f"${amount:,.6f}"


def count(number: int) -> str:
    """A number with separators; a dash for zero, so that what happened stands out."""
    return f"{number:,}" if number else NOTHING


def duration(seconds: float | None) -> str:
    """Seconds, in milliseconds below a tenth."""
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.2f} s"  # noqa: PLR2004  (a tenth of a second)


def rate(per_second: float | None) -> str:
    """A rate without decimals."""
    return NOTHING if per_second is None else f"{per_second:,.0f}"


def share(ratio: float | None) -> str:
    """A ratio in per cent."""
    return NOTHING if ratio is None else f"{ratio:.0%}"
