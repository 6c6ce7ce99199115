"""`langmeter prices check`: how old the prices are, and whether there are newer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from langmeter.cli.price_figures import pairs, print_json
from langmeter.errors import PriceFileError
from langmeter.pricing.catalog.status import check
from langmeter.pricing.price_files.file import read_price_file
from langmeter.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROBLEM = 1
_DAY = 86_400


def check_prices(*, online: bool, as_json: bool) -> int:
    """Print the state of the price table and of the overrides; the exit status is 1 if there is something to do."""
    settings = Settings()
    facts = {**_table(online=online), "auto_update": settings.auto_update, "overrides": _overrides(settings.prices)}
    if as_json:
        print_json(facts)
    else:
        _print(Console(highlight=False), facts, online=online)
    return _PROBLEM if facts["suggestion"] or (facts["overrides"] or {}).get("problem") else 0


def _table(*, online: bool) -> dict[str, Any]:
    status = check(online=online)
    return {
        "installed": status.installed,
        "newest": status.newest,
        "data_date": None if status.data is None else status.data.at.date().isoformat(),
        "data_date_from": None if status.data is None else "fetch" if status.data.fetched else "newest price",
        "age_seconds": None if status.age is None else round(status.age),
        "problem": status.problem,
        "suggestion": status.suggestion,
    }


def _overrides(path: str | None) -> dict[str, Any] | None:
    """The file that `LANGMETER_PRICES` names, if any."""
    if path is None:
        return None
    try:
        book = read_price_file(path)
    except PriceFileError as error:
        return {"file": path, "entries": None, "problem": str(error)}
    return {"file": path, "entries": len(book.rows) + len(book.discounts), "problem": None}


def _print(console: Console, facts: dict[str, Any], *, online: bool) -> None:
    console.print(pairs(_rows(facts, online=online)))
    console.print()
    if facts["suggestion"]:
        console.print(Text.assemble(("to do  ", "bold yellow"), facts["suggestion"]))
    elif (facts["overrides"] or {}).get("problem"):
        console.print(
            Text.assemble(("to do  ", "bold yellow"), "mend the file of overrides; it is not used until then")
        )
    else:
        console.print("Nothing to do.", style="green")


def _rows(facts: dict[str, Any], *, online: bool) -> Iterator[tuple[str, str | Text]]:
    yield "price table", f"genai-prices {facts['installed'] or 'not installed'}"
    if facts["problem"]:
        yield "problem", Text(facts["problem"], "red")
    newest = facts["newest"] or ("the package index did not answer" if online else "not asked for; --online asks")
    yield "newest release", newest
    if facts["data_date"]:
        days = facts["age_seconds"] // _DAY
        of = "fetched on" if facts["data_date_from"] == "fetch" else "newest price of"
        yield "data", f"{of} {facts['data_date']}, {days} day{'' if days == 1 else 's'} ago"
    yield (
        "updates itself",
        "yes, once an hour" if facts["auto_update"] else "no; LANGMETER_AUTO_UPDATE=true switches it on",
    )
    overrides = facts["overrides"]
    if overrides is None:
        yield "overrides", "none; LANGMETER_PRICES names a file of them"
    elif overrides["problem"]:
        yield "overrides", Text(overrides["problem"], "red")
    else:
        yield "overrides", f"{overrides['file']}, {overrides['entries']} entries"
