"""How long a model's price holds, from the dates and hours that a price table gives. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any


def period(model: Any, when: datetime) -> tuple[float, float]:
    """From when until when (unix seconds) the prices of a table's model do not change."""
    constraints = [entry.constraint for entry in model.prices] if isinstance(model.prices, list) else []
    constraints += [variant.constraint for variant in getattr(model, "price_variants", None) or ()]
    before, after = -math.inf, math.inf
    for constraint in constraints:
        for change in _changes(constraint, when) if constraint is not None else ():
            if change <= when:
                before = max(before, change.timestamp())
            else:
                after = min(after, change.timestamp())
    return before, after


def _changes(constraint: Any, when: datetime) -> Iterator[datetime]:
    """The instants nearest to `when` at which a constraint starts or stops to hold."""
    start_date = getattr(constraint, "start_date", None)
    if start_date is not None:
        yield datetime.combine(start_date, time(), UTC)
        return
    ends = [end for end in (getattr(constraint, name, None) for name in ("start_time", "end_time")) if end is not None]
    if not ends:
        # A kind of constraint that this release does not know: the card holds for this instant only.
        yield from (when, when + timedelta(microseconds=1))
        return
    for end in ends:
        aware = end if end.tzinfo else end.replace(tzinfo=UTC)
        today = datetime.combine(when.date(), aware).astimezone(UTC)
        yield from (today + timedelta(days=days) for days in (-2, -1, 0, 1, 2))
