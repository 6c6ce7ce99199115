"""Integrations that need an environment of their own: asks each once, plain and streamed, and prints what we read as JSON.

Run by `test_integrations_apart` with the interpreter of that environment.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import partner_answers as answers
from partner_server import EVENTS, JSON, Answer, LocalProvider, ask

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_CHARGED = {
    "cost": 0.00375,
    "is_byok": False,
    "cost_details": {
        "upstream_inference_cost": None,
        "upstream_inference_prompt_cost": 0.0025,
        "upstream_inference_completions_cost": 0.00125,
    },
}
_OWN_KEY = {
    "cost": 0.000175,
    "is_byok": True,
    "cost_details": {
        "upstream_inference_cost": 0.0035,
        "upstream_inference_prompt_cost": 0.0025,
        "upstream_inference_completions_cost": 0.001,
    },
}


def openrouter(url: str) -> BaseChatModel:
    from langchain_openrouter import ChatOpenRouter

    return ChatOpenRouter(model="openai/gpt-4o", api_key="no-key", base_url=url, max_retries=0)


def litellm(url: str) -> BaseChatModel:
    from langchain_litellm import ChatLiteLLM

    return ChatLiteLLM(model="openai/gpt-4o", api_key="no-key", api_base=url, max_retries=0)


def litellm_unknown(url: str) -> BaseChatModel:
    from langchain_litellm import ChatLiteLLM

    return ChatLiteLLM(model="openai/acme-7b", api_key="no-key", api_base=url, max_retries=0)


def litellm_anthropic(url: str) -> BaseChatModel:
    from langchain_litellm import ChatLiteLLM

    return ChatLiteLLM(model="anthropic/claude-sonnet-4-5", api_key="no-key", api_base=url, max_retries=0)


def vertex(url: str) -> BaseChatModel:
    from google.auth.credentials import AnonymousCredentials
    from langchain_google_vertexai import ChatVertexAI

    return ChatVertexAI(
        model="gemini-2.5-flash",
        project="p",
        location="us-central1",
        credentials=AnonymousCredentials(),
        api_transport="rest",
        api_endpoint=url,
        max_retries=1,
    )


def _gemini(usage: dict[str, Any]) -> bytes:
    return answers.json_body(answers.gemini_document(usage))


_WITHOUT_TOOLS = {**answers.GEMINI_USAGE, "toolUsePromptTokenCount": 0, "totalTokenCount": 10_700}

CALLS = {
    "openrouter": (openrouter, answers.completion(answers.OPENAI_USAGE | _CHARGED, system_fingerprint=None), JSON),
    "openrouter, stream": (
        openrouter,
        answers.completion_stream(answers.OPENAI_USAGE | _CHARGED, with_last=True),
        EVENTS,
    ),
    "openrouter, own key": (
        openrouter,
        answers.completion(answers.OPENAI_USAGE | _OWN_KEY, system_fingerprint=None),
        JSON,
    ),
    "openrouter, own key, stream": (
        openrouter,
        answers.completion_stream(answers.OPENAI_USAGE | _OWN_KEY, with_last=True),
        EVENTS,
    ),
    "litellm": (litellm, answers.completion(answers.OPENAI_USAGE, model="gpt-4o"), JSON),
    "litellm, stream": (litellm, answers.completion_stream(answers.OPENAI_USAGE, model="gpt-4o"), EVENTS),
    "litellm, unknown model": (litellm_unknown, answers.completion(answers.OPENAI_USAGE, model="acme-7b"), JSON),
    "litellm, anthropic": (litellm_anthropic, answers.message(answers.ANTHROPIC_USAGE), JSON),
    "vertex": (vertex, _gemini(_WITHOUT_TOOLS), JSON),
    "vertex, prompts of tools": (vertex, _gemini(answers.GEMINI_USAGE), JSON),
}


def main() -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # litellm would fetch its table when it is imported
    warnings.simplefilter("ignore")
    heard = {}
    with LocalProvider() as provider:
        for name, (model, body, content_type) in CALLS.items():
            provider.answer = Answer(body, content_type)
            heard[name] = ask(model(provider.url), streamed=content_type == EVENTS)
    json.dump(heard, sys.stdout)


if __name__ == "__main__":
    main()
