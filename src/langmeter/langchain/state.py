"""The frame of the model call that the current context is in: how wrappers and callbacks find one another."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry.context import Context

    from langmeter.events import CacheLookup, Failure, ModelResponse
    from langmeter.langchain.providers import Model


class Lookup(NamedTuple):
    """One look-up in a response cache, as a frame keeps it until its run is known."""

    event: CacheLookup
    prompt: Any
    """What was looked up: tells which run of a text-model batch the look-up belongs to."""
    started: float
    outcome: ModelResponse | Failure | None = None
    """The stored answer of a hit, or the failure of a look-up that raised."""
    found: Any = None
    """What the cache gave, while `outcome` is wanted: its content may be recorded."""


class Frame:
    """One call of a wrapped LangChain method, from its entry to its exit; lives in a context variable meanwhile.

    Slots say what a start callback inside may use it for. Only the innermost frame counts.
    """

    __slots__ = (
        "answer",
        "armed",
        "batch",
        "busy",
        "bypasses",
        "cache",
        "context",
        "keeps_answers",
        "lookups",
        "model",
        "opened",
        "quiet_failure",
        "run_id",
        "sends_at_start",
        "skipped",
        "starts",
        "subject",
        "waits",
    )

    def __init__(self, model: Model | None = None, *, starts: int = 0, sends_at_start: bool = True) -> None:
        self.model = model
        self.starts = starts
        """Start callbacks that still belong to this frame: a nested model of a class that hides its methods must not claim it."""
        self.sends_at_start = sends_at_start
        """False where LangChain announces all prompts of a batch before it sends the first."""
        self.waits = False
        """True where prompts are announced together and sent one after the other."""
        self.opened: list[UUID] = []
        """The runs whose start callbacks belong to this frame."""
        self.run_id: UUID | None = None
        """The run whose work this frame is around."""
        self.armed = False
        """True in the first step of a stream: the start callback makes its span current there."""
        self.subject: Any = None
        """The graph, retriever or tool whose run it is; None around a model."""
        self.batch = False
        """True around a chain's `abatch`: the subject is the chain, whose runs start where it is not on the stack."""
        self.context: Context | None = None
        self.bypasses: str | None = None
        """The type of the configured response cache that this call cannot use."""
        self.cache: Any = None
        """The cache object whose look-ups belong to this frame."""
        self.busy = False
        """True during a look-up: what the cache calls in turn is not another one."""
        self.quiet_failure: str | None = None
        """The type of the error that the cache logged, instead of raising it, during the look-up."""
        self.skipped = False
        """True after a look-up that the cache itself chose not to make (`adaptive_cache`)."""
        self.answer: Any = None
        """What the model answered, once it is on its way into the cache: storing it may fail."""
        self.keeps_answers = False
        """True where a hit has no callback, so that its call must be made up from the look-up."""
        self.lookups: list[Lookup] = []

    def claim(self) -> Model | None:
        """The model whose call is starting, if its start callback belongs to this frame."""
        if self.starts <= 0:
            return None
        self.starts -= 1
        return self.model

    def missed(self, prompt: Any) -> CacheLookup | None:
        """The look-up that found nothing for this prompt, taken out: equal prompts take one each."""
        for index, lookup in enumerate(self.lookups):
            missed = lookup.event.status in ("miss", "bypass") or lookup.event.swallowed
            if missed and lookup.prompt == prompt:
                return self.lookups.pop(index).event
        return None


_frame: Final[contextvars.ContextVar[Frame | None]] = contextvars.ContextVar("langmeter_frame", default=None)

current_frame = _frame.get
enter = _frame.set


def leave(frame: Frame, token: contextvars.Token[Frame | None]) -> bool:
    """Undo `enter`. False where that cannot be: a coroutine that is collected is closed in somebody else's context."""
    if _frame.get() is not frame:
        return False
    try:
        _frame.reset(token)
    except ValueError:
        return False
    return True
