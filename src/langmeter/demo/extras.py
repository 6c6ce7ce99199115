"""What the demo's application can do only with packages that langmeter itself does not need."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

COMMAND = 'pip install "langmeter[demo]"'


class Extra(NamedTuple):
    """An optional package."""

    package: str
    without: str
    """What happens where it is missing."""


EXTRAS = (
    Extra("langchain", "the order agent is a plain loop of model calls and tools"),
    Extra("langgraph", "no refunds that wait for approval"),
    Extra("numpy", "no search in the handbook"),
)


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def missing() -> tuple[Extra, ...]:
    """The extras that are not installed."""
    return tuple(extra for extra in EXTRAS if not installed(extra.package))
