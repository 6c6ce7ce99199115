"""The embeddings API of the demo's provider: texts to vectors that are near one another when the texts share words."""

from __future__ import annotations

import base64
import math
import re
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from langmeter.demo.answers import draw, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DIMENSIONS = 1_536
_STEM = 5
_WORD = re.compile(r"[a-z]{4,}|\d+")


class EmbeddingRequest(NamedTuple):
    """A request without the form that the API gives it."""

    model: str
    texts: tuple[str, ...]
    input_tokens: int
    dimensions: int = _DIMENSIONS
    packed: bool = False
    """Whether vectors shall come as base64 of 32-bit floats, which is what OpenAI's client asks for."""


def request(body: Mapping[str, Any]) -> EmbeddingRequest:
    """What a body asks for: one text or several, or the same as numbers of tokens."""
    given = body["input"]
    inputs = given if isinstance(given, list) and not _numbers(given) else [given]
    return EmbeddingRequest(
        body["model"],
        tuple(" ".join(map(str, each)) if _numbers(each) else each for each in inputs),
        sum(len(each) if _numbers(each) else tokens(each) for each in inputs),
        body.get("dimensions") or _DIMENSIONS,
        body.get("encoding_format") == "base64",
    )


def response(asked: EmbeddingRequest, model: str) -> dict[str, Any]:
    """The answer to a request."""
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector(text, asked.dimensions), asked)}
        for index, text in enumerate(asked.texts)
    ]
    usage = {"prompt_tokens": asked.input_tokens, "total_tokens": asked.input_tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def vector(text: str, dimensions: int) -> list[float]:
    """A vector of length 1: every word adds to a dimension of its own, words with the same beginning to the same one."""
    sums = [0.0] * dimensions
    for word in _WORD.findall(text.lower()):
        sums[draw(0, word[:_STEM]) % dimensions] += 1.0
    length = math.hypot(*sums)
    return [part / length for part in sums] if length else [1.0, *sums[1:]]


def _written(numbers: Sequence[float], asked: EmbeddingRequest) -> Sequence[float] | str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if asked.packed else numbers


def _numbers(given: object) -> bool:
    return isinstance(given, list) and bool(given) and isinstance(given[0], int)
