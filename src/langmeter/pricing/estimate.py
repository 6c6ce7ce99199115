"""Tokens where a provider reported none: estimated from the length of the text, corrected by what its model taught us.

An estimate is never mixed with what a provider reports. It costs microseconds on the thread of the call, whatever the
length of the text; what takes longer is left to the worker. No network, no file, and no text that outlives its call.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from langmeter import worker
from langmeter.boundary import shield
from langmeter.errors import SettingsError
from langmeter.events import Cost, ReportedUsage, TokenUsage
from langmeter.pricing import calibration
from langmeter.pricing.content_size import ContentSize, prompt_size
from langmeter.pricing.quote import price
from langmeter.pricing.scripts import script_tokens
from langmeter.pricing.tokenizer import Tokenizer

if TYPE_CHECKING:
    from langmeter.events import ModelCall
    from langmeter.settings import Settings

_NOTHING_REPORTED: Final = ReportedUsage()
_SAMPLE: Final = 16_384
"""Characters given to a tokenizer: 4,000 tokens, 4 ms."""


class Content(Protocol):
    """The prompt and the answer of one call, as the edge keeps them until the call has ended."""

    shares_usage: bool
    """Whether the usage of this call is that of other prompts too."""

    def is_small(self, answer: object) -> bool:
        """Whether measuring takes a few microseconds only."""

    def prompt(self) -> ContentSize | None:
        """The size of the prompt; None if it cannot be told."""

    def answer(self, answer: object) -> ContentSize | None:
        """The size of the answer, empty if there is none; None if it cannot be told."""

    def sample(self, answer: object, characters: int) -> list[str]:
        """At most so many characters of the text of both."""


class Estimator:
    """Estimates what finished calls used where nobody said so, and learns from those where the provider did.

    Safe from any thread. Raises only what reading the application's messages raises.
    """

    __slots__ = ("_calibration", "_download", "_downloading", "_tokenizer")

    def __init__(self, settings: Settings) -> None:
        self._calibration = calibration.shared
        self._download = settings.tiktoken_download
        self._downloading = False
        self._tokenizer = Tokenizer(download=self._download)

    def completed(self, call: ModelCall, content: Content, answer: object) -> ModelCall:
        """The call with an estimate of what the provider did not report; the same call where it reported everything.

        Args:
            call: a call that went to a provider.
            content: its prompt, and how to measure it.
            answer: what had arrived of its answer, as the edge knows it; None for nothing.
        """
        response = call.response
        usage = _NOTHING_REPORTED if response is None else response.usage
        tokens = usage.tokens
        if tokens is None:
            missing = usage.cost_usd is None and not (response is not None and response.usage_counted_elsewhere)
            estimated = self._all_of(call, content, answer) if missing and _was_sent(call) else None
        elif call.streamed and response is not None and not response.finish_reasons:
            estimated = self._beyond(call, tokens, content, answer)
        else:
            if call.failure is None and tokens.consistent and not content.shares_usage:
                self._learn(call, tokens, content, answer)
            return call
        return call if estimated is None else call._replace(estimated=estimated)

    # -- estimates -------------------------------------------------------------------------------------------------

    def _all_of(self, call: ModelCall, content: Content, answer: object) -> TokenUsage | None:
        """Input and output; None where one of the two cannot be measured, or LangChain does not show what arrived."""
        prompt, answered = content.prompt(), content.answer(answer)
        hidden = answer is None and not (answered is not None and answered.raw) and call.time_to_first_chunk is not None
        if prompt is None or answered is None or hidden:
            return None
        provider, model = _names(call)
        tokens = self._calibration.tokens
        sent = tokens(provider, model, "tools" if prompt.has_schemas else "input", prompt)
        output = self._output(call, answered)
        if self._calibration.needs_tokenizer(provider, model, prompt):
            self._ask_tokenizer(functools.partial(self._count, provider, model, content, answer))
        return TokenUsage(_whole(sent), _whole(output), input_image=prompt.image_tokens or None)

    def _beyond(self, call: ModelCall, reported: TokenUsage, content: Content, answer: object) -> TokenUsage | None:
        """The output beyond what was reported: a stream that broke off may have told its input and no output yet.

        Only where the text is plainly longer than the report: half as much again is within the error of an estimate.
        """
        answered = content.answer(answer)
        if answered is None:
            return None
        output = _whole(self._output(call, answered))
        return TokenUsage(0, output - reported.output_tokens) if output > 2 * reported.output_tokens else None

    def _output(self, call: ModelCall, answered: ContentSize) -> float:
        if not answered.raw and not answered.image_tokens:
            return 0.0
        provider, model = _names(call)
        hidden = 0.0 if answered.shows_reasoning else self._calibration.reasoning(provider, model)
        return self._calibration.tokens(provider, model, "output", answered) + hidden

    # -- learning --------------------------------------------------------------------------------------------------

    def _learn(self, call: ModelCall, tokens: TokenUsage, content: Content, answer: object) -> None:
        provider, model = _names(call)
        if not self._calibration.is_due(provider, model):
            return
        if content.is_small(answer):
            self._compare(provider, model, tokens, content, answer)
        else:
            worker.submit(functools.partial(self._compare, provider, model, tokens, content, answer))

    def _compare(self, provider: str, model: str, tokens: TokenUsage, content: Content, answer: object) -> None:
        """Hold what was reported against what we would have estimated."""
        with shield("calibration"):
            learn = self._calibration.learn
            prompt, answered = content.prompt(), content.answer(answer)
            if prompt is not None:
                learn(provider, model, "tools" if prompt.has_schemas else "input", tokens.input_tokens, prompt)
            if answered is None or tokens.output_audio or tokens.output_image:
                return
            hidden = 0 if answered.shows_reasoning else min(tokens.reasoning or 0, tokens.output_tokens)
            learn(provider, model, "output", tokens.output_tokens - hidden, answered)
            self._calibration.learn_reasoning(provider, model, hidden)

    def _count(self, provider: str, model: str, content: Content, answer: object) -> None:
        """Hold what a tokenizer counts against what we would have estimated."""
        with shield("tokenizer"):
            texts = content.sample(answer, _SAMPLE)
            tokens = self._tokenizer.count(model, texts)
            if tokens is not None:
                size = ContentSize(script_tokens(texts))
                self._calibration.learn(provider, model, "tokenizer", tokens, size)

    def _ask_tokenizer(self, job: worker.Job) -> None:
        if not self._download:
            worker.submit(job)
        elif not self._downloading:
            # A thread of its own: the worker has other jobs than to wait for a network.
            self._downloading = True
            threading.Thread(target=self._alone, args=(job,), name="langmeter-tokenizer", daemon=True).start()

    def _alone(self, job: worker.Job) -> None:
        try:
            with suppress_instrumentation():
                job()
        finally:
            self._downloading = False


def _was_sent(call: ModelCall) -> bool:
    """Whether somebody may bill for the call: not for one that failed before any output; one that was left may be."""
    failure, lookup = call.failure, call.cache
    if failure is None or call.time_to_first_chunk is not None:
        return True
    left = lookup is None or lookup.status != "error" or lookup.swallowed
    return left and failure.kind != "error" and not failure.refused


def _whole(tokens: float) -> int:
    """Tokens as a whole number: what is there at all has one."""
    return max(1, round(tokens)) if tokens > 0 else 0


def _names(call: ModelCall) -> tuple[str, str]:
    request, response = call.request, call.response
    return request.provider, request.model or (response.model if response is not None else None) or ""


def total_usage(call: ModelCall, reported: ReportedUsage) -> ReportedUsage:
    """What a call used by report and by estimate together: what its cost is made of."""
    estimated = call.estimated
    if estimated is None:
        return reported
    tokens = reported.tokens
    if tokens is None:
        return reported._replace(tokens=estimated)
    output = tokens.output_tokens + estimated.output_tokens
    return reported._replace(tokens=tokens._replace(output_tokens=output))


def marked(cost: Cost) -> Cost:
    """The cost of estimated tokens, marked as such. What does not depend on tokens keeps its status."""
    return cost._replace(status="estimated") if cost.status in ("priced", "partial") else cost


def estimate(messages: object, *, provider: str, model: str, max_tokens: int | None = None) -> Cost:
    """What sending `messages` would cost, in US dollars, before they are sent: `input`, and `output` up to `max_tokens`.

    Without `max_tokens` only the input is in it, because nothing bounds the output; with it, the amount is an upper bound
    as far as the output goes. The input is an estimate either way (within about 20 % for English, better once this process
    has made calls to the model): the status is `estimated`, or `unpriced` where the model is not known or the messages
    hold sound, films or files, whose size nothing tells. An image counts as 765 tokens, 85 in low detail. Nothing is
    fetched from the network; the first call loads the price table (about 70 ms). Safe to call from any thread.

    Args:
        messages: a text, messages of LangChain, mappings with `role` and `content`, or (role, text) pairs.
        provider: LangChain's provider name (`openai`, `bedrock_converse`, …) or a `gen_ai.provider.name`.
        model: the model's name.
        max_tokens: the most tokens that the answer may have.

    Raises:
        SettingsError: `messages` holds something that is not a message, or `max_tokens` is not a number of at least 0.
    """
    _check_limit(max_tokens)
    tokens = estimated_input(messages, provider=provider, model=model)
    if tokens is None:
        return Cost("unpriced", reason="no_usage")
    output = max_tokens or 0
    usage = {"input_tokens": tokens, "output_tokens": output, "total_tokens": tokens + output}
    return marked(price(provider=provider, model=model, usage_metadata=usage))


def _check_limit(max_tokens: object) -> None:
    whole = isinstance(max_tokens, int) and not isinstance(max_tokens, bool)
    if max_tokens is not None and not (whole and max_tokens >= 0):  # type: ignore[operator]  # a whole number by now
        raise SettingsError(f"max_tokens must be a whole number of at least 0, got {max_tokens!r:.80}")


def estimated_input(messages: object, *, provider: str, model: str) -> int | None:
    """The tokens of a prompt, as `estimate` counts them; None if its size cannot be told.

    Raises:
        SettingsError: `messages` holds something that is not a message.
    """
    shaped = getattr(messages, "messages", messages)  # a prompt value of LangChain
    try:
        size = prompt_size([shaped] if isinstance(shaped, str) else shaped)
    except TypeError as error:
        raise SettingsError(str(error)) from None
    return None if size is None else _whole(calibration.shared.tokens(provider, model, "input", size))
