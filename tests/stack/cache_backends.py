"""Every cache back end of the table in docs/caches.md: how it is made on an empty store, and how it is let go.

Packages are imported where a back end needs them: not all of them fit into one Python environment.
"""

from __future__ import annotations

import inspect
import itertools
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from langchain_core.caches import BaseCache, InMemoryCache

CLIENT_TIMEOUT = 1.0
"""Seconds after which a client gives up on a server that hangs."""
SEMANTIC_DISTANCE = 0.28
"""Between the farthest pair that means the same (0.26) and the nearest that does not (0.31); both caches take the cosine's."""


class Backend(NamedTuple):
    """One row: where the class is from, what it talks to, the `langchain.cache.type` it must have."""

    name: str
    package: str
    server: str | None
    cache_type: str
    create: Callable[[str], BaseCache]
    environment: str | None = None
    semantic: bool = False

    @property
    def title(self) -> str:
        """Unique among the back ends."""
        return f"{self.package} {self.name}"


class UserCache(BaseCache):
    """What a user might write: the least that LangChain asks for."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Any] = {}

    def lookup(self, prompt, llm_string):
        return self._entries.get((prompt, llm_string))

    def update(self, prompt, llm_string, return_val):
        self._entries[prompt, llm_string] = return_val

    def clear(self, **kwargs):
        self._entries.clear()


def redis_client(port: str, package: str = "redis") -> Any:
    """A client that gives up soon and tries nothing twice, as an application in a hurry configures it."""
    from importlib import import_module

    from redis.backoff import NoBackoff

    retry = import_module(f"{package}.retry").Retry(NoBackoff(), 0)
    timeouts = {"socket_timeout": CLIENT_TIMEOUT, "socket_connect_timeout": CLIENT_TIMEOUT}
    return import_module(package).Redis(host="127.0.0.1", port=int(port), retry=retry, **timeouts)


def empty(server: str | None, address: str) -> None:
    """Throw away everything that the server holds; caches in a file, in memory or with a prefix of their own start empty."""
    if server == "PostgreSQL":
        from langchain_community.cache import Base

        engine = _engine(_postgresql_url(address))
        Base.metadata.drop_all(engine)
        engine.dispose()
    elif server is not None and server.startswith("Redis"):
        with redis_client(address) as redis:
            redis.flushall()


def _community(name: str) -> Any:
    from langchain_community import cache

    return getattr(cache, name)


def _new_file(directory: str) -> str:
    return str(Path(tempfile.mkdtemp(dir=directory), "cache.db"))


def _engine(url: str) -> Any:
    from sqlalchemy import create_engine

    return create_engine(url, connect_args={"connect_timeout": 2} if url.startswith("postgresql") else {})


def _postgresql_url(port: str) -> str:
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"


def _sqlalchemy(name: str) -> Callable[[str], BaseCache]:
    return lambda directory: _community(name)(_engine(f"sqlite:///{_new_file(directory)}"))


def _memcached(port: str) -> BaseCache:
    """With a prefix of its own: emptying memcached is exact to the second only.

    Each message is sent at once: else Nagle's algorithm holds the client's second packet back for 40 ms.
    """
    from pymemcache.client import PooledClient

    options = {"timeout": CLIENT_TIMEOUT, "connect_timeout": CLIENT_TIMEOUT, "no_delay": True}
    client = PooledClient(("127.0.0.1", int(port)), key_prefix=uuid.uuid4().hex.encode(), **options)
    return _community("MemcachedCache")(client)


def _gptcache(directory: str) -> BaseCache:
    """With GPTCache's exact matching: its data manager in a file, no embedding, nothing to download."""
    from gptcache.manager.factory import get_data_manager
    from gptcache.processor.pre import get_prompt

    store = tempfile.mkdtemp(dir=directory)
    names = itertools.count()

    def initialise(cache: Any, llm_string: str) -> None:
        manager = get_data_manager(data_path=str(Path(store, f"{next(names)}.txt")))
        cache.init(pre_embedding_func=get_prompt, data_manager=manager)

    return _community("GPTCache")(initialise)


def _embeddings() -> Any:
    from embeddings import QuestionEmbeddings

    return QuestionEmbeddings()


def _langchain_redis(port: str) -> BaseCache:
    from langchain_redis import RedisCache

    return RedisCache(redis_client=redis_client(port))


def _langchain_redis_semantic(port: str) -> BaseCache:
    from langchain_redis import RedisSemanticCache

    return RedisSemanticCache(_embeddings(), redis_client=redis_client(port), distance_threshold=SEMANTIC_DISTANCE)


def _community_semantic(port: str) -> BaseCache:
    url = f"redis://127.0.0.1:{port}?socket_timeout={CLIENT_TIMEOUT}"
    return _community("RedisSemanticCache")(url, _embeddings(), score_threshold=SEMANTIC_DISTANCE)


BACKENDS = (
    Backend("InMemoryCache", "langchain-core", None, "in_memory", lambda _: InMemoryCache()),
    Backend(
        "SQLiteCache", "langchain-community", None, "sqlite", lambda where: _community("SQLiteCache")(_new_file(where))
    ),
    Backend("SQLAlchemyCache", "langchain-community", None, "sqlalchemy", _sqlalchemy("SQLAlchemyCache")),
    Backend(
        "SQLAlchemyCache",
        "langchain-community",
        "PostgreSQL",
        "sqlalchemy",
        lambda port: _community("SQLAlchemyCache")(_engine(_postgresql_url(port))),
    ),
    Backend("SQLAlchemyMd5Cache", "langchain-community", None, "sqlalchemy", _sqlalchemy("SQLAlchemyMd5Cache")),
    Backend(
        "RedisCache", "langchain-community", "Redis", "redis", lambda port: _community("RedisCache")(redis_client(port))
    ),
    Backend(
        "AsyncRedisCache",
        "langchain-community",
        "Redis",
        "redis",
        lambda port: _community("AsyncRedisCache")(redis_client(port, "redis.asyncio")),
    ),
    Backend("RedisCache", "langchain-redis", "Redis query engine", "redis", _langchain_redis, "langchain-redis"),
    Backend(
        *("RedisSemanticCache", "langchain-redis", "Redis query engine", "redis_semantic"),
        *(_langchain_redis_semantic, "langchain-redis", True),
    ),
    Backend(
        *("RedisSemanticCache", "langchain-community", "Redis query engine", "redis_semantic"),
        *(_community_semantic, "community-semantic", True),
    ),
    Backend(
        "MemcachedCache",
        "langchain-community",
        "memcached",
        "memcached",
        _memcached,
    ),
    Backend("GPTCache", "langchain-community", None, "gptcache", _gptcache),
    Backend("UserCache", "your own code", None, "user", lambda _: UserCache()),
)


def release(cache: Any) -> None:
    """Close what the cache holds open, so that no warning about it lands in another test."""
    for holder, closing in (("engine", "dispose"), ("redis", "close"), ("client", "close")):
        close = getattr(getattr(cache, holder, None), closing, None)
        if close is not None and not inspect.iscoroutinefunction(close):
            close()


async def arelease(cache: Any) -> None:
    """The same for what must be closed inside the loop that it was used in."""
    if hasattr(getattr(cache, "redis", None), "aclose"):
        await cache.redis.aclose()
    if hasattr(getattr(cache, "cache", None), "adisconnect"):
        await cache.cache.adisconnect()
    release(cache)
