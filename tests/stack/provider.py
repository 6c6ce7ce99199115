"""The local provider of the cache tests: every answer names its prompt and costs what that prompt costs.

What arrives here was asked of a provider; the rest came out of a cache. That is the ground truth of every test beside it.
"""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # also in processes that pytest does not start

import openai_server
from cache_models import usage_of
from openai_server import OpenAIServer

CHAT_MODEL = "gpt-4o"
TEXT_MODEL = "gpt-3.5-turbo-instruct"
_CHAT_PRICE = (2_500_000, 1_250_000, 10_000_000)
"""Pico-dollars per token of plain input, cached input, output: 2.50, 1.25 and 10 USD per million."""
_TEXT_PRICE = (1_500_000, 1_500_000, 2_000_000)


class Bill(NamedTuple):
    """Tokens and money of some calls."""

    input_tokens: int
    output_tokens: int
    usd: Decimal


def bill(prompts, price: tuple[int, int, int] = _CHAT_PRICE) -> Bill:
    """What these prompts take and cost; a quarter of a chat model's input comes from the provider's own prompt cache."""
    input_tokens = output_tokens = picodollars = 0
    for prompt in prompts:
        usage = usage_of(prompt)
        cached = usage["input_tokens"] // 4
        input_tokens += usage["input_tokens"]
        output_tokens += usage["output_tokens"]
        plain, read, output = price
        picodollars += (usage["input_tokens"] - cached) * plain + cached * read + usage["output_tokens"] * output
    return Bill(input_tokens, output_tokens, Decimal(picodollars).scaleb(-12))


def text_bill(prompts) -> Bill:
    """The same for the text model, which has no prompt cache."""
    return bill(prompts, _TEXT_PRICE)


class Provider(OpenAIServer):
    """The OpenAI-compatible server of the integration tests; `asked()` tells which prompts reached it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._server.RequestHandlerClass = _Handler
        self._server.socket.listen(256)  # the default backlog of 5 refuses some of a crowd that comes at once

    def asked(self) -> list[str]:
        return [prompt for _, body in list(self.requests) for prompt in _prompts(body)]


class _Handler(openai_server._Handler):
    def answer(self) -> None:
        body = json.loads(self.received())
        self.server.owner.requests.append((self.path, body))
        answer = openai_server._ANSWERS[self.path](body)
        prompts = _prompts(body)
        total = bill(prompts)
        usage = {
            "prompt_tokens": total.input_tokens,
            "completion_tokens": total.output_tokens,
            "total_tokens": total.input_tokens + total.output_tokens,
        }
        if "messages" in body:
            usage["prompt_tokens_details"] = {"cached_tokens": total.input_tokens // 4}
            usage["completion_tokens_details"] = {"reasoning_tokens": total.output_tokens // 3}
        choices = [
            {**choice, "text": f"answer to {prompt}"}
            for choice, prompt in zip(answer["choices"], prompts, strict=False)
        ]
        if "messages" in body:
            choices = answer["choices"]
        self.send_json({**answer, "id": f"answer to {prompts[0]}", "choices": choices, "usage": usage})


def _prompts(body: dict) -> list[str]:
    if "messages" in body:
        return [body["messages"][-1]["content"]]
    return body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
