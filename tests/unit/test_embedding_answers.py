"""Answers of embeddings clients, whatever state they are in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from google.genai.types import ContentEmbedding, ContentEmbeddingStatistics, EmbedContentResponse
from ollama import EmbedResponse
from openai.types import CreateEmbeddingResponse

from langmeter.langchain import embedding_answers as answers
from langmeter.langchain.embedding_frames import EmbeddingFrame, Report


def openai(usage: Any, model: Any = "m") -> Any:
    return CreateEmbeddingResponse.construct(data=[], model=model, object="list", usage=usage)


def http(body: bytes) -> httpx.Response:
    return httpx.Response(200, content=body)


def vertex(*counts: float | None) -> EmbedContentResponse:
    return EmbedContentResponse(
        embeddings=[
            ContentEmbedding(values=[1.0], statistics=ContentEmbeddingStatistics(token_count=count)) for count in counts
        ]
    )


def bedrock(headers: Any) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPHeaders": headers}}


@pytest.mark.parametrize(
    ("read", "answer", "expected"),
    [
        (answers.openai, openai({"prompt_tokens": 3, "total_tokens": 3}), Report(3, "m")),
        (answers.openai, openai({"prompt_tokens": 0, "total_tokens": 3}), Report(3, "m")),
        (answers.openai, openai({"prompt_tokens": 0, "total_tokens": 0}), Report(0, "m")),
        (answers.openai, openai({"total_tokens": 3}), Report(3, "m")),
        (answers.openai, openai({"prompt_tokens": -3}), Report(None, "m")),
        (answers.openai, openai({"prompt_tokens": True}), Report(None, "m")),
        (answers.openai, openai({"prompt_tokens": "3"}), Report(None, "m")),
        (answers.openai, openai({"prompt_tokens": 2.5}), Report(None, "m")),
        (answers.openai, openai({"prompt_tokens": 1e300}), Report(None, "m")),
        (answers.openai, openai({"prompt_tokens": float("nan")}), Report(None, "m")),
        (answers.openai, openai(None), Report(None, "m")),
        (answers.openai, openai([3], model=7), Report()),
        (answers.openai, openai({"prompt_tokens": 3, "total_tokens": 3, "cost": 0.5}), Report(3, "m", 0.5)),
        (answers.openai, openai({"prompt_tokens": 3, "total_tokens": 3, "cost": "free"}), Report(3, "m")),
        (answers.openai, "nonsense", Report()),
        (answers.openai, None, Report()),
        (
            answers.perplexity,
            {"usage": {"prompt_tokens": 3, "cost": {"total_cost": 0.25}}, "model": "p"},
            Report(3, "p", 0.25),
        ),
        (answers.perplexity, {"usage": {"prompt_tokens": 3, "cost": {"total_cost": -1}}}, Report(3)),
        (answers.perplexity, {"usage": {"prompt_tokens": 3, "cost": 0.25}}, Report(3)),
        (
            answers.cohere,
            SimpleNamespace(meta=SimpleNamespace(billed_units=SimpleNamespace(input_tokens=5.0))),
            Report(5),
        ),
        (answers.cohere, SimpleNamespace(meta=None), Report()),
        (answers.ollama, EmbedResponse(model="n", embeddings=[[1.0]], prompt_eval_count=6), Report(6, "n")),
        (answers.ollama, EmbedResponse(model="n", embeddings=[[1.0]]), Report(None, "n")),
        (answers.voyage, SimpleNamespace(embeddings=[[1.0]], total_tokens=8), Report(8)),
        (answers.google, vertex(2.0, 3.0), Report(5)),
        (answers.google, vertex(2.0, None), Report()),
        (answers.google, EmbedContentResponse(embeddings=[ContentEmbedding(values=[1.0])]), Report()),
        (answers.google, EmbedContentResponse(), Report()),
        (
            answers.mistral,
            http(b'{"model":"mistral-embed","usage":{"prompt_tokens":7,"total_tokens":7}}'),
            Report(7, "mistral-embed"),
        ),
        (answers.mistral, http(b'{"usage" : { "prompt_tokens" : 7 }, "data":[{"embedding":[1]}]}'), Report(7)),
        (answers.mistral, http(b'{"usage":{"prompt_tokens":'), Report()),
        (answers.mistral, http(b'{"data":[]}'), Report()),
        (answers.mistral, http(b"\xff\xfe"), Report()),
        (answers.mistral, None, Report()),
    ],
)
def test_what_an_answer_says(read, answer, expected):
    assert read(answer, ()) == expected


@pytest.mark.parametrize(
    ("operation", "headers", "expected"),
    [
        ("InvokeModel", {"x-amzn-bedrock-input-token-count": "12"}, Report(12)),
        ("InvokeModel", {"x-amzn-bedrock-input-token-count": "twelve"}, Report()),
        ("InvokeModel", {}, Report()),
        ("InvokeModel", None, Report()),
        ("GetObject", {"x-amzn-bedrock-input-token-count": "12"}, None),
    ],
)
def test_the_header_of_bedrock(operation, headers, expected):
    assert answers.bedrock(bedrock(headers), (operation, {})) == expected


def test_nvidia_is_read_before_langchain_takes_it_apart():
    body = {"usage": {"prompt_tokens": 4, "total_tokens": 4}, "model": "nv"}
    assert answers.nvidia([[1.0]], (body,)) == Report(4, "nv")
    assert answers.nvidia([[1.0]], ()) == Report()


def test_a_long_body_is_not_parsed():
    """The vectors of a thousand texts are megabytes."""
    vectors = b",".join(b"[0.123456789]" for _ in range(100_000))
    body = b'{"model":"m","data":[' + vectors + b'],"usage":{"prompt_tokens":7}}'
    assert answers.mistral(http(body), ()) == Report(7, "m")


def test_reports_are_summed_and_one_unknown_makes_the_sum_unknown():
    frame = EmbeddingFrame(None, None, 0.0)
    frame.reports += [Report(3, "m", 0.5), Report(4, None, 0.25)]
    response = frame.response()
    assert (response.usage.tokens.input_tokens, response.model, response.usage.cost_usd) == (7, "m", 0.75)
    frame.reports.append(Report())
    response = frame.response()
    assert (response.usage.tokens, response.model, response.usage.cost_usd) == (None, "m", None)
