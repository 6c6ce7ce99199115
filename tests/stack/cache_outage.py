"""Takes a Redis away in mid-run and gives it back: with and without langmeter, for a cache of any Python environment.

    python cache_outage.py TITLE REDIS_PROGRAM

Starts a Redis of its own and prints what both runs saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cache_backends import BACKENDS, Backend, arelease, empty, redis_client
from cache_ways import THREADS, Watched, ainside, as_seen, chat, failure, inside, own_spans, question_asked
from langchain_core.caches import BaseCache
from langchain_core.load import dumps, loads
from langchain_core.runnables import RunnableLambda
from provider import Provider
from servers import Redis

Json = dict[str, Any]
KNOWN, UNKNOWN = "How do I reset my password?", "Which planets have rings?"
MANY = tuple(f"Question number {number}" for number in range(60))
MODES = ("invoke", "ainvoke")


class FrankCache(BaseCache):
    """A user's own cache over Redis that hides nothing: every error of the client reaches LangChain."""

    def __init__(self, client: Any) -> None:
        self.redis = client

    def lookup(self, prompt, llm_string):
        found = self.redis.get(f"{llm_string} {prompt}")
        return None if found is None else [loads(item) for item in json.loads(found)]

    def update(self, prompt, llm_string, return_val):
        self.redis.set(f"{llm_string} {prompt}", json.dumps([dumps(item) for item in return_val]))

    def clear(self, **kwargs):
        self.redis.flushdb()


_FRANK = Backend("FrankCache", "your own code", "Redis", "frank", lambda port: FrankCache(redis_client(port)))
TITLES = {backend.title: backend for backend in (*BACKENDS, _FRANK) if (backend.server or "").startswith("Redis")}


async def _scenario(backend: Backend, server: Redis, provider: Provider, mode: str, *, watch: bool) -> Json:
    """One run through all phases: what the application saw of each call, and what langmeter said of it."""
    server.start()
    empty(backend.server, server.address)
    cache, watched = backend.create(server.address), Watched()
    model = chat(cache, provider)
    seen: list[tuple[str, Any]] = []

    async def ask(phase: str, question: str) -> None:
        try:
            outcome = repr(as_seen(await model.ainvoke(question) if mode == "ainvoke" else model.invoke(question)))
        except Exception as error:
            outcome = failure(error)
        seen.append((phase, outcome))

    provider.requests.clear()
    with watched.watching(watch=watch):
        await ask("up", KNOWN)
        await ask("up", KNOWN)
        server.stop()
        await ask("hanging", KNOWN)
        server.resume()
        await ask("resumed", KNOWN)
        server.kill()
        await ask("dead", KNOWN)
        await ask("dead", UNKNOWN)
        server.start()
        await ask("back", KNOWN)
        await ask("back", KNOWN)
    await arelease(cache)
    return {
        "seen": seen,
        "asked": provider.asked(),
        "statuses": [str(span.attributes.get("langchain.cache.status")) for span in watched.spans()],
        "errors": [span.attributes.get("error.type") for span in watched.spans()],
        "counted": watched.lookups(),
    }


def phases(backend: Backend, server: Redis) -> Json:
    """Every phase in both modes, without langmeter and with it."""
    with Provider() as provider:
        return {
            f"{mode} {'with' if watch else 'without'}": asyncio.run(
                _scenario(backend, server, provider, mode, watch=watch)
            )
            for mode in MODES
            for watch in (False, True)
        }


class _HiddenFailures(logging.Handler):
    """Questions whose look-up failed and was only logged: langchain-community's Redis caches say "not found" then."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if "lookup failed" in record.getMessage():
            self.questions.add(question_asked.get())


class _Striking(list):
    """Requests of a provider; at a certain length something happens, while the sender waits for its answer."""

    def __init__(self, length: int, strike: Callable[[], None]) -> None:
        super().__init__()
        self._length, self._strike = length, strike

    def append(self, item: Any) -> None:
        super().append(item)
        if len(self) == self._length:
            self._strike()


async def _torn(backend: Backend, server: Redis, mode: str) -> Json:
    """The server is killed while many calls are at work, half of them known to the cache: what became of each."""
    server.start()
    empty(backend.server, server.address)
    cache, watched = backend.create(server.address), Watched()
    with Provider() as provider:
        model = chat(cache, provider)
        await model.abatch(list(MANY[::2]), {"max_concurrency": THREADS})
        provider.requests = _Striking(10, server.kill)
        own_spans.clear()
        hidden = _HiddenFailures()
        logging.getLogger().addHandler(hidden)
        with watched.watching(watch=True):
            if mode == "batch":
                calls = RunnableLambda(lambda question: inside(question, model.invoke))
                found = calls.batch(list(MANY), {"max_concurrency": THREADS}, return_exceptions=True)
            else:
                found = await asyncio.gather(*[ainside(question, model) for question in MANY], return_exceptions=True)
        logging.getLogger().removeHandler(hidden)
        asked = provider.asked()
    await arelease(cache)
    names = {span.context.span_id: span.name for span in own_spans.get_finished_spans()}
    told = {names[span.parent.span_id]: span.attributes.get("langchain.cache.status") for span in watched.spans()}
    return {
        question: {
            "failed": failure(outcome) if isinstance(outcome, Exception) else None,
            "hidden": question in hidden.questions,
            "asked": question in asked,
            "told": told.get(question),
        }
        for question, outcome in zip(MANY, found, strict=True)
    }


def torn(backend: Backend, server: Redis) -> Json:
    """Through threads and through tasks; an asynchronous cache has no threads."""
    modes = ("gather",) if backend.name.startswith("Async") else ("batch", "gather")
    return {mode: asyncio.run(_torn(backend, server, mode)) for mode in modes}


def everything(title: str, program: Path) -> Json:
    """The phases and the torn runs of one cache, on a server of its own."""
    server = Redis(program)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {"phases": phases(TITLES[title], server), "torn": torn(TITLES[title], server)}
    finally:
        server.remove()


if __name__ == "__main__":
    print(json.dumps(everything(sys.argv[1], Path(sys.argv[2]))))
