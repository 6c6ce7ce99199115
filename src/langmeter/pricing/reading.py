"""Single values as providers and gateways send them. Garbage reads as "not said"; nothing here raises."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping

LARGEST_COUNT = 10**15
"""A figure beyond this is no count of tokens, and floats would lose its last digits."""

_NOTHING: Mapping[str, object] = {}


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is a mapping that can be read, else an empty one."""
    if type(value) is dict:  # nearly always; the check against the abstract class is slow
        return value
    try:
        return dict(value) if isinstance(value, Mapping) else _NOTHING
    except Exception:  # noqa: BLE001  (a mapping of the application may raise from any method)
        return _NOTHING


def count(value: object) -> int | None:
    """A number of tokens, possibly negative, fractions cut; None for everything that is no number."""
    if type(value) is int:
        return value if -LARGEST_COUNT < value < LARGEST_COUNT else None
    if value is None or isinstance(value, (bool, str, bytes)):
        return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and abs(value) < LARGEST_COUNT else None
    try:
        return count(int(operator.index(value)))  # type: ignore[arg-type]  # whole numbers of numpy and the like
    except Exception:  # noqa: BLE001  (an `__index__` of the application may raise anything)
        return None


def word(value: object) -> str:
    """A text in lower case and cut to 40 characters, empty for anything else."""
    return value.strip().lower()[:40] if isinstance(value, str) else ""


def dollars(value: object) -> float | None:
    """An amount of US dollars of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if 0 <= value < LARGEST_COUNT else None
