"""A Python program, run as the interpreter would: as `__main__`, with its own arguments and search path."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from importlib.machinery import PathFinder, SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import InspectLoader
    from importlib.machinery import ModuleSpec
    from types import TracebackType

_MAIN = "__main__"


class NoSuchProgramError(Exception):
    """There is no such file or module; the message says what to give."""


class _Loaded(NamedTuple):
    code: CodeType
    file: str
    loader: object
    spec: ModuleSpec | None
    """None for a file, as in plain Python."""


def run_as_main(program: str, arguments: Sequence[str], *, as_module: bool) -> None:
    """Run a file, a directory or archive with a `__main__.py`, or a module. Whatever it raises goes through.

    `sys.argv`, `sys.path[0]` and `sys.modules["__main__"]` stay the program's for good: its threads and exit handlers, pickle
    and multiprocessing look there after its last line.

    Raises:
        NoSuchProgramError: there is no such program.
    """
    if not as_module and not Path(program).exists():
        raise NoSuchProgramError(f"no file {program!r}; give the path of a Python file, or -m and a module's name")
    sys.argv = [program, *arguments]
    if as_module:
        _look_in(Path.cwd())
        loaded = _module(program)
        sys.argv[0] = loaded.file
    elif Path(program).is_dir() or _is_archive(program):
        _look_in(Path(program).absolute())
        loaded = _packed(program)
    else:
        _look_in(Path(program).resolve().parent)
        loaded = _file(program)
    _execute(loaded)


def _look_in(place: Path) -> None:
    """Put the program's own place first on the search path, instead of ours; not under `-P`, as in plain Python."""
    if not sys.flags.safe_path:
        sys.path[0] = str(place)


def own_traceback(error: BaseException) -> TracebackType | None:
    """The traceback of the program alone, from its first frame on; None where none of its code ran."""
    traceback = error.__traceback__
    while traceback is not None and not _is_execution(traceback):
        traceback = traceback.tb_next
    return traceback.tb_next if traceback is not None else None


def _is_execution(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code is _execute.__code__


def _execute(loaded: _Loaded) -> None:
    main = ModuleType(_MAIN)
    vars(main).update(
        __builtins__=builtins,
        __cached__=loaded.spec.cached if loaded.spec is not None else None,
        __doc__=None,
        __file__=loaded.file,
        __loader__=loaded.loader,
        __package__=loaded.spec.parent if loaded.spec is not None else None,
        __spec__=loaded.spec,
    )
    sys.modules[_MAIN] = main
    exec(loaded.code, vars(main))  # noqa: S102  (running the user's program is the purpose)


def _file(program: str) -> _Loaded:
    path = str(Path(program).absolute())
    if path.endswith(".pyc"):
        compiled = SourcelessFileLoader(_MAIN, path)
        return _Loaded(cast("CodeType", compiled.get_code(_MAIN)), path, compiled, None)
    # Not through the loader, which would leave a compiled copy behind: Python keeps none of the main program.
    code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    return _Loaded(code, path, SourceFileLoader(_MAIN, path), None)


def _is_archive(program: str) -> bool:
    """Whether a file is a zip archive with a `__main__.py`."""
    return PathFinder.find_spec(_MAIN, [program]) is not None


def _packed(program: str) -> _Loaded:
    spec = PathFinder.find_spec(_MAIN, [str(Path(program).absolute())])
    if spec is None:
        raise NoSuchProgramError(f"no __main__.py in {program!r}; give the path of a Python file")
    return _from_spec(spec)


def _module(name: str) -> _Loaded:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.{_MAIN}")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a package above it needs what is not there
        spec = None
    except ValueError:  # a module without a spec, such as the one that is running
        spec = None
    if spec is None or spec.loader is None:
        raise NoSuchProgramError(f"no module named {name!r} that can be run; check the name and the environment")
    return _from_spec(spec)


def _from_spec(spec: ModuleSpec) -> _Loaded:
    code = cast("InspectLoader", spec.loader).get_code(spec.name)
    if code is None:
        raise NoSuchProgramError(f"{spec.name!r} has no Python code: it is built in or an extension")
    return _Loaded(code, spec.origin or spec.name, spec.loader, spec)
