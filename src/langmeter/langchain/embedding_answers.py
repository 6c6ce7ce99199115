"""The answers of providers' embeddings clients, read into what was billed. Nothing is parsed twice, no vector is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from langmeter.langchain.embedding_frames import Report
from langmeter.langchain.names import name_in
from langmeter.pricing.charges import gateway_charge

_BEDROCK_COUNT: Final = "x-amzn-bedrock-input-token-count"
_LARGEST: Final = 2**53


def openai(answer: Any, _args: tuple[Any, ...]) -> Report:
    """OpenAI's SDK, which Azure, Fireworks, Together and many gateways are spoken to with; Azure AI inference alike."""
    usage = _field(answer, "usage")
    return Report(_tokens(usage), name_in(_field(answer, "model")), _charge(usage))


def perplexity(answer: Any, _args: tuple[Any, ...]) -> Report:
    """Perplexity's SDK: tells what the request has cost."""
    usage = _field(answer, "usage")
    cost = _field(_field(usage, "cost"), "total_cost")
    paid = cost if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < _LARGEST else None
    return Report(_tokens(usage), name_in(_field(answer, "model")), paid)


def cohere(answer: Any, _args: tuple[Any, ...]) -> Report:
    """Cohere's SDK: billed units, all batches of a request together."""
    return Report(_count(_field(_field(_field(answer, "meta"), "billed_units"), "input_tokens")))


def ollama(answer: Any, _args: tuple[Any, ...]) -> Report:
    """Ollama's client."""
    return Report(_count(_field(answer, "prompt_eval_count")), name_in(_field(answer, "model")))


def voyage(answer: Any, _args: tuple[Any, ...]) -> Report:
    """Voyage's SDK."""
    return Report(_count(_field(answer, "total_tokens")))


def google(answer: Any, _args: tuple[Any, ...]) -> Report:
    """Google's SDK: only Vertex AI counts, each text for itself."""
    vectors = _field(answer, "embeddings")
    counts = [_count(_field(_field(vector, "statistics"), "token_count")) for vector in vectors or ()]
    known = [count for count in counts if count is not None]
    return Report(sum(known) if known and len(known) == len(counts) else None)


def bedrock(answer: Any, args: tuple[Any, ...]) -> Report | None:
    """AWS' client: every service goes through it; Bedrock counts in a header, whatever the model."""
    if not args or args[0] != "InvokeModel":
        return None
    headers = _field(_field(answer, "ResponseMetadata"), "HTTPHeaders")
    count = _field(headers, _BEDROCK_COUNT)
    return Report(int(count) if isinstance(count, str) and count.isascii() and count.isdigit() else _count(count))


def nvidia(_answer: Any, args: tuple[Any, ...]) -> Report:
    """`NVIDIAEmbeddings._process_response`, which is given the body of the answer."""
    body = args[0] if args else None
    return Report(_tokens(_field(body, "usage")), name_in(_field(body, "model")))


def mistral(answer: Any, _args: tuple[Any, ...]) -> Report:
    """An HTTP response of Mistral's API, of which LangChain reads the vectors only."""
    body = getattr(answer, "content", None)
    if not isinstance(body, bytes):
        return Report()
    usage = _value_of(body, b'"usage"')
    model = _value_of(body, b'"model"')
    return Report(_tokens(usage), name_in(model))


def _value_of(body: bytes, name: bytes) -> Any:
    """The value of a member of a JSON text, found by its name: reading all the vectors beside it would take milliseconds."""
    start = body.rfind(name)
    if start < 0:
        return None
    text = body[start + len(name) : start + len(name) + 1_024].decode("utf-8", "replace").lstrip(" \t\r\n:")
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return None


def _tokens(usage: Any) -> int | None:
    """Embeddings have no output: where a server tells only the total, that is the input."""
    counted = _count(_field(usage, "prompt_tokens"))
    return counted or _count(_field(usage, "total_tokens")) or counted


def _charge(usage: Any) -> float | None:
    """What OpenRouter says it charged, told beside the tokens."""
    if usage is None or _field(usage, "cost") is None:
        return None
    told = {name: _field(usage, name) for name in ("cost", "cost_details", "is_byok")}
    return gateway_charge({"token_usage": told}, None)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _count(value: Any) -> int | None:
    """A count that can be one: Cohere and Google send theirs as floating-point numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST:
        return None
    return int(value) if value == int(value) else None
