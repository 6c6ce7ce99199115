"""The application that the demo watches: the support desk of a bicycle shop, built with LangChain.

Nothing here knows of instrumentation. It is an ordinary program with chains, caches, tools, streams, fallbacks and
retries, and with the failures that ordinary programs meet; those are caught here and reported like any other outcome.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, cast

from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI
from openai import OpenAIError, RateLimitError
from pydantic import BaseModel, SecretStr

from langmeter.demo import shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STEPS_PER_ROUND = 12
_CONVERSATIONS = ("Which tyres suit a rider who is always late?", "How do I carry a cello on a bicycle?")
_LONG_TEXT = "Rewrite the whole parts list in verse: " + "tube, tyre, chain, " * 900


class Action(NamedTuple):
    """One thing that the application has done."""

    step: str
    """What kind of work it belongs to."""
    subject: str
    """What it was about, for people."""
    seconds: float
    failure: str | None = None
    """Name of the exception that ended it; None when it went well."""


class Ticket(BaseModel):
    """A customer's message, sorted."""

    topic: Literal["rental", "service", "order", "drive", "other"]
    order_number: str
    summary: str
    urgent: bool


@tool
def look_up_order(order_number: str) -> str:
    """State of an order in the shop's books."""
    return f"Order {order_number} was packed yesterday and is waiting at the counter."


class SupportDesk:
    """The application, to be used in a `with` block. `report` is called after every action, in the thread of `work`."""

    def __init__(self, base_url: str, *, seed: int, scratch: Path, report: Callable[[Action], None]) -> None:
        """Take the provider's address, a directory for the SQLite cache, and a seed that decides what customers ask."""
        self._base_url = base_url
        self._random = random.Random(seed)  # noqa: S311  (picks questions, not keys)
        self._report = report
        # One event loop for the whole application: the client keeps its connections, and they belong to a loop.
        self._loop = asyncio.Runner()
        self._faq_model = self._chat("gpt-4o-mini", temperature=0, cache=InMemoryCache())
        self._triage_model = self._chat("gpt-4.1-mini", temperature=0, cache=_persistent_cache(scratch / "triage.db"))
        self._writer = self._text_model(cache=InMemoryCache(), max_tokens=90)
        self._retried = self._chat("o4-mini", reasoning_effort="low").with_retry(
            retry_if_exception_type=(RateLimitError,),
            wait_exponential_jitter=False,  # the local provider is ready again at once
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    def work(self, rounds: int, on_step: Callable[[int, int], None] = lambda _round, _step: None) -> None:
        """Serve customers for some rounds; `on_step(round, step)` is called before every step, both counted from 1."""
        steps = (
            self.frequent_questions,
            self.conversation,
            self.triage,
            self.order_desk,
            self.workshop_diagnosis,
            self.newsletter,
            self.frequent_questions,
            self.product_texts,
            self.escalation,
            self.second_opinion,
            self.house_model,
            self.mishaps,
        )
        for round_number in range(1, rounds + 1):
            for number, step in enumerate(steps, start=1):
                on_step(round_number, number)
                step()

    # -- the steps of a round ------------------------------------------------------------------------------------------

    def frequent_questions(self) -> None:
        """Popular questions come again and again: prompt, model and parser behind an in-memory cache."""
        chain = _prompt("Answer the customer in three sentences.") | self._faq_model | StrOutputParser()
        for question in self._popular(3):
            with self._action("question", question):
                chain.invoke({"question": question})

    def conversation(self) -> None:
        """Streams: the handbook as a system prompt, which the provider caches; one without usage, one left early."""
        model = self._chat("gpt-4o", stream_usage=True)
        for question in _CONVERSATIONS:
            with self._action("conversation", question):
                list(model.stream(_with_handbook(question)))
        with self._action("conversation", "A client that asks for no usage"):
            list(self._chat("gpt-4o-mini", stream_usage=False).stream("Wish me a good ride."))
        with self._action("conversation", "A reader who closes the page"):
            stream = self._chat("gpt-4o-mini", stream_usage=False).stream("Explain gear ratios to me.")
            list(itertools.islice(stream, 4))
            cast("Any", stream).close()

    def triage(self) -> None:
        """Structured output behind a cache on disk: today's tickets are sorted, and some are opened twice."""
        sorter = self._triage_model.with_structured_output(Ticket, method="function_calling")
        for ticket in self._random.sample(shop.TICKETS, 3):
            with self._action("triage", ticket):
                sorter.invoke([SystemMessage("Sort this message."), HumanMessage(ticket)])

    def order_desk(self) -> None:
        """A tool: the model asks for an order, the application looks it up, the model answers."""
        model = self._chat("gpt-4o").bind_tools([look_up_order])
        question = f"Where is my order {self._random.randint(4700, 4899)}?"

        async def serve() -> None:
            messages: list[BaseMessage] = [*_with_handbook(question)]
            request = await model.ainvoke(messages)
            messages.append(request)
            messages += [_result(call) for call in request.tool_calls]
            await model.ainvoke(messages)

        with self._action("order desk", question):
            self._loop.run(serve())

    def workshop_diagnosis(self) -> None:
        """Reasoning: a model behind a rate limit, tried again when it says so, and one on the Responses API."""
        for fault in self._random.sample(shop.FAULTS, 2):
            with self._action("diagnosis", fault):
                self._retried.invoke(fault)
        thinker = self._chat("gpt-5-mini", use_responses_api=True)
        fault = self._random.choice(shop.FAULTS)

        async def think() -> None:
            _ = [chunk async for chunk in thinker.astream(_with_handbook(fault))]

        with self._action("diagnosis", fault):
            self._loop.run(think())

    def newsletter(self) -> None:
        """A batch in threads and one on the event loop."""
        translate = _prompt("Translate into Dutch.") | self._chat("gpt-4o-mini", temperature=0.3)
        items = [{"question": item} for item in shop.NEWSLETTER]

        async def translated() -> None:
            await translate.abatch(items)

        with self._action("newsletter", f"{len(items)} items at once, in threads"):
            translate.batch(items)
        with self._action("newsletter", f"{len(items)} items at once, on the event loop"):
            self._loop.run(translated())

    def product_texts(self) -> None:
        """The older text model: several prompts in one request, with a cache, and as a stream."""
        wanted = self._random.sample(shop.PRODUCTS, 3)
        with self._action("product texts", f"{len(wanted)} prompts in one request"):
            self._writer.batch([f"Praise {product}." for product in wanted])
        with self._action("product texts", "A slogan, streamed"):
            list(self._text_model(max_tokens=40).stream("A slogan for a bicycle bell:"))

    def escalation(self) -> None:
        """Fallbacks: when the first model breaks, a second one answers."""
        model = self._chat("gpt-4.1").with_fallbacks([self._chat("gpt-4o")])
        for ticket in self._random.sample(shop.TICKETS, 2):
            with self._action("escalation", ticket):
                model.invoke(_with_handbook(f"Write a reply that Marta can sign: {ticket}"))

    def second_opinion(self) -> None:
        """The Responses API without a stream."""
        model = self._chat("gpt-5-mini", use_responses_api=True, reasoning={"effort": "low"})
        question = self._random.choice(shop.FREQUENT_QUESTIONS)[0]
        with self._action("second opinion", question):
            model.invoke(_with_handbook(f"Is this question urgent? {question}"))

    def house_model(self) -> None:
        """A model of the shop's own that no price list knows, and one asked for a very short answer."""
        with self._action("house model", "A model without a public price"):
            self._chat("pedal-7b").invoke("Name three parts of a bicycle.")
        with self._action("house model", "At most 12 tokens"):
            self._chat("gpt-4o-mini", max_completion_tokens=12).invoke("Describe the harbour.")

    def mishaps(self) -> None:
        """What goes wrong in every program: a prompt that is too long, a wrong key, a misspelt model."""
        with self._action("mishaps", "A prompt longer than the model's context"):
            self._text_model().invoke(_LONG_TEXT)
        with self._action("mishaps", "A wrong key"):
            self._chat("gpt-4o-mini", api_key=SecretStr("expired")).invoke("Hello?")
        with self._action("mishaps", "A misspelt model"):
            self._chat("gpt-4oo").invoke("Hello?")

    # -- what the steps are made of ------------------------------------------------------------------------------------

    @contextmanager
    def _action(self, step: str, subject: str) -> Iterator[None]:
        start = time.perf_counter()
        failure: str | None = None
        with suppress(OpenAIError):
            try:
                yield
            except OpenAIError as error:
                failure = type(error).__name__
                raise
        self._report(Action(step, subject, time.perf_counter() - start, failure))

    def _popular(self, count: int) -> list[str]:
        """Different questions, the earlier ones of the list far more often, as customers do."""
        weights = [1 / (rank + 1) ** 1.6 for rank in range(len(shop.FREQUENT_QUESTIONS))]
        chosen: list[str] = []
        while len(chosen) < count:
            question = self._random.choices(shop.FREQUENT_QUESTIONS, weights)[0][0]
            if question not in chosen:
                chosen.append(question)
        return chosen

    def _chat(self, model: str, **options: Any) -> ChatOpenAI:
        # Retries of the client itself would be invisible to every observer, so this application retries in LangChain.
        address: dict[str, Any] = {"base_url": self._base_url, "api_key": SecretStr("demo"), "max_retries": 0}
        return ChatOpenAI(model=model, **(address | options))

    def _text_model(self, **options: Any) -> OpenAI:
        address: dict[str, Any] = {"base_url": self._base_url, "api_key": SecretStr("demo"), "max_retries": 0}
        return OpenAI(model="gpt-3.5-turbo-instruct", **(address | options))


def _prompt(instruction: str) -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages([("system", instruction), ("human", "{question}")])


def _with_handbook(question: str) -> list[BaseMessage]:
    return [SystemMessage(shop.HANDBOOK), HumanMessage(question)]


def _result(call: Any) -> ToolMessage:
    return ToolMessage(look_up_order.invoke(call["args"]), tool_call_id=call["id"])


def _persistent_cache(path: Path) -> BaseCache:
    """LangChain's SQLite cache where the package that has it is installed, else one in memory."""
    try:
        from langchain_community.cache import SQLiteCache  # noqa: PLC0415  (an optional package, and a slow import)
    except ImportError:
        return InMemoryCache()
    return SQLiteCache(str(path))
