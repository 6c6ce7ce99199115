"""`langmeter prices`: the options of its commands. What they do is in the modules `price_*`, imported when called."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (typer reads the annotations when it runs)
from pathlib import Path  # noqa: TC003  (typer reads the annotations when it runs)
from typing import Annotated, Any

import typer

EPILOG = "Exit status: 0 done; 1 no price, or a problem was found; 2 wrong usage."
JSON = typer.Option("--json", help="Print one JSON document on stdout and nothing else.")


def instant(default: str) -> Any:
    """An option for the instant of prices."""
    formats = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
    help_text = f"Prices in force at this instant, UTC when it names no zone; {default} by default."
    return typer.Option("--at", formats=formats, metavar="DATE", help=help_text)


_PROVIDER = typer.Option(metavar="NAME", help="As LangChain names it; the model's maker by default.")
_TIER = typer.Option(metavar="NAME", help="The service tier: batch, flex, priority, fast, …")

prices = typer.Typer(
    name="prices",
    help="Look up prices, price a usage by hand, and check where prices come from. Nothing is fetched from the network "
    "unless --online is given.",
    epilog=EPILOG,
    no_args_is_help=True,
)


@prices.command(epilog=EPILOG)
def show(
    model: Annotated[str, typer.Argument(help="The model's name as a call would give it.")],
    provider: Annotated[str | None, _PROVIDER] = None,
    at: Annotated[datetime | None, instant("now")] = None,
    tier: Annotated[str | None, _TIER] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Show what a model costs, and where that is from."""
    from langmeter.cli.price_cards import show_card  # noqa: PLC0415  (not needed by the other commands)

    raise typer.Exit(show_card(model, provider, at, tier, as_json=as_json))


@prices.command(epilog=EPILOG)
def price(  # noqa: PLR0913, PLR0917  (typer makes an option of each parameter)
    model: Annotated[str, typer.Option(metavar="NAME", help="The model's name as a call would give it.")],
    provider: Annotated[str | None, _PROVIDER] = None,
    input_tokens: Annotated[
        int | None, typer.Option("--input", min=0, metavar="N", help="Input tokens, cached ones included.")
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option("--output", min=0, metavar="N", help="Output tokens, reasoning included.")
    ] = None,
    cache_read: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of the input: read from the provider's prompt cache.")
    ] = 0,
    cache_write: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of the input: written to the provider's prompt cache.")
    ] = 0,
    reasoning: Annotated[int, typer.Option(min=0, metavar="N", help="Of the output: reasoning.")] = 0,
    usage: Annotated[
        str | None, typer.Option(metavar="JSON", help="LangChain's usage_metadata, instead of the counts.")
    ] = None,
    tier: Annotated[str | None, _TIER] = None,
    at: Annotated[datetime | None, instant("now")] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Price a usage: what one model call with these tokens costs."""
    from langmeter.cli.price_quotes import Counts, show_quote, usage_metadata  # noqa: PLC0415  (as above)

    counts = Counts(input_tokens, output_tokens, cache_read, cache_write, reasoning)
    raise typer.Exit(show_quote(model, provider, usage_metadata(counts, usage), tier, at, as_json=as_json))


@prices.command(epilog=EPILOG)
def check(
    online: Annotated[
        bool, typer.Option("--online", help="Ask the package index for the newest release, which takes seconds.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say how old the price table is, whether there is a newer one, and whether overrides are in use."""
    from langmeter.cli.price_check import check_prices  # noqa: PLC0415  (as above)

    raise typer.Exit(check_prices(online=online, as_json=as_json))


@prices.command(epilog=EPILOG)
def validate(
    file: Annotated[Path, typer.Argument(help="A file of price overrides, YAML or JSON.")],
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Check a file of price overrides, and say what it overrides."""
    from langmeter.cli.price_files import validate_file  # noqa: PLC0415  (as above)

    raise typer.Exit(validate_file(file, as_json=as_json))
