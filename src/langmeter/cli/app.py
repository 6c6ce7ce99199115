"""The commands and their options. What a command does is in the module of its name, imported when it is called."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  (typer reads the annotations when it runs)
from pathlib import Path  # noqa: TC003  (typer reads the annotations when it runs)
from typing import Annotated

import typer

from langmeter.cli.prices import instant, prices
from langmeter.version import __version__

_EPILOG = "Exit status: 0 done; 1 a problem was found; 2 wrong usage; 130 interrupted."
_JSON = typer.Option("--json", help="Print one JSON document on stdout and nothing else.")

app = typer.Typer(
    name="langmeter",
    help="What LangChain applications cost, how fast they are, and what their caches save, in OpenTelemetry.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # `run` must show the program's own tracebacks as they are
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"langmeter {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""


@app.command(epilog=_EPILOG)
def demo(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of work; one takes four to five seconds at speed 1.")] = 3,
    seed: Annotated[int, typer.Option(help="What customers ask and models answer; the same seed, the same bill.")] = 7,
    speed: Annotated[float, typer.Option(min=0, help="2 is twice as fast; 0 waits for nothing.")] = 1.0,
    replay: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Replay recorded exchanges from a directory.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines of text instead of the live view.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Watch a LangChain application at work against a provider that the demo starts itself: no key, no network."""
    from langmeter.cli.demo import Options, run_demo  # noqa: PLC0415  (imports LangChain)

    raise typer.Exit(run_demo(Options(rounds, seed, speed, replay, plain, as_json)))


@app.command(
    epilog=_EPILOG,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
)
def run(
    context: typer.Context,
    program: Annotated[str, typer.Argument(help="A Python file, or with -m a module; its own arguments follow.")],
    module: Annotated[bool, typer.Option("-m", help="PROGRAM is the name of a module.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the totals as JSON on stderr when the program ends.")
    ] = False,
) -> None:
    """Run a Python program with instrumentation switched on: no code to change. Its exit status is passed on."""
    from langmeter.cli.run import run_program  # noqa: PLC0415  (imports LangChain)

    run_program(program, tuple(context.args), as_module=module, as_json=as_json)


@app.command(epilog=_EPILOG)
def doctor(as_json: Annotated[bool, _JSON] = False) -> None:
    """Say what is installed, what would be exported where, whether a Collector answers, and which settings are in force."""
    from langmeter.cli.doctor import examine  # noqa: PLC0415  (not needed by the other commands)

    raise typer.Exit(examine(as_json=as_json))


@app.command(epilog=_EPILOG)
def whatif(  # noqa: PLR0917  (typer makes an option of each parameter)
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="Recorded calls: JSON Lines of records, spans or OTLP/JSON."),
    ],
    model: Annotated[list[str], typer.Option(metavar="NAME", help="A model to compare with; may be given again.")],
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="The provider of these models; their maker by default.")
    ] = None,
    at: Annotated[datetime | None, instant("that of each call")] = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price overrides; those of LANGMETER_PRICES by default.")
    ] = None,
    token_ratio: Annotated[
        float | None,
        typer.Option(metavar="R", help="Tokens that the other model makes of the text of one recorded token."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out records that cannot be read.")] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Say what recorded calls would have cost on other models, the cheapest first."""
    from langmeter.cli.whatif import Options, compare  # noqa: PLC0415  (not needed by the other commands)

    raise typer.Exit(compare(Options(file, tuple(model), provider, at, prices, token_ratio, skip_bad, as_json)))


app.add_typer(prices)


@app.command(epilog=_EPILOG)
def version(as_json: Annotated[bool, _JSON] = False) -> None:
    """Print the version."""
    typer.echo(f'{{"version": "{__version__}"}}' if as_json else f"langmeter {__version__}")
