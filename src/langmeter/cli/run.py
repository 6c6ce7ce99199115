"""`langmeter run`: a program under instrumentation, with no change to its code."""

from __future__ import annotations

import json
import sys

import typer

import langmeter
from langmeter.cli.program import NoSuchProgramError, own_traceback, run_as_main

COVERS = "the program's main thread, its tasks, and the threads that LangChain starts for them"
_FAILED = 1
_INTERRUPTED = 130


def run_program(program: str, arguments: tuple[str, ...], *, as_module: bool, as_json: bool) -> None:
    """Run the program as Python would: its output, its tracebacks and its exit status are those of plain Python.

    Telemetry covers the whole process. The totals of `as_json` are those of `track()` around the program and say what
    they cover.

    Raises:
        BadParameter: there is no such program.
    """
    langmeter.instrument()
    with langmeter.track() as usage:
        try:
            run_as_main(program, arguments, as_module=as_module)
        except NoSuchProgramError as error:
            raise typer.BadParameter(str(error)) from None
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001  (whatever the program raised, Ctrl-C included)
            raise SystemExit(_shown(error)) from None
        finally:
            if as_json:
                typer.echo(json.dumps({**usage.to_dict(), "covers": COVERS}), err=True)


def _shown(error: BaseException) -> int:
    """Show an exception as Python itself would, without the frames that led to the program; returns the exit status.

    An interrupt exits with the status that a shell gives it, because the command line library that called us would take
    the exception for its own.
    """
    error.__traceback__ = own_traceback(error)
    sys.excepthook(type(error), error, error.__traceback__)
    return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else _FAILED
