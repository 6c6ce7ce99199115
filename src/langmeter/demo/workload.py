"""The application that the demo watches: the support desk of a bicycle shop, built with LangChain.

Nothing here knows of instrumentation. It is an ordinary program with chains, caches, tools, an agent, a retriever, a graph,
streams, fallbacks and retries, and with the failures that ordinary programs meet; those are caught here and reported like
any other outcome.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, cast

from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from openai import OpenAIError, RateLimitError
from pydantic import BaseModel, SecretStr

from langmeter.demo import shop
from langmeter.demo.clients import Clients
from langmeter.demo.extras import installed
from langmeter.demo.handbook_search import CHAIN, HandbookSearch
from langmeter.demo.logbook import Logbook
from langmeter.demo.order_agent import AGENT, asked, order_agent
from langmeter.demo.refund_desk import RefundDesk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

STEPS_PER_ROUND = 14
_APPROVED = 0.8
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


class SupportDesk:
    """The application, to be used in a `with` block. `report` is called after every action, in the thread of `work`."""

    def __init__(self, base_url: str, *, seed: int, scratch: Path, report: Callable[[Action], None]) -> None:
        """Take the provider's address, a directory for the SQLite cache, and a seed that decides what customers ask."""
        self._clients = Clients(base_url)
        self._random = random.Random(seed)  # noqa: S311  (picks questions, not keys)
        self._report = report
        # One event loop for the whole application: the client keeps its connections, and they belong to a loop.
        self._loop = asyncio.Runner()
        chat = self._clients.chat
        self._faq_model = chat("gpt-4o-mini", temperature=0, cache=InMemoryCache())
        self._triage_model = chat("gpt-4.1-mini", temperature=0, cache=_persistent_cache(scratch / "triage.db"))
        self._writer = self._clients.text_model(cache=InMemoryCache(), max_tokens=90)
        self._retried = chat("o4-mini", reasoning_effort="low").with_retry(
            retry_if_exception_type=(RateLimitError,),
            wait_exponential_jitter=False,  # the local provider is ready again at once
        )
        self.logbook = Logbook()
        self._handbook = HandbookSearch(self._clients, self.logbook) if installed("numpy") else None
        self._agent = order_agent(self._clients, self.logbook, [self._handbook.tool] if self._handbook else [])
        self._refunds = RefundDesk(self._clients, self.logbook) if installed("langgraph") else None
        self._indexed = False

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
            self.handbook_search,
            self.order_desk,
            self.refunds,
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
        model = self._clients.chat("gpt-4o", stream_usage=True)
        for question in _CONVERSATIONS:
            with self._action("conversation", question):
                list(model.stream(_with_handbook(question)))
        with self._action("conversation", "A client that asks for no usage"):
            list(self._clients.chat("gpt-4o-mini", stream_usage=False).stream("Wish me a good ride."))
        with self._action("conversation", "A reader who closes the page"):
            stream = self._clients.chat("gpt-4o-mini", stream_usage=False).stream("Explain gear ratios to me.")
            list(itertools.islice(stream, 4))
            cast("Any", stream).close()

    def triage(self) -> None:
        """Structured output behind a cache on disk: today's tickets are sorted, and some are opened twice."""
        sorter = self._triage_model.with_structured_output(Ticket, method="function_calling")
        for ticket in self._random.sample(shop.TICKETS, 3):
            with self._action("triage", ticket):
                sorter.invoke([SystemMessage("Sort this message."), HumanMessage(ticket)])

    def handbook_search(self) -> None:
        """Retrieval: the handbook's sections as vectors, once, and then a chain that answers from the nearest ones."""
        if self._handbook is None:
            return
        if not self._indexed:
            with self._action("handbook", "Its sections become vectors"):
                self._handbook.index()
            self._indexed = True
        first, second = self._random.sample(shop.HANDBOOK_QUESTIONS, 2)
        with self._action("handbook", first):
            self._handbook.answers.invoke(first)
            self.logbook.note("workflow", CHAIN)
        with self._action("handbook", second):
            self._await(self._handbook.answers.ainvoke(second))
            self.logbook.note("workflow", CHAIN)

    def order_desk(self) -> None:
        """An agent with tools, one of which cannot always be reached: called, and streamed on the event loop."""
        question = shop.LONG_ORDER_QUESTION.format(order=self._order())
        with self._action("order desk", question):
            self._agent.invoke(asked(question))
            self.logbook.note("agent", AGENT)
        question = self._random.choice(shop.ORDER_QUESTIONS).format(order=self._order())

        async def serve() -> None:
            _ = [state async for state in self._agent.astream(asked(question))]

        with self._action("order desk", question):
            self._await(serve())
            self.logbook.note("agent", AGENT)

    def refunds(self) -> None:
        """A graph that is interrupted: a large refund waits for a person, and is taken up again."""
        if self._refunds is None:
            return
        small, large = self._order(), self._order()
        with self._action("refund", f"24 euros for order {small}"):
            self._refunds.ask(small, 24)
        with self._action("refund", f"Marta is asked: 85 euros for order {large}"):
            self._refunds.ask(large, 85)
        with self._action("refund", f"Marta has decided: 85 euros for order {large}"):
            self._refunds.decide(large, approved=self._random.random() < _APPROVED)

    def workshop_diagnosis(self) -> None:
        """Reasoning: a model behind a rate limit, tried again when it says so, and one on the Responses API."""
        for fault in self._random.sample(shop.FAULTS, 2):
            with self._action("diagnosis", fault):
                self._retried.invoke(fault)
        thinker = self._clients.chat("gpt-5-mini", use_responses_api=True)
        fault = self._random.choice(shop.FAULTS)

        async def think() -> None:
            _ = [chunk async for chunk in thinker.astream(_with_handbook(fault))]

        with self._action("diagnosis", fault):
            self._await(think())

    def newsletter(self) -> None:
        """A batch in threads and one on the event loop."""
        translate = _prompt("Translate into Dutch.") | self._clients.chat("gpt-4o-mini", temperature=0.3)
        items = [{"question": item} for item in shop.NEWSLETTER]

        async def translated() -> None:
            await translate.abatch(items)

        with self._action("newsletter", f"{len(items)} items at once, in threads"):
            translate.batch(items)
        with self._action("newsletter", f"{len(items)} items at once, on the event loop"):
            self._await(translated())

    def product_texts(self) -> None:
        """The older text model: several prompts in one request, with a cache, and as a stream."""
        wanted = self._random.sample(shop.PRODUCTS, 3)
        with self._action("product texts", f"{len(wanted)} prompts in one request"):
            self._writer.batch([f"Praise {product}." for product in wanted])
        with self._action("product texts", "A slogan, streamed"):
            list(self._clients.text_model(max_tokens=40).stream("A slogan for a bicycle bell:"))

    def escalation(self) -> None:
        """Fallbacks: when the first model breaks, a second one answers."""
        model = self._clients.chat("gpt-4.1").with_fallbacks([self._clients.chat("gpt-4o")])
        for ticket in self._random.sample(shop.TICKETS, 2):
            with self._action("escalation", ticket):
                model.invoke(_with_handbook(f"Write a reply that Marta can sign: {ticket}"))

    def second_opinion(self) -> None:
        """The Responses API without a stream."""
        model = self._clients.chat("gpt-5-mini", use_responses_api=True, reasoning={"effort": "low"})
        question = self._random.choice(shop.FREQUENT_QUESTIONS)[0]
        with self._action("second opinion", question):
            model.invoke(_with_handbook(f"Is this question urgent? {question}"))

    def house_model(self) -> None:
        """A model of the shop's own that no price list knows, and one asked for a very short answer."""
        with self._action("house model", "A model without a public price"):
            self._clients.chat("pedal-7b").invoke("Name three parts of a bicycle.")
        with self._action("house model", "At most 12 tokens"):
            self._clients.chat("gpt-4o-mini", max_completion_tokens=12).invoke("Describe the harbour.")

    def mishaps(self) -> None:
        """What goes wrong in every program: a prompt that is too long, a wrong key, a misspelt model."""
        with self._action("mishaps", "A prompt longer than the model's context"):
            self._clients.text_model().invoke(_LONG_TEXT)
        with self._action("mishaps", "A wrong key"):
            self._clients.chat("gpt-4o-mini", api_key=SecretStr("expired")).invoke("Hello?")
        with self._action("mishaps", "A misspelt model"):
            self._clients.chat("gpt-4oo").invoke("Hello?")

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

    def _await(self, work: Awaitable[object]) -> None:
        """Do this work on the application's event loop."""

        async def done() -> None:
            await work
            # asyncio turns Ctrl-C into a cancellation, and on Python 3.11 `asyncio.wait_for` (around every chunk of a
            # stream of ChatOpenAI) loses one that comes together with the chunk.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError

        self._loop.run(done())

    def _popular(self, count: int) -> list[str]:
        """Different questions, the earlier ones of the list far more often, as customers do."""
        weights = [1 / (rank + 1) ** 1.6 for rank in range(len(shop.FREQUENT_QUESTIONS))]
        chosen: list[str] = []
        while len(chosen) < count:
            question = self._random.choices(shop.FREQUENT_QUESTIONS, weights)[0][0]
            if question not in chosen:
                chosen.append(question)
        return chosen

    def _order(self) -> str:
        return str(self._random.randint(4700, 4899))


def _prompt(instruction: str) -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages([("system", instruction), ("human", "{question}")])


def _with_handbook(question: str) -> list[BaseMessage]:
    return [SystemMessage(shop.HANDBOOK), HumanMessage(question)]


def _persistent_cache(path: Path) -> BaseCache:
    """LangChain's SQLite cache where the package that has it is installed, else one in memory."""
    try:
        from langchain_community.cache import SQLiteCache  # noqa: PLC0415  (an optional package, and a slow import)
    except ImportError:
        return InMemoryCache()
    return SQLiteCache(str(path))
