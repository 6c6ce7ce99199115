"""Malformed answers, names and errors: the application never notices us, every span ends, and what we export can be exported."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    GenerationChunk,
    LLMResult,
)
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from langmeter import boundary, semconv

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


TEN_MEGABYTES = "x" * 10_000_000
LONG = "y" * 100_000
SURROGATE = "gpt-\ud800"


class Thorny:
    """Whatever is asked of it, it raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __repr__(self) -> str:
        return "Thorny()"


class ThornyMapping(Mapping):
    """A mapping whose every method raises."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no item")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no iteration")

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "ThornyMapping()"


class MuteError(Exception):
    def __str__(self) -> str:
        # Its `__repr__` works: asyncio itself does not survive a task whose exception has none.
        raise RuntimeError("no message")


class Beyond(BaseException):
    """Not an `Exception`: it must pass through everything."""


# -- models that answer as they are told -----------------------------------------------------------------------------------


class Chat(BaseChatModel):
    """A chat model that does whatever `behave` says."""

    behave: Any
    model: Any = "hostile"

    @property
    def _llm_type(self) -> str:
        return "hostile"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return self.behave()


class StreamedChat(Chat):
    """The same, chunk by chunk."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self.behave():
            if run_manager:
                run_manager.on_llm_new_token(getattr(chunk, "text", ""), chunk=chunk)
            yield chunk


class Text(BaseLLM):
    """A text model that does whatever `behave` says."""

    behave: Any
    model: Any = "hostile"

    @property
    def _llm_type(self) -> str:
        return "hostile"

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs):
        return self.behave()


class StreamedText(Text):
    def _stream(self, prompt, stop=None, run_manager=None, **kwargs):
        for chunk in self.behave():
            if run_manager:
                run_manager.on_llm_new_token(getattr(chunk, "text", ""), chunk=chunk)
            yield chunk


def _message(kind: type[AIMessage] = AIMessage, **fields: Any) -> AIMessage:
    """A message with fields that the constructor would refuse."""
    plain = {
        "content": "hi",
        "additional_kwargs": {},
        "response_metadata": {},
        "tool_calls": [],
        "invalid_tool_calls": [],
    }
    if kind is AIMessageChunk:
        plain["tool_call_chunks"] = []
    return kind.model_construct(**{**plain, **fields})


def _chat(*generations: Any, **fields: Any) -> ChatResult:
    return ChatResult.model_construct(generations=list(generations), **fields)


def _generation(message: Any, **fields: Any) -> ChatGeneration:
    return ChatGeneration.model_construct(message=message, text="hi", **fields)


def _answer(**fields: Any) -> Callable[[], ChatResult]:
    """A chat answer whose message has these fields."""
    return lambda: _chat(_generation(_message(**fields)))


def _raise(error: Callable[[], BaseException]) -> Callable[[], Any]:
    def behave() -> Any:
        raise error()

    return behave


GOOD_USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}

USAGES: dict[str, Any] = {
    "list": [1, 2],
    "string": "many",
    "object": SimpleNamespace(input_tokens=3, output_tokens=4, total_tokens=7),
    "strings": {"input_tokens": "3", "output_tokens": "4", "total_tokens": "7"},
    "negative": {"input_tokens": -3, "output_tokens": -4, "total_tokens": -7},
    "one negative": {"input_tokens": 3, "output_tokens": -4, "total_tokens": -1},
    "nan": {"input_tokens": float("nan"), "output_tokens": float("nan"), "total_tokens": float("nan")},
    "infinite": {"input_tokens": float("inf"), "output_tokens": 1, "total_tokens": float("inf")},
    "huge": {"input_tokens": 10**400, "output_tokens": 10**30, "total_tokens": 10**400},
    "beyond int64": {"input_tokens": 2**63, "output_tokens": 2**63 - 1, "total_tokens": 2**64},
    "booleans": {"input_tokens": True, "output_tokens": False, "total_tokens": True},
    "nulls": {"input_tokens": None, "output_tokens": None, "total_tokens": None},
    "fractions": {"input_tokens": 3.0, "output_tokens": 4.5, "total_tokens": 7.5},
    "half": {"input_tokens": 3},
    "empty": {},
    "odd keys": {1: 2, None: 3, **GOOD_USAGE},
    "details list": {**GOOD_USAGE, "input_token_details": [1], "output_token_details": "x"},
    "details null": {**GOOD_USAGE, "input_token_details": None, "output_token_details": {"reasoning": None}},
    "details larger than the whole": {
        **GOOD_USAGE,
        "input_token_details": {"cache_read": 900, "cache_creation": 10**30},
    },
    "details nan": {**GOOD_USAGE, "output_token_details": {"reasoning": float("nan")}},
    "details thorny": {**GOOD_USAGE, "input_token_details": {"cache_read": Thorny()}},
    "cost text": {**GOOD_USAGE, "total_cost": "free"},
    "cost thorny": {**GOOD_USAGE, "total_cost": Thorny()},
    "thorny": Thorny(),
    "thorny mapping": ThornyMapping(),
    "thorny counts": {"input_tokens": Thorny(), "output_tokens": Thorny()},
}

METADATA: dict[str, Any] = {
    "null": None,
    "list": ["x"],
    "odd keys": {1: 2, None: 3},
    "numbers": {"model_name": 5, "id": 6, "finish_reason": 7, "service_tier": 8, "system_fingerprint": 9},
    "bytes": {"model_name": b"gpt", "id": b"1", "finish_reason": b"stop"},
    "surrogates": {"model_name": SURROGATE, "id": SURROGATE, "finish_reason": SURROGATE, "service_tier": SURROGATE},
    "endless": {"model_name": TEN_MEGABYTES, "id": LONG, "finish_reason": LONG, "service_tier": LONG},
    "nested": {"model_name": {"a": 1}, "finish_reason": ["stop"], "token_usage": [1], "service_tier": {}},
    "objects": {"finish_reason": SimpleNamespace(value=SimpleNamespace()), "id": object},
    "thorny values": {"model_name": Thorny(), "id": Thorny(), "finish_reason": Thorny(), "service_tier": Thorny()},
    "thorny": ThornyMapping(),
    "usage elsewhere": {"token_usage": {"prompt_tokens": "x", "completion_tokens": -1}},
    "controls": {"model_name": "a\x00b\n\t", "finish_reason": ""},
}

TOOL_CALLS: dict[str, Any] = {
    "null": None,
    "string": "x",
    "mapping": {"name": "x"},
    "nulls": [None],
    "no name": [{}],
    "odd names": [{"name": None, "id": 4}, {"name": b"x", "args": "not json"}, {"name": SURROGATE, "id": SURROGATE}],
    "objects": [SimpleNamespace(name="x"), Thorny()],
    "endless": [{"name": TEN_MEGABYTES, "args": {}, "id": LONG}],
}

SHAPES: dict[str, Callable[[], Any]] = {
    "no generations": _chat,
    "generations null": lambda: ChatResult.model_construct(generations=None),
    "list in list": lambda: _chat([]),
    "generation null": lambda: _chat(None),
    "generation string": lambda: _chat("hi"),
    "message null": lambda: _chat(_generation(None)),
    "message string": lambda: _chat(_generation("hi")),
    "message of a person": lambda: _chat(_generation(HumanMessage("hi"))),
    "good and bad": lambda: _chat(_generation(_message(usage_metadata=GOOD_USAGE)), None, "x"),
    "bad and good": lambda: _chat(_generation(None), _generation(_message(usage_metadata=GOOD_USAGE))),
    "generation info list": lambda: _chat(_generation(_message(), generation_info=["x"])),
    "generation info null": lambda: _chat(_generation(_message(), generation_info=None)),
    "output list": lambda: _chat(_generation(_message()), llm_output=["x"]),
    "output string": lambda: _chat(_generation(_message()), llm_output="x"),
    "output odd": lambda: _chat(_generation(_message()), llm_output={"token_usage": [3], "model_name": 4, "id": b"x"}),
    "output thorny": lambda: _chat(
        _generation(_message()), llm_output={"token_usage": Thorny(), "model_name": Thorny()}
    ),
    "not a result": lambda: "hi",
    "nothing": lambda: None,
    "content null": lambda: _chat(_generation(_message(content=None))),
    "id number": lambda: _chat(_generation(_message(id=5))),
    "no fields at all": lambda: _chat(_generation(AIMessage.model_construct())),
}

ERRORS: dict[str, Callable[[], BaseException]] = {
    "mute": MuteError,
    "base exception": lambda: Beyond("out"),
    "keyboard interrupt": KeyboardInterrupt,
    "system exit": lambda: SystemExit(3),
    "generator exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "endless message": lambda: ValueError(TEN_MEGABYTES),
    "surrogate message": lambda: ValueError(SURROGATE),
    "group": lambda: ExceptionGroup("several", [ValueError("a"), MuteError()]),
    "stop async iteration": StopAsyncIteration,
    "no module": lambda: type("Homeless", (Exception,), {"__module__": None})("x"),
    "surrogate name": lambda: type(SURROGATE, (Exception,), {})("x"),
    "endless name": lambda: type(LONG, (Exception,), {})("x"),
    "thorny arguments": lambda: ValueError(Thorny()),
}


ANSWERS: dict[str, Callable[[], Any]] = (
    {f"usage {name}": _answer(usage_metadata=value) for name, value in USAGES.items()}
    | {f"metadata {name}": _answer(response_metadata=value) for name, value in METADATA.items()}
    | {f"tool calls {name}": _answer(tool_calls=value) for name, value in TOOL_CALLS.items()}
    | SHAPES
    | {f"error {name}": _raise(value) for name, value in ERRORS.items()}
)


def _chunk(**fields: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk.model_construct(message=_message(AIMessageChunk, **fields), text="hi")


def _chunks_then(error: Callable[[], BaseException]) -> Callable[[], Iterator[Any]]:
    def behave() -> Iterator[Any]:
        yield _chunk()
        raise error()

    return behave


STREAMS: dict[str, Callable[[], Any]] = (
    {
        f"usage {name}": lambda value=value: iter([_chunk(), _chunk(usage_metadata=value)])
        for name, value in USAGES.items()
    }
    | {
        f"metadata {name}": lambda value=value: iter([_chunk(response_metadata=value)])
        for name, value in METADATA.items()
    }
    | {
        "nothing": lambda: iter([]),
        "null": lambda: iter([None]),
        "message null": lambda: iter([ChatGenerationChunk.model_construct(message=None, text="")]),
        "not a chunk": lambda: iter([_generation(_message())]),
        "chunk then null": lambda: iter([_chunk(), None]),
    }
    | {f"error {name}": _chunks_then(value) for name, value in ERRORS.items()}
)


def _text(*generations: Any, **fields: Any) -> Callable[[], LLMResult]:
    return lambda: LLMResult.model_construct(generations=[list(generations)], **fields)


def _said(info: Any = None) -> Generation:
    return Generation.model_construct(text="hi", generation_info=info)


TEXTS: dict[str, Callable[[], Any]] = (
    {
        "no generations": _text(),
        "no prompts": lambda: LLMResult.model_construct(generations=[]),
        "generations null": lambda: LLMResult.model_construct(generations=None),
        "generation null": _text(None),
        "output list": _text(_said(), llm_output=["x"]),
        "output null": _text(_said(), llm_output=None),
        "info list": _text(_said(["x"])),
        "info thorny": _text(_said(ThornyMapping())),
        "info odd": _text(_said({"finish_reason": Thorny(), "model_name": b"x", 3: 4})),
        "nothing": lambda: None,
    }
    | {
        f"usage {name}": _text(_said(), llm_output={"token_usage": value, "model_name": "m"})
        for name, value in USAGES.items()
    }
    | {f"error {name}": _raise(value) for name, value in ERRORS.items()}
)


# -- every way to call a model ------------------------------------------------------------------------------------------


STREAMED_WAYS = ("stream", "astream")
# asyncio itself leaves tasks behind when one of these escapes from a task: nothing to learn about us there.
_ENDS_THE_LOOP = {"error keyboard interrupt", "error system exit", "error generator exit"}


def _pairs(cases: dict[str, Any], ways: Any) -> Any:
    """Every case in every way, as a parametrisation."""
    pairs = [(case, way) for case in cases for way in ways if not (way.startswith("a") and case in _ENDS_THE_LOOP)]
    return pytest.mark.parametrize(("case", "way"), pairs, ids=[f"{case}-{way}" for case, way in pairs])


def _prompt(model: Any) -> Any:
    return [[HumanMessage("hi")]] if isinstance(model, BaseChatModel) else ["hi"]


async def _read(stream: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in stream]


WAYS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "invoke": lambda model, config: model.invoke("hi", config),
    "ainvoke": lambda model, config: asyncio.run(model.ainvoke("hi", config)),
    "batch": lambda model, config: model.batch(["hi"], config),
    "abatch": lambda model, config: asyncio.run(model.abatch(["hi"], config)),
    "generate": lambda model, config: model.generate(_prompt(model), **config),
    "agenerate": lambda model, config: asyncio.run(model.agenerate(_prompt(model), **config)),
    "stream": lambda model, config: list(model.stream("hi", config)),
    "astream": lambda model, config: asyncio.run(_read(model.astream("hi", config))),
}


def _outcome(model: Any, way: str, config: dict[str, Any] | None = None) -> tuple[str, str]:
    """What the application gets: its text form, run ids aside, and the type of an exception."""
    try:
        result = WAYS[way](model, config or {})
    except BaseException as error:
        return type(error).__name__, _without_run_ids(_described(error))
    return "", _without_run_ids(repr(result))


def _described(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:
        return "mute"


def _without_run_ids(text: str) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]+", "…", text.replace(TEN_MEGABYTES, "endless"))


def _check(make_model: Callable[[], Any], way: str, make_telemetry: Any, config: dict[str, Any] | None = None) -> None:
    """The same outcome as alone; one call, closed and countable, sampled or not."""
    alone = _outcome(make_model(), way, config)
    figures = [
        _figures_beside(make_model, way, make_telemetry(sampler), alone, config) for sampler in (ALWAYS_ON, ALWAYS_OFF)
    ]
    assert figures[0] == figures[1]  # metrics do not depend on sampling


def _figures_beside(make_model: Any, way: str, telemetry: Any, alone: tuple[str, str], config: Any) -> dict[str, Any]:
    import langmeter
    from langmeter.langchain import instrumentor

    boundary.reset_counts()
    open_before = instrumentor.open_runs()  # what an earlier test has leaked is that test's failure
    langmeter.instrument(**telemetry.providers)
    try:
        observed = _outcome(make_model(), way, config)
        left_open = instrumentor.open_runs() - open_before
    finally:
        langmeter.uninstrument()
    assert observed == alone
    assert left_open <= 0
    _check_spans(telemetry, alone)
    figures = _figures(telemetry.metrics())
    assert sum(value for (name, _), value in figures.items() if name == semconv.REQUESTS.name) == 1
    assert sum(value for (name, _), value in figures.items() if name == semconv.INFERENCE_DURATION.name) == 1
    _check_exportable(telemetry)
    return figures


def _check_spans(telemetry: Any, alone: tuple[str, str]) -> None:
    spans = telemetry.spans()
    sampled = telemetry.tracer_provider.sampler is ALWAYS_ON
    assert len(spans) == (1 if sampled else 0)
    for span in spans:
        assert span.end_time is not None
        if not alone[0]:
            assert semconv.ERROR_TYPE not in span.attributes
        for key, value in span.attributes.items():
            assert len(str(value)) <= 20_000, f"{key} has {len(str(value))} characters"
            if key.startswith("gen_ai.usage."):
                assert type(value) is int
                assert value >= 0


def _figures(metrics: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Everything but time: totals by attributes, and how often each histogram was recorded.

    Generation speed is left out: it is recorded only where the chunks took long enough to tell.
    """
    return {
        (name, repr(sorted(attributes.items()))): value.count if isinstance(value, HistogramDataPoint) else value
        for name, points in metrics.items()
        if name != semconv.GENERATION_RATE.name
        for attributes, value in points
    }


def _check_exportable(telemetry: Any) -> None:
    """What the OTLP exporter cannot encode takes the whole batch down with it."""
    encode_spans(telemetry.spans()).SerializeToString()
    encode_metrics(telemetry._reader.get_metrics_data()).SerializeToString()
    encode_logs(telemetry.logs()).SerializeToString()


@pytest.fixture(autouse=True)
def _as_in_production() -> Iterator[None]:
    """Values that raise when touched are swallowed behind the wall, as they would be in an application."""
    boundary.set_strict(False)
    yield
    boundary.reset_counts()


@_pairs(ANSWERS, WAYS)
def test_chat_answers(case, way, make_telemetry):
    _check(lambda: Chat(behave=ANSWERS[case]), way, make_telemetry)


@_pairs(STREAMS, STREAMED_WAYS)
def test_chat_streams(case, way, make_telemetry):
    _check(lambda: StreamedChat(behave=STREAMS[case]), way, make_telemetry)


@_pairs(TEXTS, WAYS)
def test_text_answers(case, way, make_telemetry):
    _check(lambda: Text(behave=TEXTS[case]), way, make_telemetry)


@_pairs({f"error {name}": None for name in ERRORS}, STREAMED_WAYS)
def test_text_streams(case, way, make_telemetry):
    def behave() -> Iterator[Any]:
        yield GenerationChunk(text="hi", generation_info={"finish_reason": Thorny()})
        raise ERRORS[case.removeprefix("error ")]()  # noqa: RSE102  (some are factories)

    _check(lambda: StreamedText(behave=behave), way, make_telemetry)


GOOD = _answer(usage_metadata=GOOD_USAGE)
NAMES: dict[str, Any] = {
    "number": 5,
    "bytes": b"gpt",
    "null": None,
    "empty": "",
    "surrogate": SURROGATE,
    "endless": TEN_MEGABYTES,
    "list": ["gpt"],
    "control": "a\x00b\n",
    "thorny": Thorny(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_model_names(name, way, make_telemetry):
    _check(lambda: Chat(behave=GOOD, model=NAMES[name]), way, make_telemetry)


RUN_METADATA: dict[str, Any] = {
    "numbers": {"ls_model_name": 5, "ls_provider": 6, "thread_id": 7, "ls_temperature": "warm", "ls_max_tokens": "all"},
    "nulls": {"ls_model_name": None, "ls_provider": None, "thread_id": None},
    "nested": {"ls_provider": {"a": [1]}, "session_id": [1], "tenant": {"a": object()}},
    "bytes": {"ls_provider": b"x", "ls_model_name": b"y", "conversation_id": b"z"},
    "surrogates": {"ls_provider": SURROGATE, "ls_model_name": SURROGATE, "thread_id": SURROGATE},
    "endless": {"ls_provider": LONG, "ls_model_name": TEN_MEGABYTES, "thread_id": LONG},
    "odd keys": {5: 6, None: 7, ("a",): 8},
    "thorny": {"ls_provider": Thorny(), "ls_model_name": Thorny(), "thread_id": Thorny(), "ls_stop": Thorny()},
    "not finite": {"ls_temperature": float("nan"), "ls_max_tokens": 10**400},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RUN_METADATA)
def test_run_metadata(name, way, make_telemetry):
    _check(lambda: Chat(behave=GOOD), way, make_telemetry, {"metadata": RUN_METADATA[name]})
