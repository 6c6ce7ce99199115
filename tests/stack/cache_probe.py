"""Measures one cache back end: every way of calling a model, once as it is and once with langmeter watching.

A program of its own, because some cache packages need a Python environment of their own; prints what it found as JSON:

    python cache_probe.py TITLE ADDRESS [PID:SIGNAL]

ADDRESS is the port of the server or a directory; the process PID is ended with SIGNAL for the part about outages.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
import warnings
from collections import Counter
from decimal import Decimal
from typing import Any, NamedTuple

from cache_backends import BACKENDS, Backend, arelease, empty, release
from cache_ways import WAYS, Watched, Way, as_seen, chat, failure, own_spans, text
from provider import Provider, bill
from questions import DIFFERENT, QUESTIONS, SAME, WARM

Json = dict[str, Any]


# -- one run -----------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """What the application saw, which questions reached the provider, and what langmeter made of it."""

    answers: Any
    asked: list[str]
    watched: Watched


async def _arun(backend: Backend, address: str, way: Way, provider: Provider, *, watch: bool, make: Any) -> Run:
    empty(backend.server, address)
    cache = backend.create(address)
    try:
        model, watched = make(cache, provider), Watched()
        for question in WARM:
            with contextlib.suppress(NotImplementedError):
                await model.ainvoke(question)
        provider.requests.clear()
        with watched.watching(watch=watch):
            try:
                answers = as_seen(await way.call(model))
            except Exception as error:
                answers = failure(error)
        return Run(answers, provider.asked(), watched)
    finally:
        await arelease(cache)


def _run(backend: Backend, address: str, way: Way, provider: Provider, *, watch: bool, make: Any) -> Run:
    if way.is_async:
        return asyncio.run(_arun(backend, address, way, provider, watch=watch, make=make))
    empty(backend.server, address)
    cache = backend.create(address)
    try:
        model, watched = make(cache, provider), Watched()
        for question in WARM:
            with contextlib.suppress(NotImplementedError):
                model.invoke(question)
        provider.requests.clear()
        with watched.watching(watch=watch):
            try:
                answers = as_seen(way.call(model))
            except Exception as error:
                answers = failure(error)
        return Run(answers, provider.asked(), watched)
    finally:
        release(cache)


# -- judging it ---------------------------------------------------------------------------------------------------------


def _statuses(run: Run, way: Way, *, is_text: bool) -> dict[str, list[str]]:
    """Question -> what its spans say; questions are told by the answer's id, or by the application's span around the call."""
    own = {span.context.span_id: span.name for span in own_spans.get_finished_spans()}
    found: dict[str, list[str]] = {}
    for span in run.watched.spans():
        if is_text and not way.named:
            question = "any"
        elif way.named:
            question = own[span.parent.span_id]
        else:
            question = span.attributes.get("gen_ai.response.id", "").removeprefix("answer to ")
        found.setdefault(question, []).append(str(span.attributes.get("langchain.cache.status")))
    return found


def _expected(run: Run, way: Way, *, is_text: bool) -> dict[str, list[str]]:
    """The ground truth: what reached the provider was a miss, everything else a hit."""
    truth = {question: "miss" if question in run.asked else "hit" for question in QUESTIONS}
    if is_text and not way.named:
        return {"any": list(truth.values())}
    return {question: [status] for question, status in truth.items()}


def _differences(expected: dict[str, list[str]], seen: dict[str, list[str]]) -> int:
    """How many calls have another status than the truth, none, or one too many."""
    return sum(
        max(
            (Counter(expected.get(key)) - Counter(seen.get(key))).total(),
            (Counter(seen.get(key)) - Counter(expected.get(key))).total(),
        )
        for key in {*expected, *seen}
    )


def measure(backend: Backend, address: str, name: str, provider: Provider) -> Json:
    """One way of calling: what happened, and whether langmeter told it right and left it alone."""
    way, is_text = WAYS[name], name.startswith("text ")
    make = text if is_text else chat
    plain = _run(backend, address, way, provider, watch=False, make=make)
    own_spans.clear()
    run = _run(backend, address, way, provider, watch=True, make=make)
    totals = run.watched.totals()
    seen = _statuses(run, way, is_text=is_text)
    expected = _expected(run, way, is_text=is_text)
    return {
        "outcome": "answers" if isinstance(plain.answers, list) else plain.answers,
        # Calls at once reach the provider in any order.
        "unchanged": (run.answers, sorted(run.asked)) == (plain.answers, sorted(plain.asked)),
        "asked": sorted(run.asked),
        "wrong": _differences(expected, seen),
        "counted": run.watched.lookups(),
        "cache_types": sorted({key.split()[2] for key in totals if key.startswith("langchain.cache.requests")}),
        "saved": _saved(totals),
    }


def _saved(totals: dict[str, Any]) -> Json:
    cost = Decimal(repr(totals.get("langchain.cache.saved.cost", 0)))
    return {
        "input_tokens": totals.get("langchain.cache.saved.input_tokens", 0),
        "output_tokens": totals.get("langchain.cache.saved.output_tokens", 0),
        "usd": str(cost.quantize(Decimal("1e-12"))),
    }


def expected_savings() -> Json:
    """What the warm questions would have cost, if their usage is still known."""
    whole = bill(WARM)
    return {
        "input_tokens": whole.input_tokens,
        "output_tokens": whole.output_tokens,
        "usd": str(whole.usd.quantize(Decimal("1e-12"))),
    }


# -- semantic caches ----------------------------------------------------------------------------------------------------


def semantic(backend: Backend, address: str, provider: Provider) -> Json:
    """Pairs that must hit and pairs that must miss, through a chat model and a text model, sync and async."""
    found: Json = {}
    for kind, make in (("chat", chat), ("text", text)):
        for mode in ("invoke", "ainvoke"):
            found[f"{kind} {mode}"] = asyncio.run(_semantic(backend, address, provider, make, mode))
    return found


async def _semantic(backend: Backend, address: str, provider: Provider, make: Any, mode: str) -> Json:
    empty(backend.server, address)
    cache = backend.create(address)
    model, watched = make(cache, provider), Watched()

    async def ask(question: str) -> None:
        await model.ainvoke(question) if mode == "ainvoke" else model.invoke(question)

    for original in dict.fromkeys(original for original, _ in SAME):
        await ask(original)
    provider.requests.clear()
    with watched.watching(watch=True):
        # First those that miss store what they get, so they come last.
        for _, question in (*SAME, *DIFFERENT):
            await ask(question)
    await arelease(cache)
    statuses = [span.attributes.get("langchain.cache.status") for span in watched.spans()]
    return {"asked": provider.asked(), "statuses": statuses, "saved": _saved(watched.totals())}


# -- outages ------------------------------------------------------------------------------------------------------------


def outage(backend: Backend, address: str, provider: Provider, kill: Any) -> Json:
    """The server dies in mid-run: the same calls with and without langmeter, on caches that knew the server alive."""
    return asyncio.run(_outage(backend, address, provider, kill))


async def _outage(backend: Backend, address: str, provider: Provider, kill: Any) -> Json:
    modes = ("invoke", "ainvoke")
    empty(backend.server, address)
    twins = {(mode, watch): backend.create(address) for mode in modes for watch in (False, True)}
    for (mode, _), cache in twins.items():
        with contextlib.suppress(NotImplementedError):
            await _ask(chat(cache, provider), mode, WARM[0])
    kill()
    found: Json = {}
    for mode in modes:
        seen, watched = {}, Watched()
        for watch in (False, True):
            model = chat(twins[mode, watch], provider)
            provider.requests.clear()
            with watched.watching(watch=watch):
                answers = [await _outcome(model, mode, question) for question in (WARM[0], QUESTIONS[1])]
            seen[watch] = answers, provider.asked()
        found[mode] = {
            "unchanged": seen[True] == seen[False],
            "without": seen[False][0],
            "statuses": [span.attributes.get("langchain.cache.status") for span in watched.spans()],
        }
        if not found[mode]["unchanged"]:
            found[mode]["with"] = seen[True][0]
    for cache in twins.values():
        with contextlib.suppress(Exception):
            await arelease(cache)
    return found


async def _ask(model: Any, mode: str, question: str) -> Any:
    return await model.ainvoke(question) if mode == "ainvoke" else model.invoke(question)


async def _outcome(model: Any, mode: str, question: str) -> Any:
    try:
        return repr(as_seen(await _ask(model, mode, question)))
    except Exception as error:
        return failure(error)


def killer(port: str, pid: int, signal_number: int) -> Any:
    """Ends a server that somebody else started, and waits until its port refuses."""

    def kill() -> None:
        os.kill(pid, signal_number)
        for _ in range(500):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", int(port))):
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server on port {port} is still there")

    return kill


# -- all of it ----------------------------------------------------------------------------------------------------------


def probe(backend: Backend, address: str, kill: Any = None) -> Json:
    """Everything that the table says about a back end, as plain data."""
    # As in an application: a warning of LangChain about a stored value must not become an exception inside a cache.
    with warnings.catch_warnings(), Provider() as provider:
        warnings.simplefilter("ignore")
        result: Json = {"ways": {name: measure(backend, address, name, provider) for name in WAYS}}
        if backend.semantic:
            result["semantic"] = semantic(backend, address, provider)
        if kill is not None:
            result["outage"] = outage(backend, address, provider, kill)
    return result


if __name__ == "__main__":
    title, where, *victim = sys.argv[1:]
    (chosen,) = (backend for backend in BACKENDS if f"{backend.title} {backend.server}" == title)
    ending = killer(where, *map(int, victim[0].split(":"))) if victim else None
    print(json.dumps(probe(chosen, where, ending)))
