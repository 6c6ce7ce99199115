"""What embeddings cost, with and without a store of vectors.

Runs against a model provider that it starts on this machine: no key, no network. Needs langchain-classic.
"""

from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.stores import InMemoryByteStore
from langchain_openai import OpenAIEmbeddings

import langmeter
from langmeter.demo.provider import API_KEY, Provider

TEXTS = ["Parcels arrive within three days.", "Returns are free for a month.", "We open at nine."]

with Provider(speed=0) as provider:
    model = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=provider.base_url, api_key=API_KEY, check_embedding_ctx_length=False
    )
    stored = CacheBackedEmbeddings.from_bytes_store(model, InMemoryByteStore(), key_encoder="sha256")

    with langmeter.track() as usage:
        stored.embed_documents(TEXTS[:2])
        stored.embed_documents(TEXTS)  # one text is missing
        stored.embed_documents(TEXTS)  # none is

    print(f"{usage.calls} calls, {usage.input_tokens} tokens, ${usage.cost_usd:f}; {usage.cache_hits} hit of the store")
