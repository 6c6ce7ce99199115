"""True token counts from tiktoken, where its table is at hand: it is 30 to 80 MB in memory and costs 0.3 s to load.

For the worker thread only. tiktoken's own loader is not used: it downloads a table that it does not find, without a
time-out and holding a lock that the application's threads would wait for, and deletes one that it finds damaged.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
import tempfile
import time
import types
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langmeter import worker
from langmeter.settings import standard_variable

if TYPE_CHECKING:
    from tiktoken import Encoding

_TABLES: Final = ("o200k_base", "cl100k_base", "p50k_base", "r50k_base")
_SAME_TABLE: Final = {"o200k_harmony": "o200k_base", "p50k_edit": "p50k_base"}
"""Encodings that differ from another one in special tokens only, which text is never read as here."""
_URL: Final = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_PATIENCE: Final = 60.0
"""Seconds that a download may take as a whole."""
_SILENCE: Final = 10.0
"""Seconds without a byte after which a download is given up."""
_CHUNK: Final = 1 << 16


class Tokenizer:
    """Counts tokens as OpenAI's models do. Not for several threads at once.

    Args:
        download: whether a table that is neither in memory nor on disk may be fetched, once per process.
    """

    __slots__ = ("_download", "_fetched", "_given_up")

    def __init__(self, *, download: bool) -> None:
        self._download = download
        self._fetched: dict[str, Encoding] = {}
        self._given_up: set[str] = set()

    def count(self, model: str, texts: Sequence[str]) -> int | None:
        """The tokens of some texts; None if tiktoken does not know the model or its table is not at hand.

        Raises what a damaged installation of tiktoken raises.
        """
        encoding = self._encoding(model)
        return None if encoding is None else sum(len(encoding.encode_ordinary(text)) for text in texts)

    def _encoding(self, model: str) -> Encoding | None:
        loaded = sys.modules.get("tiktoken.registry")
        in_memory: dict[str, Encoding] = getattr(loaded, "ENCODINGS", {})
        if not (in_memory or self._download or any(_file_of(name).is_file() for name in _TABLES)):
            return None  # without importing tiktoken to find out which table it would be
        name = _encoding_name(model)
        if name is None:
            return None
        table = _SAME_TABLE.get(name, name)
        found = in_memory.get(name) or in_memory.get(table) or self._fetched.get(table)
        if found is not None or table not in _TABLES:
            return found
        return self._load(table)

    def _load(self, table: str) -> Encoding | None:
        """The encoding made from its file, or else from a download."""
        if _file_of(table).is_file():
            encoding = _made(table, _read)
            if encoding is not None:
                return encoding
        if not self._download or table in self._given_up:
            return None
        self._given_up.add(table)
        encoding = _made(table, _fetch)
        if encoding is not None:
            self._fetched[table] = encoding
        return encoding


def _encoding_name(model: str) -> str | None:
    with worker.importing():
        from tiktoken.model import encoding_name_for_model  # noqa: PLC0415  (80 ms, and only where a table is at hand)
    try:
        return encoding_name_for_model(model.rpartition("/")[2])
    except KeyError:
        return None


def _file_of(table: str) -> Path:
    """Where tiktoken keeps a table: named after the SHA-1 of its address."""
    directory = standard_variable("TIKTOKEN_CACHE_DIR") or standard_variable("DATA_GYM_CACHE_DIR")
    place = Path(directory) if directory else Path(tempfile.gettempdir()) / "data-gym-cache"
    return place / hashlib.sha1(_URL.format(table).encode()).hexdigest()  # noqa: S324  (tiktoken's rule for file names)


def _made(table: str, contents: Callable[[str], bytes | None]) -> Encoding | None:
    """The encoding from the bytes of its table; None if they are not what tiktoken expects.

    What else belongs to an encoding stands in tiktoken's constructor for it, which is run with a loader of ours.
    """
    with worker.importing():
        from tiktoken import Encoding  # noqa: PLC0415  (as above)

        constructors = importlib.import_module("tiktoken_ext.openai_public").ENCODING_CONSTRUCTORS

    def ranks(_address: str, expected_hash: str) -> dict[bytes, int]:
        data = contents(table)
        if data is None or hashlib.sha256(data).hexdigest() != expected_hash:
            raise _WrongTableError
        pairs = (line.split() for line in data.splitlines() if line)
        return {base64.b64decode(token): int(rank) for token, rank in pairs}

    original = constructors[table]
    constructor = types.FunctionType(original.__code__, {**original.__globals__, "load_tiktoken_bpe": ranks})
    try:
        return Encoding(**constructor())
    except _WrongTableError:
        return None


class _WrongTableError(Exception):
    """A table is missing or damaged."""


def _read(table: str) -> bytes | None:
    try:
        return _file_of(table).read_bytes()
    except OSError:
        return None


def _fetch(table: str) -> bytes | None:
    deadline = time.monotonic() + _PATIENCE
    received: list[bytes] = []
    try:
        with urllib.request.urlopen(_URL.format(table), timeout=_SILENCE) as answer:  # noqa: S310  (a constant https address)
            while chunk := answer.read1(_CHUNK):
                received.append(chunk)
                if time.monotonic() > deadline:
                    return None
    except OSError:
        return None
    return b"".join(received)
