"""How far raw estimates are off for each model, learnt from the calls whose provider reported usage.

For each (provider, model, script class) the sum of true tokens over the sum of raw ones, older calls counting less. Apart
for prompts with tools (providers add instructions to those), prompts without, answers, and what a tokenizer counted; where
one of these is not known, the next in that order stands in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from langmeter.pricing.scripts import CLASSES, ScriptTokens

if TYPE_CHECKING:
    from langmeter.pricing.content_size import ContentSize

Kind: TypeAlias = Literal["tools", "input", "output", "tokenizer"]

_FALLBACKS: Final[dict[Kind, tuple[Kind, ...]]] = {
    "tools": ("tokenizer", "output", "input", "tools"),
    "input": ("tokenizer", "output", "input"),
    "output": ("tokenizer", "input", "output"),
    "tokenizer": ("tokenizer",),
}
"""What a factor is made from, the weakest evidence first: each refines the one before."""
_MODELS: Final = 1_024
_LEARNT_AT_FIRST: Final = 20
_LEARNT_THEN_EACH: Final = 32
_MEMORY: Final = 64.0
"""Samples after which the older ones of a kind count half: providers change tokenizers behind a name."""
_DOUBT: Final = 32.0
"""Raw tokens that have to be seen until a factor counts half: a prompt of five words teaches next to nothing."""
_PLAUSIBLE: Final = (0.1, 10.0)
"""True over raw tokens: what lies outside has another reason than the tokenizer, such as a prompt that we cannot see."""
_LARGEST_SHARE_OF_OTHERS: Final = 0.2
_REASONING_MEMORY: Final = 32.0

Sums: TypeAlias = tuple[float, float, float]
"""Samples, true tokens, raw tokens."""


class _Experience:
    """What is known of one model. Each entry is replaced as a whole, so that reading takes no lock."""

    __slots__ = ("asked", "calls", "reasoning", "sums")

    def __init__(self) -> None:
        self.calls = 0
        self.asked: frozenset[int] = frozenset()
        """Script classes that a tokenizer was asked about."""
        self.reasoning = (0.0, 0.0)
        """Answers, and their reasoning tokens."""
        self.sums: dict[tuple[Kind, int], Sums] = {}


class Calibration:
    """Factors by model. Safe from any thread without a lock; what two threads learn at one instant may count once."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[tuple[str, str], _Experience] = {}

    def __len__(self) -> int:
        return len(self._models)

    def clear(self) -> None:
        """Forget everything."""
        self._models = {}

    def is_due(self, provider: str, model: str) -> bool:
        """Whether to learn from this call: from the first twenty of a model, then from every 32nd."""
        experience = self._of(provider, model)
        experience.calls += 1
        return experience.calls <= _LEARNT_AT_FIRST or experience.calls % _LEARNT_THEN_EACH == 0

    def learn(self, provider: str, model: str, kind: Kind, tokens: int, size: ContentSize) -> None:
        """Take note of the true tokens of some content. Content with images or in several scripts teaches nothing."""
        script, raw = _dominant(size.scripts), size.raw
        if script is None or size.image_tokens or raw <= 0 or not _PLAUSIBLE[0] <= tokens / raw <= _PLAUSIBLE[1]:
            return
        sums = self._of(provider, model).sums
        samples, true_sum, raw_sum = sums.get((kind, script), (0.0, 0.0, 0.0))
        if samples >= _MEMORY:
            samples, true_sum, raw_sum = samples / 2, true_sum / 2, raw_sum / 2
        sums[kind, script] = (samples + 1, true_sum + tokens, raw_sum + raw)

    def learn_reasoning(self, provider: str, model: str, tokens: int) -> None:
        """Take note of how many tokens an answer was reasoned about out of sight."""
        experience = self._of(provider, model)
        answers, total = experience.reasoning
        if answers >= _REASONING_MEMORY:
            answers, total = answers / 2, total / 2
        experience.reasoning = (answers + 1, total + tokens)

    def tokens(self, provider: str, model: str, kind: Kind, size: ContentSize) -> float:
        """The estimate of some content: its raw size, corrected by what was learnt."""
        experience = self._models.get((provider, model))
        if experience is None:
            return size.raw + size.image_tokens
        factors = [_factor(experience.sums, kind, script) for script in range(len(CLASSES))]
        framing = size.framing * factors[_largest(size.scripts)]
        texts = sum(factor * raw for factor, raw in zip(factors, size.scripts, strict=True))
        return texts + framing + size.image_tokens

    def reasoning(self, provider: str, model: str) -> float:
        """Tokens that a model reasons out of sight, on average."""
        experience = self._models.get((provider, model))
        answers, total = experience.reasoning if experience is not None else (0.0, 0.0)
        return total / answers if answers else 0.0

    def needs_tokenizer(self, provider: str, model: str, size: ContentSize) -> bool:
        """Whether nothing is known of a model in this script, and no tokenizer was asked yet; it counts as asked now."""
        script = _dominant(size.scripts)
        if script is None:
            return False
        experience = self._of(provider, model)
        if script in experience.asked or any(key[1] == script for key in experience.sums):
            return False
        experience.asked |= {script}
        return True

    def _of(self, provider: str, model: str) -> _Experience:
        experience = self._models.get((provider, model))
        if experience is None:
            if len(self._models) >= _MODELS:
                self._models = {}
            experience = self._models[provider, model] = _Experience()
        return experience


def _factor(sums: dict[tuple[Kind, int], Sums], kind: Kind, script: int) -> float:
    factor = 1.0
    for evidence in _FALLBACKS[kind]:
        _, true_sum, raw_sum = sums.get((evidence, script), (0.0, 0.0, 0.0))
        factor = (true_sum + _DOUBT * factor) / (raw_sum + _DOUBT)
    return factor


def _largest(scripts: ScriptTokens) -> int:
    return max(range(len(scripts)), key=scripts.__getitem__)


def _dominant(scripts: ScriptTokens) -> int | None:
    """The script class of nearly all the text; None if there is none."""
    largest, total = _largest(scripts), sum(scripts)
    return largest if total > 0 and total - scripts[largest] <= _LARGEST_SHARE_OF_OTHERS * total else None


shared: Final = Calibration()
"""What this process has learnt. Shared by everything that estimates; a forked child starts with a copy."""
