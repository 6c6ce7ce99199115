"""The price table over the network, offline, missing and broken: each in a process of its own, because it is process-wide."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PRELUDE = '''
import http.server, json, logging, os, sys, threading, time

PATIENCE = 30.0
logging.getLogger("langmeter.pricing").disabled = True  # an unknown model is one on purpose

class Prices(http.server.BaseHTTPRequestHandler):
    """What the library's updater asks for: every answer is a dollar dearer than the one before."""

    requests = 0
    status = 200

    def do_GET(self):
        type(self).requests += 1
        price = 100 + type(self).requests
        models = [{"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "prices": {"input_mtok": price, "output_mtok": 0}}]
        models.append({"id": "brand-new", "match": {"equals": "brand-new"}, "prices": {"input_mtok": 1, "output_mtok": 1}})
        body = json.dumps(
            [{"id": "openai", "name": "OpenAI", "api_pattern": "https://api.openai.com", "models": models}]
        ).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prices)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}/"

from langmeter import worker
from langmeter.events import ReportedUsage, TokenUsage
from langmeter.pricing.catalog import Catalog, updates
from langmeter.settings import Settings

USAGE = ReportedUsage(TokenUsage(1_000_000, 0))

def dollars(catalog, model="gpt-4o"):
    cost = catalog.price("openai", model, USAGE, at=time.time())
    return None if cost.amount is None else float(cost.amount)

def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)

def updaters():
    return [thread for thread in threading.enumerate() if thread.name == "genai_prices:update"]

catalog = Catalog(Settings())
'''


def run(code, *, prelude=PRELUDE, timeout=120, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", prelude + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **environment},
        cwd=Path(__file__).parent,
    )


def printed(done):
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


# -- online ----------------------------------------------------------------------------------------------------------


def test_fetched_prices_take_the_place_of_the_compiled_ones_and_say_so():
    done = run(
        """
        print(dollars(catalog), dollars(catalog, "brand-new"))
        updates.on_new_prices(catalog.forget)
        updates.start(URL)
        until(lambda: dollars(catalog) == 101)
        cost = catalog.price("openai", "gpt-4o", USAGE, at=time.time())
        print(dollars(catalog, "brand-new"), cost.version.partition("+upd:")[0], cost.match)
        from datetime import UTC, datetime, timedelta
        fetched = datetime.strptime(cost.version.partition("+upd:")[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        print(abs(datetime.now(UTC) - fetched) < timedelta(minutes=5))
        from langmeter.pricing.catalog import freshness
        until(lambda: freshness.ages())
        print(freshness.ages()["genai-prices"] < 300, updates.check().data.fetched)
        """,
        TZ="America/New_York",
    )
    import genai_prices

    lines = printed(done)
    assert lines[0] == "2.5 None"
    assert lines[1] == f"1.0 genai-prices/{genai_prices.__version__} exact"
    assert lines[2:] == ["True", "True True"]


def test_starting_returns_at_once_loads_nothing_and_happens_once():
    done = run(
        """
        busy, release = threading.Event(), threading.Event()
        worker.submit(lambda: (busy.set(), release.wait(PATIENCE)))
        assert busy.wait(PATIENCE)
        for _ in range(3):
            updates.start(URL)
        print("genai_prices" in sys.modules, updaters())
        release.set()
        until(lambda: Prices.requests == 1)
        assert worker.drain(PATIENCE)
        print(len(updaters()), Prices.requests)
        updates.stop()
        until(lambda: not updaters())
        updates.start(URL)
        until(lambda: Prices.requests == 2)
        print(len(updaters()))
        """
    )
    assert printed(done) == ["False []", "1 1", "1"]


def test_an_updater_of_the_application_shares_its_thread_and_survives_ours():
    done = run(
        """
        import genai_prices
        own = genai_prices.UpdatePrices(url=URL)
        own.start(wait=True)
        updates.start(URL)
        assert worker.drain(PATIENCE)
        print(len(updaters()))
        updates.stop()
        assert worker.drain(PATIENCE)
        time.sleep(0.1)
        print(len(updaters()), dollars(catalog))
        own.stop()
        until(lambda: not updaters())
        """
    )
    assert printed(done) == ["1", "1 101.0"]


def test_prices_that_the_application_fetches_itself_are_noticed_within_the_hour():
    done = run(
        """
        print(dollars(catalog), dollars(catalog, "brand-new"))
        import genai_prices
        with genai_prices.UpdatePrices(url=URL) as own:
            own.wait(PATIENCE)
        now = time.time()
        for minutes in (1, 61):
            cost = [catalog.price("openai", model, USAGE, at=now + 60 * minutes) for model in ("gpt-4o", "brand-new")]
            print(*(one.amount for one in cost))
        """
    )
    assert printed(done) == ["2.5 None", "2.5 None", "101 1"]


def test_the_updaters_requests_are_hidden_from_the_instrumentation_of_the_application():
    done = run(
        """
        import genai_prices, httpx2
        from opentelemetry.instrumentation.utils import is_instrumentation_enabled
        seen, get = [], httpx2.get
        def watched(*args, **kwargs):
            seen.append(is_instrumentation_enabled())
            return get(*args, **kwargs)
        httpx2.get = watched
        updates.start(URL)
        until(lambda: seen)
        print(seen)
        """
    )
    assert printed(done) == ["[False]"]


# -- forks -----------------------------------------------------------------------------------------------------------


@needs_fork
@pytest.mark.parametrize("settled", [True, False])
def test_a_forked_child_fetches_when_it_first_asks_for_a_price_and_not_before(settled):
    done = run(
        f"""
        updates.on_new_prices(catalog.forget)
        updates.start(URL)
        if {settled}:
            until(lambda: dollars(catalog) == 101)
            assert worker.drain(PATIENCE)
        before = Prices.requests
        child = os.fork()
        if child == 0:
            try:
                assert updaters() == []
                dollars(catalog)
                until(lambda: len(updaters()) == 1)
                until(lambda: (dollars(catalog) or 0) > 100 + before)
                updates.stop()
                until(lambda: not updaters())
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        child = os.fork()
        if child == 0:
            os._exit(len(updaters()))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert printed(done) == ["0", "0"]


@needs_fork
def test_a_child_of_a_process_that_does_not_update_stays_offline():
    done = run(
        """
        dollars(catalog)
        child = os.fork()
        if child == 0:
            dollars(catalog, "gpt-4o-mini")
            os._exit(len(updaters()) + threading.active_count() - 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert printed(done) == ["0"]


# -- offline ---------------------------------------------------------------------------------------------------------

BLOCKED = """
import socket
attempts = []

class Blocked(socket.socket):
    def connect(self, address):
        attempts.append(address)
        raise OSError("no network here")
    connect_ex = connect

def look_up(*args, **kwargs):
    attempts.append(args)
    raise OSError("no network here")

socket.socket = Blocked
socket.create_connection = socket.getaddrinfo = look_up
"""


def test_offline_the_table_stays_and_the_library_says_so_once_an_hour():
    done = run(
        """
        lines = []
        class Keep(logging.Handler):
            def emit(self, record):
                lines.append((record.name, record.levelname))
        logging.getLogger().addHandler(Keep())
        updates.on_new_prices(catalog.forget)
        updates.start("http://127.0.0.1:9/")
        until(lambda: lines)
        assert worker.drain(PATIENCE)
        time.sleep(0.2)
        print(lines, dollars(catalog), len(updaters()))
        """
    )
    assert printed(done) == ["[('genai-prices', 'ERROR')] 2.5 1"]


def test_an_answer_that_is_no_price_table_changes_nothing():
    done = run(
        """
        logging.getLogger("genai-prices").addHandler(logging.NullHandler())
        logging.getLogger("genai-prices").propagate = False
        Prices.status = 500
        updates.start(URL)
        until(lambda: Prices.requests)
        assert worker.drain(PATIENCE)
        print(dollars(catalog), catalog.price("openai", "gpt-4o", USAGE, at=time.time()).version.count("+upd:"))
        """
    )
    assert printed(done) == ["2.5 0"]


def test_without_a_network_every_published_case_costs_the_same_and_nothing_is_tried():
    code = """
    import json, sys
    from datetime import datetime
    sys.path.insert(0, "../unit")
    from pathlib import Path
    from langmeter.pricing.quote import price

    CASES = json.loads(Path("../data/price-cases.json").read_text())["cases"]
    for case in CASES:
        context = case.get("context", {})
        cost = price(
            provider=case["provider"], model=case["model"], usage_metadata=case["usage_metadata"],
            at=datetime.fromisoformat(case["price_date"]), response_metadata=context.get("response_metadata"),
            service_tier=context.get("service_tier"), processing=context.get("processing"), speed=context.get("speed"),
            cache_hit=context.get("response_cache_hit", False), override=case.get("price_override"),
        )
        print(case["id"], cost)
    """
    with_network = printed(run("import logging; logging.disable()\n" + textwrap.dedent(code), prelude=""))
    without = printed(
        run("import logging; logging.disable()\n" + textwrap.dedent(code) + "print(attempts)\n", prelude=BLOCKED)
    )
    assert without == [*with_network, "[]"]
    assert len(with_network) > 50


# -- missing and broken ----------------------------------------------------------------------------------------------

ONE_CALL = """
import logging
logging.disable()
import langmeter
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracers = TracerProvider(shutdown_on_exit=False)
tracers.add_span_processor(SimpleSpanProcessor(spans))
langmeter.instrument(tracer_provider=tracers, meter_provider=MeterProvider([reader], shutdown_on_exit=False))

class Model(GenericFakeChatModel):
    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_model_type": "chat"}

usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
answer = AIMessage("hello", usage_metadata=usage, response_metadata={"model_name": "gpt-4o"})
with langmeter.track() as tracked:
    print(Model(messages=iter([answer])).invoke("hi").content)
span, = spans.get_finished_spans()
print(span.attributes["gen_ai.usage.input_tokens"], span.attributes["langchain.usage.cost.status"])
print(span.attributes["langchain.usage.unpriced.reason"], "langchain.usage.cost.amount" in span.attributes)
metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
unpriced, = [metric for metric in metrics if metric.name == "langchain.usage.unpriced.requests"]
print(unpriced.data.data_points[0].value, tracked.calls, tracked.unpriced_calls)
from langmeter.pricing.catalog import updates
from langmeter import worker
updates.start()
print(worker.drain(30), updates.check().data)
"""

NO_DATA = "__version__ = '0.2.3'\nclass Usage:\n    def __init__(self, **_): pass\n"
STAND_INS = {
    "raises when imported": "raise RuntimeError('broken installation')",
    "is something else": "",
    "has no data": f"{NO_DATA}def calc_price(*_, **__): return {{}}['data']",
    "cannot be imported": "raise ImportError('needs a newer Python')",
}


@pytest.mark.parametrize("stand_in", STAND_INS.values(), ids=STAND_INS.keys())
def test_with_a_broken_price_library_calls_are_unpriced_and_all_else_works(tmp_path, stand_in):
    (tmp_path / "genai_prices.py").write_text(stand_in)
    done = run(ONE_CALL, prelude="", PYTHONPATH=str(tmp_path))
    assert printed(done) == ["hello", "10 unpriced", "pricing_unavailable False", "1 1 1", "True None"]


def test_without_the_price_library_calls_are_unpriced_and_all_else_works():
    done = run(ONE_CALL, prelude="import sys\nsys.modules['genai_prices'] = None\n")
    assert printed(done) == ["hello", "10 unpriced", "pricing_unavailable False", "1 1 1", "True None"]


def test_a_missing_library_is_said_once_and_names_the_reason():
    done = run(
        """
        from langmeter.pricing.quote import price
        for _ in range(3):
            price(provider="openai", model="gpt-4o", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})
        """,
        prelude="import sys\nsys.modules['genai_prices'] = None\n",
    )
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "genai-prices cannot be imported" in done.stderr
    assert json.dumps(done.stdout) == '""'
