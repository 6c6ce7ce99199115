"""Files of prices: read within bounds, checked, and watched by their signature."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from langmeter.errors import PriceFileError
from langmeter.pricing.price_files.documents import Fault, Node, from_json, from_yaml
from langmeter.pricing.price_files.rows import price_book

if TYPE_CHECKING:
    from langmeter.pricing.price_files.book import PriceBook

LARGEST_FILE: Final = 1024 * 1024
"""Bytes; thousands of entries. A larger file is no file of prices, and reading it would hold the application up."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Signature: TypeAlias = tuple[int, int, int]


def read_price_file(path: str) -> PriceBook:
    """The set of prices in a file of YAML or JSON; see docs/prices.md for its form.

    Reads at most 1 MiB. `.json` is read as JSON, `.yaml` and `.yml` as YAML, anything else by how it begins. YAML needs
    PyYAML, which comes with `langmeter[cli]`.

    Raises:
        PriceFileError: the file cannot be read or something in it is wrong; nothing of it is used.
    """
    try:
        return price_book(_tree(_text(path), Path(path).suffix.lower()))
    except Fault as fault:
        raise PriceFileError(path, fault.reason, fault.line) from None


def signature(path: str) -> Signature | None:
    """What changes when the file does; None while it is not there."""
    try:
        facts = os.stat(path)  # noqa: PTH116  (`Path.stat` raises ValueError as well, for a NUL)
    except (OSError, ValueError):
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino


def _text(path: str) -> str:
    try:
        facts = Path(path).stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe or a device would hold the reader up
            raise Fault("is a directory" if stat.S_ISDIR(facts.st_mode) else "is not a regular file")
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise Fault("there is no such file") from None
    except (OSError, ValueError) as error:
        raise Fault(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST_FILE:
        raise Fault(f"is larger than {LARGEST_FILE:,} bytes, so it is no file of prices")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault("is not UTF-8 text", content.count(b"\n", 0, error.start) + 1) from None
    control = _CONTROL.search(text)
    if control is not None:
        raise Fault(f"has the control character {control[0]!r}", text.count("\n", 0, control.start()) + 1)
    return text


def _tree(text: str, suffix: str) -> Node:
    if not text.strip():
        raise Fault("is empty; it needs at least 'models:' with one entry", 1)
    is_json = suffix == ".json" or (suffix not in (".yaml", ".yml") and text.lstrip().startswith("{"))
    return from_json(text) if is_json else from_yaml(text)
