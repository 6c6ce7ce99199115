"""Programs that know nothing of langmeter, run by `langmeter run` and by `opentelemetry-instrument`."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from langmeter.demo.provider import Provider

BIN = Path(sys.executable).parent
PYTHON = (sys.executable,)
RUN = (str(BIN / "langmeter"), "run")
WAYS = {
    "langmeter run": RUN,
    "python -m langmeter.cli run": (*PYTHON, "-m", "langmeter.cli", "run"),
    "opentelemetry-instrument": (str(BIN / "opentelemetry-instrument"), *PYTHON),
}

APPLICATION = """
import sys

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

store = InMemoryVectorStore(OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False))
store.collection_name = "handbook"
store.add_texts(["The warranty on frames is five years.", "A puncture repair is 18 euros."])
retriever = store.as_retriever(search_kwargs={"k": 1})


@tool
def search_handbook(query: str) -> str:
    "Look into the handbook."
    return retriever.invoke(query)[0].page_content


agent = create_agent(ChatOpenAI(model="gpt-4.1-mini"), [search_handbook], name="helper")
question = "What does the handbook say about the warranty?"
answer = agent.invoke({"messages": [("user", question)]})
print(answer["messages"][-1].content, __name__, sys.argv[1:])
sys.exit(len(answer["messages"]))
"""

TREE = {
    "embeddings text-embedding-3-small": 1,
    "invoke_agent helper": 1,
    "invoke_agent helper > chat gpt-4.1-mini": 2,
    "invoke_agent helper > execute_tool search_handbook": 1,
    "invoke_agent helper > execute_tool search_handbook > retrieval handbook": 1,
    "invoke_agent helper > execute_tool search_handbook > retrieval handbook > embeddings text-embedding-3-small": 1,
}


def expected_tree(way: str) -> dict[str, int]:
    """`opentelemetry-instrument` switches on every instrumentation that is installed: here httpx's, inside the calls."""
    if way != "opentelemetry-instrument":
        return TREE
    return TREE | {
        f"{path} > POST": number
        for path, number in TREE.items()
        if path.rpartition(" > ")[2].startswith(("chat ", "embeddings "))
    }


class Received:
    """What a Collector got: spans, and the names of metrics."""

    def __init__(self) -> None:
        self.spans = {}
        self.metrics = set()

    def add(self, path, body) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans |= {span.span_id: span for scope in resource.scope_spans for span in scope.spans}
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {metric.name for scope in resource.scope_metrics for metric in scope.metrics}

    def paths(self) -> dict[str, int]:
        """How many spans there are of each path of names from the root."""
        found: dict[str, int] = {}
        for span in self.spans.values():
            path = self._path(span)
            found[path] = found.get(path, 0) + 1
        return found

    def _path(self, span) -> str:
        parent = self.spans.get(span.parent_span_id)
        return span.name if parent is None else f"{self._path(parent)} > {span.name}"


@contextlib.contextmanager
def collector():
    received = Received()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.add(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def environment(**variables: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGMETER_", "OPENAI_"))
    }
    return kept | variables


def run(*command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment(**variables), cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_agent_with_a_tool_a_retriever_and_embeddings_is_one_trace(tmp_path, way):
    (tmp_path / "app.py").write_text(APPLICATION)
    with Provider(speed=0) as provider, collector() as (endpoint, received):
        asked = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "demo"}
        if way == "opentelemetry-instrument":
            asked["LANGMETER_BOOTSTRAP"] = "now"  # or httpx's instrumentation would have no provider at the first call
        plain = run(*PYTHON, "app.py", "-m", "x", cwd=tmp_path, **asked)
        done = run(*WAYS[way], "app.py", "-m", "x", cwd=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **asked)
    assert (plain.returncode, plain.stderr) == (4, "")
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert received.paths() == expected_tree(way)
    assert {
        "gen_ai.invoke_agent.duration",
        "gen_ai.execute_tool.duration",
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.inference.duration",
        "langchain.usage.cost",
    } <= received.metrics


ENDINGS = {
    "its arguments, its place and its globals": """
        import pickle, sys, threading
        class Bicycle:
            pass
        def tell(when):
            main = sys.modules["__main__"]
            copy = pickle.loads(pickle.dumps(Bicycle()))
            print(when, sys.argv, sys.path[0], __name__, __package__, __spec__, type(__loader__).__name__,
                  main.Bicycle is Bicycle, type(copy) is Bicycle)
        print(__file__)
        tell("now")
        threading.Timer(0.05, tell, ["in a thread, after the last line"]).start()
        """,
    "processes": """
        import multiprocessing
        def double(number):
            return 2 * number
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(double, [1, 2]))
        """,
    "a status": "import sys; sys.exit(7)",
    "a text": "import sys; sys.exit('no bicycle')",
    "an exception": """
        def ride():
            raise LookupError("no bicycle")
        try:
            {}["bell"]
        except KeyError as error:
            ride()
        """,
    "a cancelled task": "import asyncio; raise asyncio.CancelledError('late')",
    "a mistake in its syntax": "print('bell'\nfor",
    "an import that there is not": "import no_such_bicycle",
}


def dedented(text: str) -> str:
    lines = text.strip("\n").split("\n")
    return "\n".join(line.removeprefix(" " * 8) for line in lines) + "\n"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_runs_and_ends_as_without(tmp_path, ending):
    (tmp_path / "app.py").write_text(dedented(ENDINGS[ending]))
    plain = run(*PYTHON, "app.py", "--json", "-x", cwd=tmp_path)
    done = run(*RUN, "app.py", "--json", "-x", cwd=tmp_path, LANGMETER_BOOTSTRAP="never")
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)


WHERE = """
import sys
from neighbour import BELL
print(BELL, sys.argv[1:], sys.path[0], __name__, __file__, __package__, __spec__ and __spec__.name)
"""


@pytest.mark.parametrize("form", ["link", "directory", "archive", "module", "package"])
def test_programs_of_every_form_find_their_neighbours(tmp_path, form):
    place = tmp_path / "place"
    place.mkdir()
    (place / "neighbour.py").write_text("BELL = 'ding'\n")
    (place / "__main__.py").write_text(WHERE)
    (place / "app.py").write_text(WHERE)
    (place / "shop").mkdir()
    (place / "shop" / "__main__.py").write_text(WHERE)
    (tmp_path / "link.py").symlink_to(place / "app.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.write(place / "neighbour.py", "neighbour.py")
        archive.write(place / "__main__.py", "__main__.py")
    cwd, arguments = {
        "link": (tmp_path, ("link.py",)),
        "directory": (tmp_path, ("place",)),
        "archive": (tmp_path, ("app.zip",)),
        "module": (place, ("-m", "app")),
        "package": (place, ("-m", "shop")),
    }[form]
    plain = run(*PYTHON, *arguments, "-m", "x", cwd=cwd)
    done = run(*RUN, *arguments, "-m", "x", cwd=cwd, LANGMETER_BOOTSTRAP="never")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_an_interrupt_shows_the_programs_traceback_and_has_the_status_of_a_shell(tmp_path):
    # By the program's own hand: from outside it would hit one line or the next.
    (tmp_path / "app.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    plain = run(*PYTHON, "app.py", cwd=tmp_path)
    done = run(*RUN, "app.py", cwd=tmp_path, LANGMETER_BOOTSTRAP="never")
    assert (plain.returncode, done.returncode) == (-signal.SIGINT, 128 + signal.SIGINT)
    assert "KeyboardInterrupt" in done.stderr
    assert done.stderr == plain.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(("no_such.py",), "no file 'no_such.py'"), (("-m", "no_such"), "'no_such'"), (("empty",), "__main__.py")],
    ids=["file", "module", "directory"],
)
def test_what_is_not_there_is_named(tmp_path, arguments, named):
    (tmp_path / "empty").mkdir()
    done = run(*RUN, *arguments, cwd=tmp_path, COLUMNS="200", LANGMETER_BOOTSTRAP="never")
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert "Traceback" not in done.stderr
