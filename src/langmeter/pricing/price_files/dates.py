"""Instants, weekdays and hours as price files write them. Pure; faults name the value and the spelling wanted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from langmeter.pricing.price_files.book import MINUTES_PER_DAY, Window
from langmeter.pricing.price_files.documents import Fault

if TYPE_CHECKING:
    from langmeter.pricing.price_files.documents import Node

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANGE: Final = re.compile(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)")
_MINUTES_PER_HOUR: Final = 60
_WHOLE_DAY: Final = ((0, MINUTES_PER_DAY),)


def instant(node: Node, key: str) -> float:
    """Unix seconds of a date (its midnight) or of a date with a time; UTC where it names no zone.

    Raises:
        Fault: it is neither.
    """
    try:
        moment = datetime.fromisoformat(str(node.value).strip())
        # In UTC, because the first and the last day of all may lie outside of all years there.
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise Fault(
            f"{key} must be a date like 2026-11-17 or 2026-11-17T16:00:00Z, got {node.shown()}", node.line
        ) from None


def window(days: Node | None, hours: Node | None) -> Window | None:
    """The part of the week that two values of an entry describe; None for all of it.

    Raises:
        Fault: a day or a time is not spelt as it should be.
    """
    if days is None and hours is None:
        return None
    return Window(
        frozenset(range(7)) if days is None else frozenset(day for item in _items(days) for day in _days(item)),
        _WHOLE_DAY if hours is None else tuple(sorted(part for item in _items(hours) for part in _hours(item))),
    )


def _items(node: Node) -> list[Node]:
    items = node.value if isinstance(node.value, list) else [node]
    if not items:
        raise Fault("weekdays and hours must not be empty; leave them out to mean always", node.line)
    return items


def _days(node: Node) -> range | list[int]:
    first, dash, last = (part.strip()[:3] for part in str(node.value).lower().partition("-"))
    if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
        raise Fault(
            f"weekdays must be days like mon or ranges like mon-fri, of {', '.join(_WEEKDAYS)}; got {node.shown()}",
            node.line,
        )
    start, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last if dash else first)
    return range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)]


def _hours(node: Node) -> list[tuple[int, int]]:
    """The minutes of a range, in two parts where it goes past midnight."""
    found = _RANGE.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
    if found is not None:
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = hour * _MINUTES_PER_HOUR + minute, end_hour * _MINUTES_PER_HOUR + end_minute
        sound = max(minute, end_minute) < _MINUTES_PER_HOUR and start < MINUTES_PER_DAY and end <= MINUTES_PER_DAY
        if sound and start != end:
            return [(start, end)] if start < end else [(start, MINUTES_PER_DAY), (0, end)][: 2 if end else 1]
    raise Fault(f'hours must be like "16:30-00:30", in UTC and from 00:00 to 24:00; got {node.shown()}', node.line)
