"""The values of one record by key, with an error for each fault that says where it is and how to mend it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from langmeter.errors import LangmeterError
from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.reading import LARGEST_COUNT

if TYPE_CHECKING:
    from collections.abc import Iterable

_LATEST: Final = 1e11
"""Unix seconds beyond this (the year 5138) are milliseconds or nanoseconds in the wrong place."""
_SHOWN: Final = 5


class RecordProblem(NamedTuple):
    """Why one record cannot be read."""

    where: str
    """`record 3`, `calls.jsonl, line 17`, …"""
    key: str | None
    """The key at fault; None when the whole is no record."""
    reason: str
    """What is wrong with it, and how to mend that."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.where}: {'' if self.key is None else f'{self.key!r} '}{self.reason}"


class RecordError(LangmeterError, ValueError):
    """Records cannot be read; the message shows the first five problems, each with its record, its key and the fix.

    Attributes:
        problems: the first hundred problems.
        count: how many records have one.
    """

    def __init__(self, problems: Iterable[RecordProblem], count: int | None = None) -> None:
        self.problems = tuple(problems)
        self.count = len(self.problems) if count is None else count
        lines = [str(problem) for problem in self.problems[:_SHOWN]]
        if self.count > len(lines):
            lines.append(f"and {self.count - len(lines):,} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[RecordError], tuple[tuple[RecordProblem, ...], int]]:
        """Pickles with its problems, as exceptions with a constructor of their own otherwise do not."""
        return type(self), (self.problems, self.count)


class Keys:
    """The values of one record by key; a fault is raised as a `RecordError` that names the record and the key."""

    __slots__ = ("_prefix", "_values", "_where")

    def __init__(self, values: Mapping[str, Any], where: str, prefix: str = "") -> None:
        self._values = values
        self._where = where
        self._prefix = prefix

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise what is wrong with a key."""
        raise RecordError([RecordProblem(self._where, self._prefix + key, reason)]) from None

    def check_names(self, known: Iterable[str]) -> None:
        """Refuse a key that is not known: a misspelt one would silently lose a fact."""
        names = tuple(known)
        for key in self._values:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(names)}"
                self.refuse(str(key), f"is not known; {hint}")

    def text(self, key: str) -> str | None:
        """A text that is not empty; None when it is missing."""
        return None if self._values.get(key) is None else self.name(key)

    def name(self, key: str) -> str:
        """A text that must be there and must not be empty."""
        value = self._values.get(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, f"must be a text that is not empty{_instead(value)}")
        return value

    def flag(self, key: str, *, missing: bool = False) -> bool:
        """True or False; `missing` when it is not there."""
        value = self._values.get(key, missing)
        if not isinstance(value, bool):
            self.refuse(key, f"must be true or false{_instead(value)}")
        return value

    def count(self, key: str, *, required: bool = False) -> int | None:
        """A number of tokens; None when it is missing."""
        value = self._values.get(key)
        if value is None and not required:
            return None
        if type(value) is not int or not 0 <= value < LARGEST_COUNT:
            self.refuse(key, f"must be a whole number of tokens of at least 0{_instead(value)}")
        return value

    def seconds(self, key: str) -> float:
        """A point in time, as unix seconds."""
        value = self._values.get(key)
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                self.refuse(key, f"must be unix seconds or ISO 8601 such as 2026-11-22T12:00:00Z{_instead(value)}")
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            self.refuse(key, f"must be unix seconds or ISO 8601 such as 2026-11-22T12:00:00Z{_instead(value)}")
        if value > _LATEST:
            self.refuse(key, f"must be unix seconds; {value!r} looks like milliseconds or nanoseconds: divide it")
        return float(value)

    def amount(self, key: str) -> int | None:
        """An amount of US dollars, in the nearest whole pico-dollars; None when it is missing."""
        value = self._values.get(key)
        if value is None:
            return None
        try:
            # A float means the decimal that it prints as, not its binary neighbour.
            amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or not 0 <= amount < LARGEST_COUNT:
            self.refuse(key, f"must be US dollars, a number or a decimal text of at least 0{_instead(value)}")
        return round(amount * PICODOLLARS_PER_DOLLAR)

    def mapping(self, key: str) -> Mapping[str, Any] | None:
        """A mapping; None when it is missing."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(key, f"must be a mapping{_instead(value)}")
        return value

    def inside(self, key: str, values: Mapping[str, Any]) -> Keys:
        """The keys of a mapping that this one has under `key`."""
        return Keys(values, self._where, f"{self._prefix}{key}.")


def _instead(value: object) -> str:
    return ", and is missing" if value is None else f", got {value!r:.80}"
