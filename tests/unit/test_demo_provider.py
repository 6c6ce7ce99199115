"""The demo's provider, through the clients that the demo uses."""

from __future__ import annotations

import json
import math
import operator
from http import HTTPStatus
from typing import Literal

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from langmeter.demo import answers, embeddings, shop
from langmeter.demo.ledger import Entry, ModelTotals, Usage
from langmeter.demo.provider import INCIDENTS, Provider


@pytest.fixture
def provider():
    with Provider(speed=0) as provider:
        yield provider


def chat(provider: Provider, model: str = "gpt-4o-mini", **options) -> ChatOpenAI:
    return ChatOpenAI(model=model, **{"base_url": provider.base_url, "api_key": "demo", "max_retries": 0, **options})


def text(provider: Provider, **options) -> OpenAI:
    return OpenAI(model="gpt-3.5-turbo-instruct", base_url=provider.base_url, api_key="demo", max_retries=0, **options)


def usage_of(message) -> Usage:
    usage = message.usage_metadata
    details = usage.get("input_token_details", {}), usage.get("output_token_details", {})
    return Usage(
        usage["input_tokens"],
        usage["output_tokens"],
        details[0].get("cache_read", 0),
        details[1].get("reasoning", 0),
    )


def booked(provider: Provider) -> list[Usage | None]:
    return [entry.usage for entry in provider.ledger.entries]


@tool
def order_state(order_number: str) -> str:
    """State of an order."""
    return order_number


@tool
def stock_level(part: Literal["bell", "saddle"]) -> str:
    """How many are in stock."""
    return part


@tool
def give_refund(order_number: str, euros: int) -> str:
    """Pay money back."""
    return f"{order_number} {euros}"


@tool
def weather_today() -> str:
    """The weather."""
    return "fine"


class TestUsage:
    def test_an_answer_carries_what_the_ledger_booked(self, provider):
        question, written = shop.FREQUENT_QUESTIONS[0]
        answer = chat(provider).invoke(question)
        assert answer.content == written
        assert answer.response_metadata["model_name"] == "gpt-4o-mini-2024-07-18"
        assert answer.response_metadata["finish_reason"] == "stop"
        expected = Usage(answers.tokens(question) + 4, answers.tokens(written))
        assert usage_of(answer) == expected
        assert provider.ledger.entries == (Entry("gpt-4o-mini", 200, 1, expected),)

    @pytest.mark.parametrize("options", [{}, {"use_responses_api": True}], ids=["chat", "responses"])
    def test_a_long_system_prompt_is_cached_from_the_second_request(self, provider, options):
        model = chat(provider, "gpt-5-mini", **options)
        messages = [SystemMessage(shop.HANDBOOK), HumanMessage("Hello")]
        first, second = usage_of(model.invoke(messages)), usage_of(model.invoke(messages))
        assert first == second._replace(cached=0)
        assert second.cached == 1024
        assert second.reasoning > 0
        assert second.output > second.reasoning
        assert booked(provider) == [first, second]

    def test_a_short_system_prompt_and_another_model_are_not_cached(self, provider):
        chat(provider).invoke([SystemMessage(shop.HANDBOOK), HumanMessage("Hello")])
        other = chat(provider, "gpt-4o").invoke([SystemMessage(shop.HANDBOOK), HumanMessage("Hello")])
        for _ in range(2):
            short = chat(provider).invoke([SystemMessage("Be brief."), HumanMessage("Hello")])
        assert (usage_of(other).cached, usage_of(short).cached) == (0, 0)

    @pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-mini", "pedal-7b"])
    def test_a_stream_says_the_same_as_a_whole_answer(self, provider, model):
        whole = chat(provider, model).invoke("Hello?")
        parts = list(chat(provider, model, stream_usage=True, seed=1).stream("Hello?"))
        joined = parts[0]
        for part in parts[1:]:
            joined += part
        assert len(parts) > 5
        assert (joined.content, usage_of(joined)) == (whole.content, usage_of(whole))

    def test_the_responses_api_streams_with_usage(self, provider):
        model = chat(provider, "gpt-5-mini", use_responses_api=True)
        whole = model.invoke("Hello?")
        joined = None
        for part in model.stream("Hello?"):
            joined = part if joined is None else joined + part
        assert (joined.text, usage_of(joined)) == (whole.text, usage_of(whole))

    def test_a_stream_that_asks_for_no_usage_gets_none(self, provider):
        joined = None
        for part in chat(provider, stream_usage=False).stream("Hello?"):
            joined = part if joined is None else joined + part
        list(text(provider).stream("Hello?"))
        assert joined.usage_metadata is None
        assert booked(provider) == [None, None]
        assert [totals.silent for totals in provider.ledger.by_model().values()] == [1, 1]


class TestAnswers:
    def test_a_text_model_answers_several_prompts_with_one_usage(self, provider):
        result = text(provider).generate(["Praise a bell.", "Praise a cape."])
        usage = result.llm_output["token_usage"]
        assert len(result.generations) == 2
        entry = provider.ledger.entries[0]
        assert (entry.prompts, entry.usage) == (2, Usage(usage["prompt_tokens"], usage["completion_tokens"]))

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_tool_is_called_and_its_result_used(self, provider, streaming):
        @tool
        def look_up_order(order_number: str) -> str:
            """State of an order."""
            return f"Order {order_number} is packed."

        model = chat(provider, "gpt-4o", streaming=streaming).bind_tools([look_up_order])
        question = HumanMessage("Where is order 4711?")
        request = model.invoke([question])
        call = request.tool_calls[0]
        assert (call["name"], call["args"]) == ("look_up_order", {"order_number": "4711"})
        assert request.response_metadata["finish_reason"] == "tool_calls"
        result = ToolMessage(look_up_order.invoke(call["args"]), tool_call_id=call["id"])
        answer = model.invoke([question, request, result])
        assert answer.content.startswith("Order 4711 is packed. ")
        assert answer.tool_calls == []

    @pytest.mark.parametrize("streaming", [False, True])
    def test_tools_are_called_a_few_at_a_time_until_none_is_left(self, provider, streaming):
        def answered(call) -> ToolMessage:
            return ToolMessage(f"Done: {call['name']}. Not told.", tool_call_id=call["id"])

        model = chat(provider, streaming=streaming, stream_usage=True).bind_tools(
            [order_state, stock_level, give_refund, weather_today]
        )
        question = "Where is order 4711, is a bell in stock, and can I have a refund of 24 euros?"
        messages = [HumanMessage(question)]
        asked = []
        while (request := model.invoke(messages)).tool_calls:
            asked.append([(call["name"], call["args"]) for call in request.tool_calls])
            messages += [request, *map(answered, request.tool_calls)]
        assert asked == [
            [("order_state", {"order_number": "4711"}), ("stock_level", {"part": "bell"})],
            [("give_refund", {"order_number": "4711", "euros": 24})],
        ]
        assert request.text.startswith("Done: order_state. Done: stock_level. Done: give_refund. ")
        identifiers = [message.tool_call_id for message in messages if isinstance(message, ToolMessage)]
        assert len(set(identifiers)) == 3
        assert [entry.usage for entry in provider.ledger.entries][-1] == usage_of(request)

    def test_a_new_question_may_call_the_same_tool_again(self, provider):
        model = chat(provider).bind_tools([order_state], parallel_tool_calls=False)
        first = model.invoke("Where is order 4711?")
        result = ToolMessage("Packed.", tool_call_id=first.tool_calls[0]["id"])
        messages = [HumanMessage("Where is order 4711?"), first, result, HumanMessage("And order 4712?")]
        assert model.invoke(messages[:3]).text.startswith("Packed. ")
        assert [call["args"] for call in model.invoke(messages).tool_calls] == [{"order_number": "4712"}]

    def test_no_tool_is_called_that_the_question_does_not_need(self, provider):
        assert chat(provider).bind_tools([order_state, weather_today]).invoke("How are you?").tool_calls == []

    # langchain-openai 1.0 serialises the parsed object against the wrong type and pydantic says so.
    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
    @pytest.mark.parametrize("method", ["json_schema", "function_calling"])
    def test_structured_output_fits_its_schema(self, provider, method):
        class Item(BaseModel):
            name: str
            count: int

        class Ticket(BaseModel):
            topic: Literal["rental", "service"]
            order_number: str
            items: list[Item]
            urgent: bool

        sorter = chat(provider).with_structured_output(Ticket, method=method)
        ticket = sorter.invoke("Service for order 4711, now!")
        assert (ticket.topic, ticket.order_number, ticket.urgent, len(ticket.items)) == ("service", "4711", True, 1)

    def test_an_answer_stops_at_max_tokens(self, provider):
        answer = chat(provider, max_completion_tokens=12).invoke("Describe the harbour.")
        assert answer.response_metadata["finish_reason"] == "length"
        assert usage_of(answer).output == 12

    def test_the_same_seed_gives_the_same_answers(self):
        def run(seed):
            with Provider(seed=seed, speed=0) as provider:
                return [chat(provider, model).invoke("Why?").content for model in ("gpt-4o", "o4-mini")], booked(
                    provider
                )

        assert run(1) == run(1)
        assert run(1) != run(2)


def embedder(provider: Provider, model: str = "text-embedding-3-small", **options) -> OpenAIEmbeddings:
    address = {"base_url": provider.base_url, "api_key": "demo", "max_retries": 0}
    return OpenAIEmbeddings(model=model, check_embedding_ctx_length=False, **address, **options)


class TestEmbeddings:
    @pytest.mark.parametrize("form", [{}, {"model_kwargs": {"encoding_format": "float"}}], ids=["packed", "floats"])
    def test_texts_that_share_words_are_near(self, provider, form):
        texts = ["The warranty on frames.", "Frames have a long warranty.", "Opening hours on Saturday."]
        vectors = embedder(provider, **form).embed_documents(texts)
        assert vectors[0] == pytest.approx(embeddings.vector(texts[0], 1536), abs=1e-6)
        assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1, 1])
        near, far = (sum(map(operator.mul, vectors[0], other)) for other in vectors[1:])
        assert near > 0.5 > far
        assert booked(provider) == [Usage(sum(map(answers.tokens, texts)), 0)]

    def test_one_request_is_one_call_however_many_texts(self, provider):
        embedder(provider, dimensions=8).embed_documents(["one", "two", "three"])
        assert len(embedder(provider, dimensions=8).embed_query("four")) == 8
        totals = provider.ledger.by_model()["text-embedding-3-small"]
        assert (totals.calls, totals.input_tokens, totals.output_tokens) == (2, 5, 0)

    def test_numbers_of_tokens_are_a_text_too(self):
        several = embeddings.request({"model": "m", "input": [[7, 8], [9]]})
        one = embeddings.request({"model": "m", "input": [7, 8]})
        assert (several.texts, several.input_tokens) == (("7 8", "9"), 3)
        assert (one.texts, one.input_tokens) == (("7 8",), 2)

    def test_a_text_without_words_has_a_vector(self):
        assert embeddings.vector("?", 4) == [1.0, 0.0, 0.0, 0.0]

    def test_a_model_does_what_it_is_made_for(self, provider):
        with pytest.raises(openai.NotFoundError, match="not one for this endpoint"):
            embedder(provider, model="gpt-4o").embed_query("Hi")
        with pytest.raises(openai.NotFoundError, match="not one for this endpoint"):
            chat(provider, "text-embedding-3-small").invoke("Hi")
        with pytest.raises(openai.BadRequestError, match="context holds 8191 tokens"):
            embedder(provider).embed_query("too long " * 8000)
        assert [(entry.status, entry.usage) for entry in provider.ledger.entries] == [
            (404, None),
            (404, None),
            (400, None),
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "error", "status"),
        [
            (lambda provider: chat(provider, api_key="other").invoke("Hi"), openai.AuthenticationError, 401),
            (lambda provider: chat(provider, "gpt-4oo").invoke("Hi"), openai.NotFoundError, 404),
            (lambda provider: text(provider).invoke("too long " * 2000), openai.BadRequestError, 400),
            (
                lambda provider: [chat(provider, "gpt-4.1").invoke("Hi") for _ in range(2)],
                openai.InternalServerError,
                500,
            ),
            (lambda provider: [chat(provider, "o4-mini").invoke("Hi") for _ in range(2)], openai.RateLimitError, 429),
        ],
        ids=["wrong key", "unknown model", "too long", "breakdown", "rate limit"],
    )
    def test_a_refusal_is_the_exception_of_its_kind_and_is_booked(self, provider, call, error, status):
        with pytest.raises(error) as caught:
            call(provider)
        assert caught.value.status_code == status
        assert ("retry-after" in caught.value.response.headers) == (status == HTTPStatus.TOO_MANY_REQUESTS)
        last = provider.ledger.entries[-1]
        assert (last.status, last.usage) == (status, None)
        assert sum(totals.errors for totals in provider.ledger.by_model().values()) == 1

    def test_incidents_come_round(self, provider):
        every, status = INCIDENTS["gpt-4.1"]
        for _ in range(2 * every):
            try:
                chat(provider, "gpt-4.1").invoke("Hi")
            except openai.InternalServerError:
                continue
        expected = [200] * (every - 1) + [status]
        assert [entry.status for entry in provider.ledger.entries] == expected * 2


def test_the_ledger_adds_up_and_is_ready_for_json(provider):
    chat(provider, "gpt-4o").invoke("Hello?")
    chat(provider, "gpt-4o").invoke("Hello?")
    usage = provider.ledger.entries[0].usage
    expected = ModelTotals(requests=2, calls=2, input_tokens=2 * usage.input, output_tokens=2 * usage.output)
    assert provider.ledger.by_model() == {"gpt-4o": expected}
    assert json.loads(json.dumps(provider.ledger.to_dict())) == {"gpt-4o": expected._asdict()}
