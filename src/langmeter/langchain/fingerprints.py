"""The fingerprints of the objects that are at work: each described once, on the worker's thread, while it lives."""

from __future__ import annotations

import weakref
from typing import Final

from langmeter import worker

_REMEMBERED: Final = 4_096


class Fingerprint:
    """The fingerprint of one object; calling it gives None until the worker has described the object."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: str | None = None

    def __call__(self) -> str | None:
        """The fingerprint, or None."""
        return self._value

    def read(self, subject: weakref.ref[object]) -> None:
        """Describe the object, if it is still there."""
        with worker.importing():
            from langmeter.langchain.description import describe  # noqa: PLC0415  (loads much of LangChain, when it is needed)
        alive = subject()
        if alive is not None:
            self._value = describe(alive).fingerprint


class Fingerprints:
    """Remembers the fingerprint of each object for as long as the object lives. Bounded; safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], Fingerprint]] = {}

    def of(self, subject: object) -> Fingerprint | None:
        """The fingerprint of an object as it was when it was first met; None where it cannot be had.

        Never waits. An object without weak references has none: it would be described at each of its calls.
        """
        key = id(subject)
        entry = self._known.get(key)
        if entry is not None and entry[0]() is subject:
            return entry[1]
        try:
            reference = weakref.ref(subject, lambda _: self._known.pop(key, None))
        except TypeError:
            return None
        fingerprint = Fingerprint()
        if not worker.submit(lambda: fingerprint.read(reference)):
            return None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (reference, fingerprint)
        return fingerprint


shared: Final = Fingerprints()
"""For every handler of this process: handlers that are made anew for each call must not describe the same model anew."""
