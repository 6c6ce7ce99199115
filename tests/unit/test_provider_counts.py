"""Answers without LangChain's own usage: the provider's counts, by whatever names, in billed tokens."""

import pytest
from langchain_core.outputs import Generation, LLMResult

from langmeter.events import ReportedUsage, TokenUsage
from langmeter.langchain.extract import model_response

COUNTS = {
    "OpenAI": (
        {"prompt_tokens": 50, "completion_tokens": 12, "total_tokens": 62},
        TokenUsage(50, 12),
    ),
    "OpenAI's details": (
        {
            "prompt_tokens": 50,
            "completion_tokens": 12,
            "total_tokens": 62,
            "prompt_tokens_details": {"cached_tokens": 30},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
        TokenUsage(50, 12, 30, reasoning=4),
    ),
    "Anthropic leaves cached tokens out of the input": (
        {
            "input_tokens": 50,
            "output_tokens": 12,
            "cache_read_input_tokens": 3_000,
            "cache_creation_input_tokens": 9_000,
        },
        TokenUsage(12_050, 12, 3_000, 9_000),
    ),
    "Amazon Bedrock does so too, and counts them in the total": (
        {
            "prompt_tokens": 50,
            "completion_tokens": 12,
            "cache_read_input_tokens": 3_000,
            "cache_write_input_tokens": 9_000,
            "total_tokens": 12_062,
        },
        TokenUsage(12_050, 12, 3_000, 9_000),
    ),
    "litellm includes them": (
        {
            "prompt_tokens": 12_050,
            "completion_tokens": 12,
            "total_tokens": 12_062,
            "prompt_tokens_details": {"cached_tokens": 3_000},
            "cache_read_input_tokens": 3_000,
            "cache_creation_input_tokens": 9_000,
        },
        TokenUsage(12_050, 12, 3_000),
    ),
    "garbage beside counts": (
        {"prompt_tokens": 50, "completion_tokens": 12, "cache_read_input_tokens": "many", "total_tokens": "few"},
        TokenUsage(50, 12),
    ),
    "only garbage": ({"prompt_tokens": "many", "cache_read_input_tokens": 3}, None),
}


@pytest.mark.parametrize("name", ["token_usage", "usage"])
@pytest.mark.parametrize(("counts", "expected"), COUNTS.values(), ids=COUNTS)
def test_a_providers_own_counts_are_read_in_billed_tokens(counts, expected, name):
    result = LLMResult(generations=[[Generation(text="Hello.")]], llm_output={name: counts})
    assert model_response(result).usage == ReportedUsage(expected)
