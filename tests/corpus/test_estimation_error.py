"""How far estimates are off on real traffic: every recorded exchange whose usage is known, by provider.

Raw, and corrected by what the other recorded exchanges of the same model teach. The exchange itself is left out of what is
learnt, so each figure is a prediction. Errors are those of all tokens of a call, input and output together, as billed.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from test_recorded import EXCHANGES, RECORDINGS

from langmeter.demo.replay import Exchange, ReplayServer, Unsupported, replay_of
from langmeter.langchain import extract
from langmeter.langchain.content_size import CallContent
from langmeter.pricing.calibration import Calibration

if TYPE_CHECKING:
    from collections import Counter

    from langmeter.events import TokenUsage
    from langmeter.pricing.content_size import ContentSize

pytestmark = [
    pytest.mark.skipif(not EXCHANGES, reason=f"no recordings: {RECORDINGS} is absent"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
MANY = 20
"""Calls of a provider from which on bounds are held: fewer would test the recordings and not the estimate."""


class Case(NamedTuple):
    provider: str
    model: str
    prompt: ContentSize
    answer: ContentSize
    reported: TokenUsage

    @property
    def kind(self) -> Any:
        return "tools" if self.prompt.has_schemas else "input"

    def teach(self, table: Calibration) -> None:
        hidden = 0 if self.answer.shows_reasoning else self.reported.reasoning or 0
        table.learn(self.provider, self.model, self.kind, self.reported.input_tokens, self.prompt)
        table.learn(self.provider, self.model, "output", self.reported.output_tokens - hidden, self.answer)
        table.learn_reasoning(self.provider, self.model, hidden)

    def error(self, table: Calibration) -> float:
        """What an estimate is off, as a part of the tokens that were billed."""
        sent = table.tokens(self.provider, self.model, self.kind, self.prompt)
        hidden = 0 if self.answer.shows_reasoning else table.reasoning(self.provider, self.model)
        answered = table.tokens(self.provider, self.model, "output", self.answer) + hidden
        return abs(sent + answered - self.reported.total_tokens) / self.reported.total_tokens


class Witness(BaseCallbackHandler):
    """Takes down what LangChain tells of a call."""

    run_inline = True

    def __init__(self) -> None:
        self.content: CallContent | None = None
        self.model = ""
        self.result: Any = None

    def on_chat_model_start(self, serialized, messages, *, metadata=None, invocation_params=None, **_):
        self._start(messages[0], metadata, invocation_params)

    def on_llm_start(self, serialized, prompts, *, metadata=None, invocation_params=None, **_):
        self._start(prompts[0], metadata, None)

    def on_llm_end(self, response, **_):
        self.result = response

    def _start(self, messages, metadata, parameters):
        self.content = CallContent(messages, parameters)
        self.model = (metadata or {}).get("ls_model_name") or ""


def case_of(exchange: Exchange, address: str) -> Case | None:
    witness = Witness()
    try:
        replay = replay_of(exchange, address)
        replay.model.callbacks = [witness]
        replay.run()
    except Unsupported:
        return None
    except Exception:
        return None  # a recorded refusal
    if witness.content is None or witness.result is None:
        return None
    reported = extract.model_response(witness.result).usage.tokens
    prompt, answer = witness.content.prompt(), witness.content.answer(witness.result)
    if reported is None or not reported.input_tokens or prompt is None or answer is None:
        return None
    return Case(exchange.provider, witness.model, prompt, answer, reported)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    with ReplayServer(EXCHANGES) as server:
        found = [case_of(exchange, server.base_url) for exchange in server.exchanges]
    return [case for case in found if case is not None]


def errors(cases: list[Case], *, calibrated: bool) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        table = Calibration()
        for other in cases if calibrated else ():
            if other is not case and (other.provider, other.model) == (case.provider, case.model):
                other.teach(table)
        error = case.error(table)
        found[case.provider].append(error)
        found["all providers"].append(error)
    return {provider: sorted(values) for provider, values in found.items()}


def percent(values: list[float]) -> tuple[int, int]:
    """Median and 90th percentile."""
    return round(100 * statistics.median(values)), round(100 * values[math.ceil(0.9 * len(values)) - 1])


def test_the_error_of_estimates(cases, corpus_summary: Counter[str]):
    raw, learnt = errors(cases, calibrated=False), errors(cases, calibrated=True)
    assert len(cases) > len(EXCHANGES) / 2
    for provider, values in raw.items():
        figures = "{} / {} % off raw, {} / {} % self-calibrated".format(*percent(values), *percent(learnt[provider]))
        corpus_summary[f"{provider} calls estimated: median / 90th percentile {figures}"] = len(values)
        if len(values) >= MANY:
            assert percent(values) <= (30, 100)
            assert percent(learnt[provider]) <= (20, 100)
    assert statistics.median(learnt["all providers"]) < statistics.median(raw["all providers"])
