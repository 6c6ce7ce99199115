"""An application whose tools, nodes and models make real requests and queries, with real instrumentation around both.

`httpx` and `sqlite3` are instrumented; what either of them does shows as a span of its own.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, tool
from opentelemetry.instrumentation import dbapi
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from sdk_server import SdkServer
from span_paths import paths


class World:
    """What an application reaches from its tools and nodes, with instrumentation around it."""

    def __init__(self, telemetry: Any, url: str, database: Any) -> None:
        self.telemetry = telemetry
        self.span = telemetry.tracer_provider.get_tracer("application").start_as_current_span
        self.database = database
        self.url = f"{url}/embeddings"
        self._client = httpx.Client()

    def work(self) -> None:
        self._client.post(self.url, json={})
        self.query()

    async def awork(self) -> None:
        async with httpx.AsyncClient() as client:
            await client.post(self.url, json={})
        self.query()

    def query(self) -> None:
        self.database.cursor().execute("SELECT 1").close()

    def close(self) -> None:
        self._client.close()
        self.database.close()

    @property
    def paths(self) -> list[str]:
        return paths(self.telemetry.spans())


@contextlib.contextmanager
def instrumented_world(telemetry: Any) -> Iterator[World]:
    """The world, reporting to `telemetry`."""
    http = HTTPXClientInstrumentor()
    http.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
    dbapi.wrap_connect(__name__, sqlite3.dbapi2, "connect", "sqlite", tracer_provider=telemetry.tracer_provider)
    with SdkServer() as server:
        world = World(telemetry, server.url, sqlite3.dbapi2.connect(":memory:", check_same_thread=False))
        yield world
        world.close()
    dbapi.unwrap_connect(sqlite3.dbapi2, "connect")
    http.uninstrument()


def both(path: str, times: int = 1) -> list[str]:
    """The paths of one request and one query in that place."""
    return [f"{path} > POST", f"{path} > SELECT"] * times


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


def sync_tool(world: World, work: Any = None) -> BaseTool:
    """A tool that does its work, or `work` with the config that LangChain gives it."""

    @tool
    def look_up(city: str, config: RunnableConfig) -> str:
        """Look up a city."""
        (work or (lambda _: world.work()))(config)
        return city

    return look_up


def async_tool(world: World) -> BaseTool:
    """A tool whose work is asynchronous."""

    @tool
    async def look_up(city: str) -> str:
        """Look up a city."""
        await world.awork()
        await asyncio.sleep(0)
        return city

    return look_up


TOOL = "execute_tool look_up"
ROME = {"city": "Rome"}
