"""Entries of one set that contradict each other. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langmeter.pricing.price_files.documents import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langmeter.pricing.price_files.book import Match, PriceRow


def refuse_conflicts(rows: Sequence[PriceRow]) -> None:
    """Nothing, if every entry can be meant.

    Raises:
        Fault: two entries are for the same calls at the same time, or models take their prices from each other in a circle.
    """
    earlier: dict[Match, list[PriceRow]] = {}
    for row in rows:
        for other in earlier.setdefault(row.match, []):
            if _clash(other, row):
                same = (other.valid_from, other.valid_until) == (row.valid_from, row.valid_until)
                problem = "has an entry already" if same else "has an entry whose dates overlap"
                where = "" if other.line is None else f", in line {other.line}"
                raise Fault(f"{row.match} {problem}{where}; let each end ('until') where the next begins", row.line)
        earlier[row.match].append(row)
    for row in rows:
        circle = _circle(row, rows)
        if circle:
            names = " → ".join(str(name) for name in circle)
            raise Fault(f"base_model goes in a circle: {names}; give one of them a price", row.line)


def _clash(first: PriceRow, second: PriceRow) -> bool:
    """Whether two entries for the same calls can hold at once. Certain hours may go before an entry for all of them."""
    if not (first.valid_from < second.valid_until and second.valid_from < first.valid_until):
        return False
    if first.window is None:
        return True
    return second.window is not None and first.window.overlaps(second.window)


def _circle(row: PriceRow, rows: Sequence[PriceRow]) -> list[str]:
    """The models on the way from an entry back to itself. An entry that names its own model takes the table's price."""
    path = [row]
    while True:
        following = next(_base_rows(path[-1], rows), None)
        if following is None or following is path[-1]:
            return []
        if following in path:
            return [str(step.match) for step in (*path, following)] if following is row else []
        path.append(following)


def _base_rows(row: PriceRow, rows: Sequence[PriceRow]) -> Iterator[PriceRow]:
    if row.base is not None:
        provider = row.base.provider or row.match.provider or ""
        yield from (other for other in rows if other.match.fits(provider, row.base.model))
