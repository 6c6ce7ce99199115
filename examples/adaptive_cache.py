"""A cache that is slow and never hits is left alone after a while; a small share of prompts keeps an eye on it."""

import time

from langchain_core.caches import InMemoryCache
from langchain_openai import ChatOpenAI

from langmeter.caches import adaptive_cache
from langmeter.demo.provider import API_KEY, Provider


class FarAway(InMemoryCache):
    """A cache behind a slow network."""

    def lookup(self, prompt, llm_string):
        """Take longer than the model."""
        time.sleep(0.05)
        return super().lookup(prompt, llm_string)


with Provider(speed=0) as provider:
    cache = adaptive_cache(FarAway(), window=20)
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.base_url, api_key=API_KEY, cache=cache)

    for number in range(60):  # no question is ever asked twice
        model.invoke(f"Where is parcel {number}?")

    (state,) = cache.state()
    print(f"{state.lookups} look-ups, {state.hits} hits, {state.skipped} skipped; asks: {state.asks}")
