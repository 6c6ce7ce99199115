"""Would a response cache pay? Ask before you install one, then look at the one you have.

Runs against a model provider that it starts on this machine: no key, no network.
"""

from langchain_core.caches import InMemoryCache
from langchain_openai import ChatOpenAI

import langmeter
from langmeter.caches import CacheAdvisor
from langmeter.demo.provider import API_KEY, Provider

QUESTIONS = ["Where is my parcel?", "How do I pay?", "Where is my parcel?", "Do you ship to Norway?"] * 5

with Provider(speed=0) as provider:
    langmeter.instrument(bootstrap="never")
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.base_url, api_key=API_KEY)

    with CacheAdvisor(ghost=True) as advisor:
        model.batch(QUESTIONS[:4])
        for question in QUESTIONS[4:]:
            model.invoke(question)
    print(advisor.report())

    cached = model.model_copy(update={"cache": InMemoryCache()})
    with CacheAdvisor() as advisor:
        for question in QUESTIONS:
            cached.invoke(question)
    print(advisor.report())
    langmeter.uninstrument()
