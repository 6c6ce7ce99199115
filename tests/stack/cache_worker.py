"""One of two processes that share a Redis: asks 200 prompts in every way and prints what was told and what was asked.

    python cache_worker.py PORT forwards|backwards

Each way starts in both processes at once. Prints way -> {"told": prompt -> status, "asked": prompts that reached the model}.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import redis
from cache_ways import Watched
from langchain_community.cache import RedisCache
from tiered_caches import WAYS, RememberingChat, run

PROMPTS = 200


def prompts(way: str) -> list[str]:
    """The prompts of one way; no other way asks them."""
    return [f"{way} {number}" for number in range(PROMPTS)]


def _wait_for_the_other(client: redis.Redis, way: str) -> None:
    client.incr(f"ready {way}")
    deadline = time.monotonic() + 60
    while int(client.get(f"ready {way}")) < 2:
        assert time.monotonic() < deadline, "the other process did not come"
        time.sleep(0.001)


def main() -> None:
    """The program: see the top of this file."""
    port, order = sys.argv[1:]
    warnings.simplefilter("ignore")
    found = {}
    with redis.Redis(port=int(port)) as client:
        for way in WAYS:
            watched, asked = Watched(), []
            model = RememberingChat(cache=RedisCache(client), asked=asked, delay=0.001)
            with watched.watching(watch=True):
                _wait_for_the_other(client, way)
                run(model, way, prompts(way)[:: 1 if order == "forwards" else -1])
            told = {
                span.attributes["gen_ai.response.id"].removeprefix("answer to "): span.attributes[
                    "langchain.cache.status"
                ]
                for span in watched.spans()
            }
            found[way] = {"told": told, "asked": asked, "spans": len(watched.spans()), "counted": watched.lookups()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
