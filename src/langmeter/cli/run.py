"""`langmeter run`: a program under instrumentation, with no change to its code."""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from types import TracebackType

import typer

import langmeter

COVERS = "the program's main thread, its tasks, and the threads that LangChain starts for them"


def run_program(program: str, arguments: tuple[str, ...], *, as_module: bool, as_json: bool) -> None:
    """Run the program as Python would. Whatever it raises, `SystemExit` included, goes through unchanged.

    Telemetry covers the whole process. The totals of `as_json` are those of `track()` around the program and say what
    they cover.

    Raises:
        BadParameter: there is no such program.
    """
    _check(program, as_module=as_module)
    sys.argv = [program, *arguments]
    langmeter.instrument()
    with langmeter.track() as usage:
        try:
            if as_module:
                sys.path.insert(0, str(Path.cwd()))
                runpy.run_module(program, run_name="__main__", alter_sys=True)
            else:
                sys.path.insert(0, str(Path(program).resolve().parent))
                runpy.run_path(program, run_name="__main__")
        except Exception as error:  # noqa: BLE001  (whatever the program raised)
            # As Python itself would show it: without the frames that led here.
            sys.excepthook(type(error), error, _own_frames(error))
            raise SystemExit(1) from None
        finally:
            if as_json:
                typer.echo(json.dumps({**usage.to_dict(), "covers": COVERS}), err=True)


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback of the program alone, from its first frame on."""
    traceback = own = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<frozen runpy>":
            own = traceback.tb_next
        traceback = traceback.tb_next
    return own


def _check(program: str, *, as_module: bool) -> None:
    if as_module:
        try:
            found = importlib.util.find_spec(program) is not None
        except (ImportError, ValueError):
            found = False
        if not found and not Path(*program.split(".")).with_suffix(".py").is_file():
            raise typer.BadParameter(f"no module named {program!r}; check the name and the environment")
    elif not Path(program).exists():
        raise typer.BadParameter(f"no file {program!r}; give the path of a Python file, or -m and a module's name")
