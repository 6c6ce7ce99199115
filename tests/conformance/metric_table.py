"""The contract of every metric: instrument, unit, buckets, type of number, attributes. See `span_table`."""

from __future__ import annotations

from typing import Literal, NamedTuple

from span_table import CACHE_STATUSES, INFERENCE, MEMORY, OPERATIONS_WITH_PRICES, SPENT, UNPRICED_REASONS, Attribute

DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
AGENT = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
WORKFLOW = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
RATE = (1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 1000)
MONEY = (0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50)
LOOKUP = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1)


class MetricType(NamedTuple):
    instrument: Literal["counter", "histogram", "gauge"]
    unit: str
    number: Literal["int", "double"]
    attributes: dict[str, Attribute]
    buckets: tuple[float, ...] = ()
    operations: tuple[str, ...] | None = None
    """Values that `gen_ai.operation.name` may have; None for metrics that do not carry it."""
    switch: str | None = None
    """The setting without which nothing is recorded."""


def _model(operations: tuple[str, ...], *, failures: bool = False, **more: Attribute) -> dict[str, Attribute]:
    """Attribute set M of the conventions."""
    found = {
        "gen_ai.operation.name": Attribute("string", "required", operations),
        "gen_ai.provider.name": Attribute("string", "required"),
        "gen_ai.request.model": Attribute("string", "required"),  # known in every scenario
        "server.address": Attribute("string"),
        "server.port": Attribute("int", "located"),
        "gen_ai.response.model": Attribute("string"),
        "openai.response.service_tier": Attribute("string", providers=("openai",)),
    }
    if failures:
        found["error.type"] = Attribute("string")
    return found | {name.replace("__", "."): row for name, row in more.items()}


def _seconds(attributes: dict[str, Attribute], operations: tuple[str, ...], switch: str | None = None) -> MetricType:
    return MetricType("histogram", "s", "double", attributes, DURATION, operations, switch)


def _tokens_spent() -> MetricType:
    modality = Attribute("string", "required", ("text", "image", "audio", "unknown"))
    return MetricType(
        "counter", "{token}", "int", _model(INFERENCE, gen_ai__token__modality=modality), operations=INFERENCE
    )


def _tokens_per_call(operations: tuple[str, ...]) -> MetricType:
    return MetricType("histogram", "{token}", "int", _model(operations), TOKENS, operations)


def _counted(
    unit: str,
    number: Literal["int", "double"],
    operations: tuple[str, ...] = OPERATIONS_WITH_PRICES,
    *,
    failures: bool = False,
    **more: Attribute,
) -> MetricType:
    attributes = _model(operations, failures=failures, **more)
    return MetricType("counter", unit, number, attributes, operations=operations)


def _unpriced(unit: str) -> MetricType:
    reason = Attribute("string", "required", UNPRICED_REASONS)
    return _counted(unit, "int", langchain__usage__unpriced__reason=reason)


def _cached(unit: str, number: Literal["int", "double"], **more: Attribute) -> MetricType:
    attributes = {
        "gen_ai.operation.name": Attribute("string", "required", OPERATIONS_WITH_PRICES),
        "gen_ai.provider.name": Attribute("string", "required"),
        "gen_ai.request.model": Attribute("string", "required"),
        "langchain.cache.type": Attribute("string"),
        **more,
    }
    return MetricType("counter", unit, number, attributes, operations=OPERATIONS_WITH_PRICES)


def _rate() -> MetricType:
    return MetricType("histogram", "{token}/s", "double", _model(INFERENCE), RATE, INFERENCE)


_REMAINING = ("retrieval", *MEMORY)
"""The operations of clients that have no metric of their own."""
_REQUIRED = Attribute("string", "required")
_NAME = Attribute("string")
_LOOKUP_STATUS = Attribute("string", "required", CACHE_STATUSES)
_FAILED = {"error.type": Attribute("string")}
_CLIENT = "gen_ai.client."
_INFERENCE_USAGE = f"{_CLIENT}inference.usage."

METRICS: dict[str, MetricType] = {
    f"{_CLIENT}inference.duration": _seconds(_model(INFERENCE, failures=True), INFERENCE),
    f"{_CLIENT}inference.time_to_first_chunk": _seconds(_model(INFERENCE), INFERENCE),
    f"{_CLIENT}inference.time_per_output_chunk": _seconds(_model(INFERENCE), INFERENCE, "time_per_output_chunk"),
    f"{_INFERENCE_USAGE}input_tokens": _tokens_spent(),
    f"{_INFERENCE_USAGE}output_tokens": _tokens_spent(),
    f"{_INFERENCE_USAGE}cache_read.input_tokens": _tokens_spent(),
    f"{_INFERENCE_USAGE}cache_write.input_tokens": _tokens_spent(),
    f"{_INFERENCE_USAGE}reasoning.output_tokens": _tokens_spent(),
    f"{_CLIENT}inference.operation.input_tokens": _tokens_per_call(INFERENCE),
    f"{_CLIENT}inference.operation.output_tokens": _tokens_per_call(INFERENCE),
    f"{_CLIENT}embeddings.duration": _seconds(_model(("embeddings",), failures=True), ("embeddings",)),
    f"{_CLIENT}embeddings.operation.input_tokens": _tokens_per_call(("embeddings",)),
    f"{_CLIENT}operation.duration": _seconds(
        _model(_REMAINING, failures=True)
        # A retriever or a store need not involve a provider or a model.
        | {"gen_ai.provider.name": _NAME, "gen_ai.request.model": _NAME},
        _REMAINING,
    ),
    "gen_ai.execute_tool.duration": MetricType(
        "histogram",
        "s",
        "double",
        {
            "gen_ai.tool.name": _REQUIRED,
            "gen_ai.tool.type": Attribute("string", "required", ("function",)),
            "gen_ai.agent.name": _NAME,
            **_FAILED,
        },
        DURATION,
    ),
    "gen_ai.invoke_agent.duration": MetricType(
        "histogram", "s", "double", {"gen_ai.agent.name": _NAME, "gen_ai.request.model": _NAME, **_FAILED}, AGENT
    ),
    "gen_ai.invoke_agent.inference_calls": MetricType(
        "histogram", "{inference_call}", "int", {"gen_ai.agent.name": _NAME}, COUNTS
    ),
    "gen_ai.invoke_agent.tool_calls": MetricType(
        "histogram", "{tool_call}", "int", {"gen_ai.agent.name": _NAME}, COUNTS
    ),
    "gen_ai.invoke_workflow.duration": MetricType(
        "histogram", "s", "double", {"gen_ai.workflow.name": _NAME, **_FAILED}, WORKFLOW
    ),
    "langchain.usage.cost": _counted(
        "{USD}",
        "double",
        langchain__usage__cost__category=Attribute(
            "string", "required", ("input", "cache_read", "cache_write", "output", "other")
        ),
        langchain__usage__cost__status=Attribute("string", "required", SPENT),
    ),
    "langchain.operation.cost": MetricType(
        "histogram",
        "{USD}",
        "double",
        _model(OPERATIONS_WITH_PRICES),
        MONEY,
        OPERATIONS_WITH_PRICES,
        "operation_cost",
    ),
    "langchain.usage.unpriced.requests": _unpriced("{request}"),
    "langchain.usage.unpriced.tokens": _unpriced("{token}"),
    "langchain.usage.estimated.input_tokens": _counted("{token}", "int"),
    "langchain.usage.estimated.output_tokens": _counted("{token}", "int", INFERENCE),
    "langchain.prompt_cache.saved.cost": _counted("{USD}", "double", INFERENCE),
    "langchain.prompt_cache.premium.cost": _counted("{USD}", "double", INFERENCE),
    "langchain.inference.requests": _counted("{request}", "int", failures=True),
    "langchain.embeddings.usage.input_tokens": _counted("{token}", "int", ("embeddings",)),
    "langchain.inference.output_rate": _rate(),
    "langchain.inference.generation_rate": _rate(),
    "langchain.cache.requests": _cached("{request}", "int", **{"langchain.cache.status": _LOOKUP_STATUS, **_FAILED}),
    "langchain.cache.lookup.duration": MetricType(
        "histogram",
        "s",
        "double",
        {"langchain.cache.status": _LOOKUP_STATUS, "langchain.cache.type": Attribute("string")},
        LOOKUP,
    ),
    "langchain.cache.saved.input_tokens": _cached("{token}", "int"),
    "langchain.cache.saved.output_tokens": _cached("{token}", "int"),
    "langchain.cache.saved.cost": _cached("{USD}", "double"),
    "langchain.cache.saved.time": _cached("s", "double"),
    "langchain.cache.lost.time": _cached("s", "double"),
    "langchain.cache.unreadable.entries": _cached("{entry}", "int"),
    "langchain.instrumentation.errors": MetricType(
        "counter", "{error}", "int", {"langchain.instrumentation.stage": _REQUIRED}
    ),
    "langchain.price.age": MetricType("gauge", "s", "double", {"langchain.price.source": _REQUIRED}),
}

_LEGACY_OPERATIONS = ("chat", "text_completion", "embeddings")
LEGACY: dict[str, MetricType] = {
    f"{_CLIENT}operation.duration": METRICS[f"{_CLIENT}operation.duration"]._replace(
        attributes=_model((*_LEGACY_OPERATIONS, *_REMAINING), failures=True)
        | {"gen_ai.provider.name": _NAME, "gen_ai.request.model": _NAME},
        operations=(*_LEGACY_OPERATIONS, *_REMAINING),
    ),
    f"{_CLIENT}token.usage": MetricType(
        "histogram",
        "{token}",
        "int",
        _model(_LEGACY_OPERATIONS, gen_ai__token__type=Attribute("string", "required", ("input", "output"))),
        TOKENS,
        _LEGACY_OPERATIONS,
    ),
    f"{_CLIENT}operation.time_to_first_chunk": _seconds(_model(INFERENCE), INFERENCE),
    f"{_CLIENT}operation.time_per_output_chunk": _seconds(_model(INFERENCE), INFERENCE),
}
"""What `legacy_metrics` adds."""


def metrics(switches: frozenset[str]) -> dict[str, MetricType]:
    """What may be recorded with these settings switched on."""
    found = {name: row for name, row in METRICS.items() if row.switch is None or row.switch in switches}
    return found | LEGACY if "legacy_metrics" in switches else found
