"""Parents inside what else an application runs: web frameworks that stream, and LangSmith's own tracing."""

import asyncio
import gc
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from langsmith import Client, traceable, tracing_context
from langsmith import utils as langsmith_utils
from langsmith.run_trees import get_cached_client
from models import AsyncChat
from nesting_world import both
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from span_paths import finish

PIPELINE = "invoke_workflow pipeline"
CALL = f"{PIPELINE} > chat gpt-4o"


def chain(world):
    """Makes a request in its own body, and one in its model."""

    def look(text):
        world.work()
        return text

    model = AsyncChat(work=world.work)
    return (RunnableLambda(look) | model | StrOutputParser()).with_config(run_name="pipeline")


def under(top, times=1):
    return sorted([f"{top} > {path}" for path in [PIPELINE, *both(PIPELINE), CALL, *both(CALL)]] * times)


# -- web frameworks --------------------------------------------------------------------------------------------------


@pytest.fixture
def web(world):
    app = FastAPI()
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=world.telemetry.tracer_provider,
        meter_provider=world.telemetry.meter_provider,
        exclude_spans=["send", "receive"],
    )
    yield app
    FastAPIInstrumentor.uninstrument_app(app)


def ask(app, path, times=1):
    """That many requests at once, each read to its end."""

    async def scenario():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            answers = await asyncio.gather(*(client.get(path) for _ in range(times)))
        assert [answer.text for answer in answers] == ["abc"] * times

    finish(scenario)


def test_a_response_that_a_sync_generator_streams(world, web):
    """The framework draws each item in some thread of a pool, in a copy of the context."""

    @web.get("/ask")
    def answer():
        return StreamingResponse(chain(world).stream("x"))

    ask(web, "/ask", times=3)
    assert world.paths == sorted([*["GET /ask"] * 3, *under("GET /ask", 3)])


def test_a_response_that_an_async_generator_streams(world, web):
    @web.get("/ask")
    async def answer():
        return StreamingResponse(chain(world).astream("x"))

    ask(web, "/ask", times=3)
    assert world.paths == sorted([*["GET /ask"] * 3, *under("GET /ask", 3)])


def test_a_handler_that_waits_for_the_answer(world, web):
    @web.get("/ask")
    def answer():
        return StreamingResponse(iter([chain(world).invoke("x").removeprefix("re: x") + "abc"]))

    @web.get("/aask")
    async def aanswer():
        return StreamingResponse(iter([(await chain(world).ainvoke("x")).removeprefix("re: x") + "abc"]))

    ask(web, "/ask")
    ask(web, "/aask")
    assert world.paths == sorted(["GET /ask", *under("GET /ask"), "GET /aask", *under("GET /aask")])


def test_a_client_that_leaves_in_the_middle_of_a_stream(world, web):
    """Starlette closes neither kind of generator itself: what is left over is closed when it is collected."""

    @web.get("/ask")
    async def answer():
        return StreamingResponse(chain(world).astream("x"))

    async def scenario():
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}])
        begun = asyncio.Event()

        async def receive():
            first = next(messages, None)
            if first is None:
                await begun.wait()
            return first or {"type": "http.disconnect"}

        async def send(message):
            if message.get("body"):
                begun.set()
                await asyncio.sleep(0.01)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.1"},
            "http_version": "1.1",
            "method": "GET",
        }
        scope |= {"path": "/ask", "raw_path": b"/ask", "query_string": b"", "headers": [], "scheme": "http"}
        await web({**scope, "server": ("app", 80), "client": ("client", 1), "root_path": ""}, receive, send)
        world.query()
        gc.collect()
        for _ in range(20):  # the event loop closes what was collected, one generator inside another
            await asyncio.sleep(0)

    finish(scenario)
    assert set(world.paths) == {"SELECT", "GET /ask", *under("GET /ask")}


# -- LangSmith -------------------------------------------------------------------------------------------------------


_INGESTION = {
    "use_multipart_endpoint": True,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
    "scale_up_nthreads_limit": 1,
    "scale_up_qsize_trigger": 1_000,
    "scale_down_nempty_trigger": 4,
}


class _LangSmith(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer({"version": "0", "batch_ingest_config": _INGESTION})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append(self.path)
        self._answer({})

    def do_PATCH(self):
        self.do_POST()

    def _answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def langsmith():
    """A LangSmith server on the loopback; `seen` has the paths asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _LangSmith)
    server.daemon_threads, server.seen = True, []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


async def run_chain(world):
    await chain(world).ainvoke("x")
    async for _ in chain(world).astream("x"):
        pass


def test_langsmith_tracing_in_a_block(world, langsmith):
    # Without a background thread: the client sends while the callbacks run.
    url = f"http://127.0.0.1:{langsmith.server_port}"
    client = Client(api_url=url, api_key="key", auto_batch_tracing=False)

    def scenario():
        with world.span("SERVER"), tracing_context(enabled=True, client=client):
            chain(world).invoke("x")
            list(chain(world).stream("x"))

    async def ascenario():
        with world.span("SERVER"), tracing_context(enabled=True, client=client):
            await run_chain(world)

    finish(scenario)
    finish(ascenario)
    assert langsmith.seen
    assert world.paths == sorted(["SERVER", "SERVER", *under("SERVER", 4)])


def test_langsmith_tracing_by_environment(world, langsmith, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{langsmith.server_port}")
    monkeypatch.setenv("LANGSMITH_API_KEY", "key")
    langsmith_utils.get_env_var.cache_clear()

    def scenario():
        with world.span("SERVER"):
            chain(world).invoke("x")

    async def ascenario():
        with world.span("SERVER"):
            await run_chain(world)

    finish(scenario)
    finish(ascenario)
    get_cached_client().flush()
    monkeypatch.undo()
    langsmith_utils.get_env_var.cache_clear()
    assert langsmith.seen
    assert world.paths == sorted(["SERVER", "SERVER", *under("SERVER", 3)])


def test_a_function_that_langsmith_traces(world, langsmith):
    """LangChain takes LangSmith's run for the parent of the chain; the span around it is still the parent of ours."""
    url = f"http://127.0.0.1:{langsmith.server_port}"
    client = Client(api_url=url, api_key="key", auto_batch_tracing=False)

    @traceable(client=client)
    def answer(text):
        with world.span("BUSINESS"):
            return chain(world).invoke(text)

    def scenario():
        with tracing_context(enabled=True, client=client):
            answer("x")

    finish(scenario)
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert world.paths == sorted(["BUSINESS", *under("BUSINESS")])
