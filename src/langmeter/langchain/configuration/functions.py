"""What a function does, as far as it can be told apart from another: its name, a hash of its code, what it captures.

The hash is taken from what Python compiled and not from the source: that needs no file, cannot be fooled by a file edited
meanwhile, and tells two lambdas of one line apart (`inspect.getsource` gives the whole line for both). Hence it is
the same in every process of one minor version of Python.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from langmeter.langchain.configuration.classes import is_component, is_settled, of_library
from langmeter.langchain.configuration.redaction import digest, label, qualified
from langmeter.langchain.configuration.walk import canonical

if TYPE_CHECKING:
    from langmeter.langchain.configuration.walk import Json, Node, Walk

_PARTIALS: Final = (functools.partial, functools.partialmethod)
_GETTERS: Final = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_CONSTANTS: Final = (str, int, float, bytes)
_DEEPEST: Final = 8
"""Functions within functions of a library that are searched for what the application has given to them."""


def is_function(value: object) -> bool:
    """Whether a value is code rather than an object: functions, methods, built-ins, partials, getters."""
    return isinstance(value, (*_PARTIALS, *_GETTERS)) or inspect.isroutine(value)


def describe_function(walk: Walk, value: Any) -> Node:
    """A function by its name, the hash of its code, and what it captures."""
    if isinstance(value, _PARTIALS):
        return _partial(walk, value)
    if isinstance(value, _GETTERS):
        return {"kind": "function", "name": f"operator.{type(value).__name__}", "arguments": _got(walk, value)}
    node: Node = {"kind": "function", "name": qualified(value.__module__, value.__qualname__)}
    if inspect.ismethod(value):
        node["self"] = walk.value("self", value.__self__)
        value = value.__func__
    code = getattr(value, "__code__", None)
    if not isinstance(code, types.CodeType):
        return node
    if not of_library(value.__module__):
        node["code"] = code_hash(code)
    if walk.first_visit(value):
        found = _given_to_library(value) if of_library(value.__module__) else dict(_captured(value, code))
        captured = {name: walk.value(name, item) for name, item in found.items()}
        if captured:
            node["captures"] = captured
    return node


def class_code(cls: type) -> str | None:
    """The hash of the methods that the application's own classes in `cls`'s ancestry define; None where it has none."""
    methods = [
        (f"{owner.__qualname__}.{name}", code_hash(function.__code__))
        for owner in cls.__mro__
        if not of_library(owner.__module__)
        for name, member in sorted(vars(owner).items())
        # Wrappers of instrumentation, ours included, must not look like another method.
        if isinstance(function := inspect.unwrap(getattr(member, "__func__", member)), types.FunctionType)
    ]
    return digest(canonical(methods)) if methods else None


def code_hash(code: types.CodeType) -> str:
    """The hash of what Python compiled: no file name, no line number, no comment."""
    return digest(repr(_code(code)))


def _code(code: types.CodeType) -> tuple[object, ...]:
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return (code.co_code, code.co_names, code.co_freevars, signature, tuple(_constant(item) for item in code.co_consts))


def _constant(constant: object) -> object:
    if isinstance(constant, types.CodeType):
        return _code(constant)
    if isinstance(constant, frozenset):  # its order depends on the process
        return sorted(repr(item) for item in constant)
    return repr(constant)


def _partial(walk: Walk, value: Any) -> Node:
    node: Node = {"kind": "partial", "function": walk.value("function", value.func)}
    if value.args:
        node["arguments"] = walk.items("", value.args)
    if value.keywords:
        node["keywords"] = walk.mapping("", value.keywords)
    return node


def _got(walk: Walk, getter: Any) -> list[Json]:
    """The names that `itemgetter` and its kin were made with: only their pickled form tells."""
    arguments = getter.__reduce__()[1]
    return [label(item) if isinstance(item, str) else walk.value("", item) for item in arguments]


# -- what a function captures --------------------------------------------------------------------------------------------


def _captured(function: Any, code: types.CodeType) -> Iterator[tuple[str, object]]:
    """What a function uses from outside: closures and defaults, and of the globals what is configuration for certain."""
    defaults = function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    given = (*_cells(function, code), *zip(names, defaults, strict=False), *(function.__kwdefaults__ or {}).items())
    for name, value in given:
        if _is_configuration(value):
            yield name, value
    for name in sorted(_names(code)):
        value = function.__globals__.get(name)
        is_constant = name.isupper() and isinstance(value, _CONSTANTS)
        if is_constant or is_component(value) or _is_neighbour(value, function):
            yield name, value


def _cells(function: Any, code: types.CodeType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a name that is bound later
            continue


def _names(code: types.CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(item) for item in code.co_consts if isinstance(item, types.CodeType)))


def _is_neighbour(value: object, function: Any) -> bool:
    """Whether a global is a function of the same package: what it does is part of what its caller does."""
    if not isinstance(value, types.FunctionType):
        return False
    same: bool = value.__module__.partition(".")[0] == function.__module__.partition(".")[0]
    return same


def _is_configuration(value: object) -> bool:
    """Whether a captured value is configuration; a list or mapping of plain values may as well be the function's memory."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return bool(value) and all(is_component(part) or is_function(part) or isinstance(part, type) for part in parts)
    return value is not None


def _given_to_library(function: Any) -> dict[str, object]:
    """What an application has given to a library whose functions call one another.

    `create_agent` keeps model, tools and middleware in closures only. The functions themselves stay out: another version of
    the library has others.
    """
    found: dict[str, object] = {}
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(function, 0)]
    while waiting:
        current, depth = waiting.pop(0)
        code = getattr(current, "__code__", None)
        if id(current) in seen or depth > _DEEPEST or not isinstance(code, types.CodeType):
            continue
        seen.add(id(current))
        for name, value in _cells(current, code):
            if isinstance(value, types.FunctionType) and of_library(value.__module__):
                waiting.append((value, depth + 1))
            elif is_settled(value) or is_function(value) or _is_collection(value):
                _keep(found, name, value)
    return found


def _keep(found: dict[str, object], name: str, value: object) -> None:
    """Add a value under its name, or under a numbered one: layers of middleware use the same names one after the other."""
    if any(value is known for known in found.values()):
        return
    free = name
    for number in itertools.count(2):
        if free not in found:
            break
        free = f"{name}_{number}"
    found[free] = value


def _is_collection(value: object) -> bool:
    """Whether a value is a list or a mapping of nothing but components."""
    if not isinstance(value, dict | list | tuple) or not value:
        return False
    return all(is_settled(part) for part in (value.values() if isinstance(value, dict) else value))
