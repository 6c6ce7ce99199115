"""Streams from the response cache: LangChain's own never ask it.

Runs against a model provider that it starts on this machine: no key, no network.
"""

from langchain_core.caches import InMemoryCache
from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI

import langmeter
from langmeter.caches import cached_stream
from langmeter.demo.provider import API_KEY, Provider

with Provider(speed=0) as provider:
    model = ChatOpenAI(
        model="gpt-4o-mini", base_url=provider.base_url, api_key=API_KEY, cache=InMemoryCache(), stream_usage=True
    )
    chain = cached_stream(model) | StrOutputParser()

    with langmeter.track() as usage:
        first = list(chain.stream("Where is my parcel?"))
        second = list(chain.stream("Where is my parcel?"))

    print(f"first: {len(first)} pieces; second: {len(second)}; same text: {''.join(first) == ''.join(second)}")
    print(f"{usage.calls} call made, {usage.cache_hits} hit, ${usage.saved_usd} saved")
