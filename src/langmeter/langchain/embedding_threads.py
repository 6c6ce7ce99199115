"""Embeddings that share their work out among threads of their own: what those threads ask belongs to the call that sent it.

A bare thread has no context to find that call by. Without this, the call and what it sent would both be billed: one by an
estimate, the other by the provider's count.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

if TYPE_CHECKING:
    from langmeter.langchain.embedding_frames import EmbeddingFrame


class Sent:
    """The texts of a call under way. References, for as long as it is."""

    __slots__ = ("_identities", "context", "frame", "texts", "thread")

    def __init__(self, frame: EmbeddingFrame, texts: list[Any] | tuple[Any, ...]) -> None:
        self.frame = frame
        self.texts = texts
        self.thread = threading.get_ident()
        self.context = contextvars.copy_context()
        """Where the call is under way: its span, `track()`, attribution. To be copied before it is run."""
        self._identities: frozenset[int] | None = None

    def has(self, text: Any) -> bool:
        """Whether that very object is among the texts: equal texts may be anybody's."""
        if self._identities is None:
            self._identities = frozenset(map(id, self.texts))
        return id(text) in self._identities


class Threads:
    """The calls under way whose texts another thread may be given. No lock: each operation is one of a dictionary."""

    def __init__(self) -> None:
        self._under_way: dict[int, Sent] = {}

    def add(self, frame: EmbeddingFrame, texts: Any) -> None:
        """A call begins; it is current already."""
        if isinstance(texts, list | tuple) and texts:
            self._under_way[id(frame)] = Sent(frame, texts)

    def remove(self, frame: EmbeddingFrame) -> None:
        """A call is over."""
        self._under_way.pop(id(frame), None)

    def after_fork_in_child(self) -> None:
        """Forget the parent process's calls: their threads are not here."""
        self._under_way.clear()

    def sender(self, worker: Any, texts: Any) -> Sent | None:
        """The call on another thread that gave a bare thread these texts to embed.

        Args:
            worker: the object that does the work in the end; the sender is that object or passes its work on to it.
            texts: what it is to embed.
        """
        if not self._under_way or otel_context.get_current() or not isinstance(texts, list | tuple) or not texts:
            return None
        thread = threading.get_ident()
        for sent in list(self._under_way.values()):
            passes = sent.frame.passing
            same = sent.frame.owner is worker if passes is None else passes.inner is worker
            # The same list with the same object is the same question asked twice.
            if same and sent.thread != thread and (passes or sent.texts is not texts) and sent.has(texts[0]):
                return sent
        return None
