"""Bootstrap against real receivers, each case in a process of its own: global providers can be set once."""

import os
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import pytest
from bootstrap import otlp_receiver

from langmeter import semconv

CUMULATIVE = 2
EXIT_TIMEOUT = 1.0
EXIT_SLACK = 3.0
"""An exit that hangs takes ten seconds and more; a slow machine does not take three."""

PRELUDE = """
import logging, os, sys, threading, time
from opentelemetry import _logs, metrics, trace
from langmeter import bootstrap
from langmeter.settings import Settings

def record(name):
    trace.get_tracer("test").start_span(name).end()
    metrics.get_meter("test").create_counter("work.done").add(1)
    _logs.get_logger("test").emit(_logs.LogRecord(body=name))

def wait():
    settled = threading.Event()
    bootstrap.when_settled(settled.set)
    assert settled.wait(60)

def own_providers(**options):
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    resource = Resource.create(options)
    return TracerProvider(resource=resource), MeterProvider([InMemoryMetricReader()], resource=resource)

def ours():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("langmeter"))
"""
EPILOGUE = """
print("exit", time.monotonic(), flush=True)
"""


class Run(NamedTuple):
    out: list[str]
    err: list[str]
    exit_seconds: float


class run_with:  # noqa: N801  (reads as what the run is compared with)
    """Equals a run with this output and a silent stderr, however long its exit took."""

    def __init__(self, out, *, join=False):
        self.out = [" ".join(out)] if join else out

    def __eq__(self, other):
        return (other.out, other.err) == (self.out, [])

    def __repr__(self):
        return f"out={self.out} err=[]"

    __hash__ = None


def run(script, env=None):
    """Run a script to its end in a clean environment; warnings are errors there too."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LANGMETER_", "GRPC_"))}
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(script) + EPILOGUE],
        env={**clean, "LANGMETER_EXIT_TIMEOUT": "30", **(env or {})},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    ended = time.monotonic()
    assert process.returncode == 0, process.stderr
    out = process.stdout.splitlines()
    [exit_line] = [line for line in out if line.startswith("exit ")]
    out.remove(exit_line)
    return Run(out, process.stderr.splitlines(), ended - float(exit_line.removeprefix("exit ")))


def to(received, **more):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint, **more}


def quick_exit(endpoint):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "LANGMETER_EXIT_TIMEOUT": str(EXIT_TIMEOUT)}


def is_random_uuid(text):
    return uuid.UUID(text).version == 4


RECORD_ONE = """
bootstrap.ensure(Settings())
bootstrap.when_settled(lambda: record("one"))
"""


# -- what is set up ----------------------------------------------------------------------------------------------------


def test_http_protobuf_is_the_default():
    script = """
    bootstrap.ensure(Settings())
    def work():
        record("one")
        metrics.get_meter("test").create_histogram("gen_ai.client.operation.duration").record(0.3)
    bootstrap.when_settled(work)
    """
    with otlp_receiver.http_collector() as received:
        ran = run(
            script,
            to(
                received,
                OTEL_SERVICE_NAME="shop",
                OTEL_RESOURCE_ATTRIBUTES="team=search",
                OTEL_EXPORTER_OTLP_HEADERS="api-key=secret",
                OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
            ),
        )
    [(instance, _)] = received.spans
    assert is_random_uuid(instance)
    assert received.spans == [(instance, "one")]
    assert received.logs == [(instance, "one")]
    assert received.points == [(instance, "work.done", 1), (instance, "gen_ai.client.operation.duration", 0.3)]
    assert received.temporalities == {"work.done": CUMULATIVE, "gen_ai.client.operation.duration": CUMULATIVE}
    assert received.buckets == {"gen_ai.client.operation.duration": semconv.DURATION_BUCKETS}
    assert [resource["service.name"] for resource in received.resources] == ["shop"] * 3
    assert [resource["team"] for resource in received.resources] == ["search"] * 3
    assert [(headers["api-key"], headers["content-encoding"]) for headers in received.headers] == [
        ("secret", "gzip")
    ] * 3
    assert ran.err == []


def test_grpc_by_the_standard_variable():
    with otlp_receiver.grpc_collector() as received:
        ran = run(
            RECORD_ONE, to(received, OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_HEADERS="api-key=secret")
        )
    [(instance, _)] = received.spans
    assert is_random_uuid(instance)
    assert received.spans == received.logs == [(instance, "one")]
    assert received.points == [(instance, "work.done", 1)]
    assert [headers["api-key"] for headers in received.headers] == ["secret"] * 3
    assert ran.err == []


def test_a_signal_may_have_a_protocol_and_an_endpoint_of_its_own():
    with otlp_receiver.http_collector() as over_http, otlp_receiver.grpc_collector() as over_grpc:
        run(
            RECORD_ONE,
            to(
                over_http,
                OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc",
                OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=over_grpc.endpoint,
            ),
        )
    assert (len(over_http.spans), len(over_http.points), len(over_http.logs)) == (1, 0, 1)
    assert (len(over_grpc.spans), len(over_grpc.points), len(over_grpc.logs)) == (0, 1, 0)


@pytest.mark.parametrize(
    ("variable", "spans", "points", "logs"),
    [
        ("OTEL_TRACES_EXPORTER=none", 0, 1, 1),
        ("OTEL_METRICS_EXPORTER=none", 1, 0, 1),
        ("OTEL_LOGS_EXPORTER=none", 1, 1, 0),
        ("OTEL_TRACES_SAMPLER=always_off", 0, 1, 1),
    ],
)
def test_standard_variables_switch_signals(variable, spans, points, logs):
    name, _, value = variable.partition("=")
    with otlp_receiver.http_collector() as received:
        ran = run(RECORD_ONE, to(received, **{name: value}))
    assert (len(received.spans), len(received.points), len(received.logs)) == (spans, points, logs)
    assert ran.err == []


def test_an_unknown_exporter_is_left_out_and_the_console_works():
    with otlp_receiver.http_collector() as received:
        ran = run(RECORD_ONE, to(received, OTEL_TRACES_EXPORTER="otlp,telegraph,console"))
    assert [name for _, name in received.spans] == ["one"]
    assert [line for line in ran.out if '"name"' in line] == ['    "name": "one",']
    assert ran.err == [
        (
            "OTEL_TRACES_EXPORTER names 'telegraph', which no installed package provides; it is left out. "
            "Known everywhere: otlp, console, none."
        )
    ]


def test_a_missing_grpc_exporter_is_one_clear_warning():
    script = 'sys.modules["grpc"] = None  # as if grpcio were not installed\n' + RECORD_ONE
    ran = run(script, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert len(ran.err) == 1
    assert "pip install opentelemetry-exporter-otlp-proto-grpc" in ran.err[0]


@pytest.mark.parametrize("variable", ["OTEL_SDK_DISABLED", "LANGMETER_BOOTSTRAP"])
def test_it_can_be_switched_off(variable):
    script = """
    bootstrap.prefetch() if "LANGMETER_BOOTSTRAP" not in os.environ else None
    bootstrap.ensure(Settings())
    record("one")
    print(bootstrap.pending(), ours(), bootstrap.flush(), "opentelemetry.sdk" in sys.modules)
    """
    value = "TRUE" if variable == "OTEL_SDK_DISABLED" else "never"
    with otlp_receiver.http_collector() as received:
        ran = run(script, to(received, **{variable: value}))
    assert (ran.out, ran.err, received.requests) == (["False [] True False"], [], 0)


def test_importing_it_loads_neither_sdk_nor_exporter():
    ran = run(
        'print([name for name in sys.modules if name.startswith(("opentelemetry.sdk.", "opentelemetry.exporter", "grpc"))])'
    )
    assert ran.out == ["[]"]


# -- ruling 12: never in the way of the application --------------------------------------------------------------------


def test_ruling_12_providers_set_before_are_left_alone():
    script = """
    tracer_provider, meter_provider = own_providers()
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(meter_provider)
    bootstrap.ensure(Settings())
    print(bootstrap.pending(), ours())
    print(trace.get_tracer_provider() is tracer_provider, metrics.get_meter_provider() is meter_provider)
    """
    assert run(script) == run_with(["False []", "True True"])


def test_ruling_12_providers_set_while_ours_are_being_made_win():
    script = """
    tracer_provider, meter_provider = own_providers()
    bootstrap.ensure(Settings())
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(meter_provider)
    wait()
    print(bootstrap.pending(), ours())
    print(trace.get_tracer_provider() is tracer_provider, metrics.get_meter_provider() is meter_provider)
    """
    assert run(script) == run_with(["False []", "True True"])


def test_ruling_12_providers_of_the_standard_variables_are_left_alone():
    """`OTEL_PYTHON_*_PROVIDER` makes the API load a provider by itself; a distribution does the like."""
    script = """
    bootstrap.ensure(Settings())
    wait()
    print(ours(), type(trace.get_tracer_provider()).__module__)
    """
    ran = run(
        script,
        {"OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider", "OTEL_PYTHON_METER_PROVIDER": "sdk_meter_provider"},
    )
    assert ran == run_with(["[]", "opentelemetry.sdk.trace"], join=True)


def test_ruling_12_half_a_set_up_is_not_completed_unasked():
    script = """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tracer_provider, _ = own_providers()
    trace.set_tracer_provider(tracer_provider)
    bootstrap.ensure(Settings())
    bootstrap.ensure(Settings())
    wait()
    print(ours(), type(metrics.get_meter_provider()).__name__)
    """
    ran = run(script)
    assert ran.out == ["[] _ProxyMeterProvider"]
    assert ran.err == [
        (
            "the application has set a tracer provider and no meter provider; langmeter does not add one. Set a meter "
            'provider, or call langmeter.instrument(bootstrap="now") after the tracer provider is set.'
        )
    ]


def test_ruling_12_now_fills_only_what_is_missing():
    script = """
    tracer_provider, _ = own_providers()
    trace.set_tracer_provider(tracer_provider)
    bootstrap.ensure(Settings(bootstrap="now"), wait=True)
    print(bootstrap.pending(), trace.get_tracer_provider() is tracer_provider)
    record("one")
    """
    with otlp_receiver.http_collector() as received:
        ran = run(script, to(received))
    assert (len(received.spans), len(received.points), len(received.logs)) == (0, 1, 1)
    assert ran == run_with(["False True"])


def test_ruling_12_prefetch_sets_nothing_and_stands_imports():
    script = """
    bootstrap.prefetch()
    import opentelemetry.sdk.metrics.export, opentelemetry.sdk.trace.export, opentelemetry.sdk._logs.export
    import opentelemetry.exporter.otlp.proto.http.trace_exporter
    from langmeter.bootstrap import providers
    for thread in threading.enumerate():
        if thread.name == "langmeter-prefetch": thread.join()
    print(type(trace.get_tracer_provider()).__name__, type(metrics.get_meter_provider()).__name__, ours())
    """
    assert run(script) == run_with(["ProxyTracerProvider _ProxyMeterProvider []"])


def test_pending_and_when_settled_under_fifty_threads():
    script = """
    start = threading.Barrier(50)
    order, delivered = [], []
    def work(number):
        start.wait()
        bootstrap.ensure(Settings())
        pending = bootstrap.pending()
        bootstrap.when_settled(lambda: delivered.append((number, type(trace.get_tracer_provider()).__name__)))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    bootstrap.when_settled(lambda: order.append("held back"))
    bootstrap.when_settled(lambda: 1 / 0)
    bootstrap.when_settled(lambda: bootstrap.when_settled(lambda: order.append("nested")))
    print(bootstrap.pending(), order)
    wait()
    while bootstrap.pending(): time.sleep(0.001)
    bootstrap.when_settled(lambda: order.append("at once " + threading.current_thread().name))
    print(sorted(number for number, _ in delivered) == list(range(50)), {kind for _, kind in delivered}, order)
    print(ours())
    """
    ran = run(script, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert ran.out == [
        "True []",
        "True {'TracerProvider'} ['held back', 'nested', 'at once MainThread']",
        "['langmeter-flush-logs', 'langmeter-flush-metrics', 'langmeter-flush-traces', 'langmeter-metrics']",
    ]
    assert len(ran.err) == 1
    assert ran.err[0].startswith("langmeter failed in bootstrap.callback (ZeroDivisionError")


# -- ruling 13: no Collector --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_ruling_13_nothing_listening_is_one_line_and_a_quick_exit(protocol):
    script = """
    bootstrap.ensure(Settings())
    wait()
    begun = time.monotonic()
    for _ in range(3):
        record("one")
        print(bootstrap.flush(60))
    print(time.monotonic() - begun < 15)  # the SDK's retries would make it 21 s at least
    record("one")
    """
    endpoint = f"http://127.0.0.1:{otlp_receiver.free_port()}"
    ran = run(script, {**quick_exit(endpoint), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert ran.out == ["False"] * 3 + ["True"]
    assert ran.err == [
        (
            f"no OpenTelemetry Collector at {endpoint} (Connection refused); telemetry is not delivered, the application is not "
            "affected. Start a Collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT, or turn this off with "
            "LANGMETER_BOOTSTRAP=never."
        )
    ]
    assert ran.exit_seconds < EXIT_TIMEOUT + EXIT_SLACK


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("address", [otlp_receiver.black_hole, otlp_receiver.dropped_packets])
def test_ruling_13_an_address_that_never_answers_cannot_hold_the_exit(address, protocol):
    with address() as endpoint:
        ran = run(RECORD_ONE + "wait()", {**quick_exit(endpoint), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert ran.err == [
        (
            "the last telemetry was not delivered within 1 s of the exit: the Collector is slow or does not answer. See "
            "OTEL_EXPORTER_OTLP_ENDPOINT and LANGMETER_EXIT_TIMEOUT."
        )
    ]
    assert ran.exit_seconds < EXIT_TIMEOUT + EXIT_SLACK


def test_ruling_13_flush_is_bounded_too():
    script = """
    bootstrap.ensure(Settings())
    wait()
    record("one")
    begun = time.monotonic()
    print(bootstrap.flush(timeout=0.2), time.monotonic() - begun < 3)
    """
    with otlp_receiver.black_hole() as endpoint:
        ran = run(script, quick_exit(endpoint))
    assert ran.out == ["False True"]


def test_ruling_13_spans_wait_for_a_collector_that_comes_late():
    port = otlp_receiver.free_port()
    script = """
    bootstrap.ensure(Settings())
    wait()
    for number in range(600):
        record(f"early {number}")
    print(bootstrap.flush(), flush=True)
    sys.stdin.readline()
    record("late")
    print(bootstrap.flush())
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(script)],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "False\n"
        with otlp_receiver.http_collector(port) as received:
            out, err = process.communicate("\n", timeout=60)
    assert out == "True\n"
    names = [f"early {number}" for number in range(600)] + ["late"]
    assert [name for _, name in received.spans] == names
    assert [name for _, name in received.logs] == names
    assert set(received.totals("work.done").values()) == {601}
    assert len(err.splitlines()) == 1


def test_a_collector_that_refuses_is_named_once_per_signal():
    script = """
    bootstrap.ensure(Settings())
    wait()
    for _ in range(3):
        record("one")
        print(bootstrap.flush())
    """
    with otlp_receiver.http_collector(status=401) as received:
        ran = run(script, to(received))
    assert ran.out == ["False"] * 3
    assert sorted(ran.err) == [
        f"{signal} do not arrive at {received.endpoint}: Failed to export {kind} batch code: 401, reason: Unauthorized"
        for signal, kind in [("logs", "logs"), ("metrics", "metrics"), ("traces", "spans")]
    ]


# -- the exit ----------------------------------------------------------------------------------------------------------


def test_a_script_that_ends_at_once_still_delivers():
    with otlp_receiver.http_collector() as received:
        ran = run(RECORD_ONE, to(received))
    assert (len(received.spans), [value for _, _, value in received.points], len(received.logs)) == (1, [1], 1)
    assert ran.err == []


@pytest.mark.parametrize("imported", [True, False])
def test_a_set_up_during_the_exit_needs_no_threads(imported):
    """From Python 3.12 on an interpreter that is shutting down starts no threads; without one the SDK cannot import its logs."""
    script = """
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    if IMPORTED:
        bootstrap.prefetch()
        for thread in threading.enumerate():
            if thread.name == "langmeter-prefetch": thread.join()
    bootstrap.ensure(Settings())
    threading.Thread.start = refuse
    bootstrap.when_settled(lambda: record("one"))
    """
    with otlp_receiver.http_collector() as received:
        ran = run(f"IMPORTED = {imported}\n" + textwrap.dedent(script), to(received))
    [(instance, _)] = received.spans
    assert is_random_uuid(instance)
    assert received.spans == [(instance, "one")]
    assert received.logs == ([(instance, "one")] if imported else [])
    assert received.points == [(instance, "work.done", 1)]
    assert {resource["service.name"] for resource in received.resources} == {"unknown_service:python"}
    assert ran.err == []


def test_a_thread_that_outlives_the_main_thread_is_heard():
    script = """
    def late():
        threading.main_thread().join()
        time.sleep(0.2)
        bootstrap.ensure(Settings())
        bootstrap.when_settled(lambda: record("late"))
    threading.Thread(target=late).start()
    """
    with otlp_receiver.http_collector() as received:
        ran = run(script, to(received))
    assert [name for _, name in received.spans] == ["late"]
    assert ran.err == []


def test_flush_reaches_the_application_s_own_providers():
    script = """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + "\\n")))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider())
    bootstrap.ensure(Settings())
    record("one")
    print(bootstrap.flush())
    """
    assert run(script) == run_with(["one", "True"])


# -- ruling 3: fork ------------------------------------------------------------------------------------------------------

FORK = """
def fork(child):
    pid = os.fork()
    if pid == 0:
        child()
        sys.exit(0)  # through the exit hooks, as a forking server's worker leaves
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("exported_before", [True, False])
def test_ruling_3_a_forked_child_is_an_instance_of_its_own(protocol, exported_before):
    script = f"""
    bootstrap.ensure(Settings())
    wait()
    if {exported_before}:
        record("parent")
        assert bootstrap.flush()
    def child():
        record("child")
        assert bootstrap.flush(30)
    fork(child)
    record("parent again")
    """
    receiver = otlp_receiver.grpc_collector if protocol == "grpc" else otlp_receiver.http_collector
    with receiver() as received:
        ran = run(FORK + textwrap.dedent(script), to(received, OTEL_EXPORTER_OTLP_PROTOCOL=protocol))
    by_name = {name: instance for instance, name in received.spans}
    expected = ["parent", "child", "parent again"] if exported_before else ["child", "parent again"]
    assert [name for _, name in received.spans] == [name for _, name in received.logs] == expected
    assert by_name["child"] != by_name["parent again"]
    assert all(map(is_random_uuid, by_name.values()))
    assert set(received.totals("work.done")) == set(by_name.values())
    if protocol != "grpc":
        assert [len(instances) for instances in received.connections.values()] == [1] * len(received.connections)
    assert ran.err == []


def test_ruling_3_the_child_exports_by_itself():
    """Without a flush and without an exit: its export threads run."""
    script = """
    bootstrap.ensure(Settings())
    wait()
    def child():
        record("child")
        time.sleep(60)
    pid = os.fork()
    if pid == 0:
        child()
    sys.stdin.readline()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    """
    with otlp_receiver.http_collector() as received:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(script)],
            env={
                **os.environ,
                **to(
                    received,
                    OTEL_METRIC_EXPORT_INTERVAL="200",
                    OTEL_BSP_SCHEDULE_DELAY="200",
                    OTEL_BLRP_SCHEDULE_DELAY="200",
                ),
            },
            stdin=subprocess.PIPE,
            text=True,
        )
        with process:
            arrived = received.wait_for(lambda: received.spans and received.points and received.logs)
            process.communicate("\n", timeout=60)
    assert arrived
    assert {name for _, name in received.spans} == {"child"}


def test_ruling_3_a_fork_waits_for_a_collection_under_way():
    script = """
    from opentelemetry.metrics import Observation
    bootstrap.ensure(Settings())
    wait()
    inside = threading.Event()
    def observe(options):
        inside.set()
        if os.getpid() == parent: time.sleep(0.5)
        yield Observation(1)
    parent = os.getpid()
    metrics.get_meter("test").create_observable_counter("slow", [observe])
    threading.Thread(target=bootstrap.flush).start()
    inside.wait()
    fork(lambda: print(bootstrap.flush(10), flush=True))
    """
    with otlp_receiver.http_collector() as received:
        ran = run(FORK + textwrap.dedent(script), to(received))
    assert ran == run_with(["True"])


@pytest.mark.parametrize("begin", ["bootstrap.ensure(Settings())", "bootstrap.prefetch()"])
def test_ruling_3_a_fork_during_the_set_up_leaves_no_child_pending(begin):
    script = f"""
    {begin}
    def child():
        bootstrap.ensure(Settings())
        bootstrap.when_settled(lambda: record("child"))
    fork(child)
    """
    with otlp_receiver.http_collector() as received:
        ran = run(FORK + textwrap.dedent(script), to(received))
    assert [name for _, name in received.spans] == ["child"]
    assert ran.err == []


def test_ruling_3_what_the_parent_holds_back_is_the_parent_s_to_send():
    script = """
    bootstrap.ensure(Settings())
    wait()
    record("parent")
    assert not bootstrap.flush()
    fork(lambda: print(bootstrap.flush(), flush=True))
    """
    endpoint = f"http://127.0.0.1:{otlp_receiver.free_port()}"
    ran = run(
        FORK + textwrap.dedent(script), {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "none"}
    )
    assert ran.out == ["True"]
    assert len(ran.err) == 1


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_process_of_multiprocessing_delivers_as_well(method, tmp_path):
    """Its children leave by `os._exit`, without exit hooks."""
    program = PRELUDE + textwrap.dedent("""
    import multiprocessing
    def work():
        bootstrap.ensure(Settings())
        wait()
        record("child")
    if __name__ == "__main__":
        bootstrap.ensure(Settings())
        wait()
        process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
        process.start()
        process.join()
        record("parent")
    """)
    path = tmp_path / "program.py"
    path.write_text(program)
    with otlp_receiver.http_collector() as received:
        ran = subprocess.run(
            [sys.executable, str(path), method],
            env={**os.environ, **to(received)},
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    assert [name for _, name in received.spans] == ["child", "parent"]
    assert len(set(received.totals("work.done"))) == 2
    assert ran.stderr == ""


def test_instance_ids_differ_between_runs():
    with otlp_receiver.http_collector() as received:
        run(RECORD_ONE, to(received))
        run(RECORD_ONE, to(received))
    assert len({instance for instance, _ in received.spans}) == 2


# -- ruling 10 and what totals need --------------------------------------------------------------------------------------


@pytest.mark.parametrize("preference", ["delta", "LowMemory"])
def test_ruling_10_temporality_is_honoured_and_warned_about_once(preference):
    script = """
    bootstrap.ensure(Settings())
    bootstrap.ensure(Settings())
    bootstrap.when_settled(lambda: record("one"))
    """
    with otlp_receiver.http_collector() as received:
        ran = run(script, to(received, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=preference))
    assert received.temporalities == {"work.done": 1}
    assert len(ran.err) == 1
    assert ran.err[0].startswith(
        f"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE={preference} asks for metrics that are not"
    )


def test_ruling_10_cumulative_is_not_worth_a_word():
    with otlp_receiver.http_collector() as received:
        ran = run(RECORD_ONE, to(received, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="Cumulative"))
    assert ran.err == []


def test_ruling_10_a_delta_reader_of_the_application_is_warned_about():
    script = """
    from opentelemetry.sdk.metrics import Counter, MeterProvider
    from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader({Counter: AggregationTemporality.DELTA})]))
    bootstrap.ensure(Settings())
    """
    ran = run(script)
    assert len(ran.err) == 1
    assert ran.err[0].startswith("the application's metric reader asks for metrics that are not cumulative")


@pytest.mark.parametrize(
    ("instance", "warned"),
    [
        ("pod-7", True),
        (str(uuid.uuid5(uuid.NAMESPACE_DNS, "pod-7")), True),
        (str(uuid.uuid4()), False),
    ],
    ids=["name", "made from a name", "random"],
)
@pytest.mark.parametrize("where", ["ours", "application"])
def test_a_fixed_instance_id_is_warned_about(instance, warned, where):
    ours = RECORD_ONE + "wait()"
    application = f"""
    tracer_provider, meter_provider = own_providers(**{{"service.instance.id": {instance!r}}})
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(meter_provider)
    bootstrap.ensure(Settings())
    """
    with otlp_receiver.http_collector() as received:
        if where == "ours":
            ran = run(ours, to(received, OTEL_RESOURCE_ATTRIBUTES=f"service.instance.id={instance}"))
        else:
            ran = run(application)
    assert [line.startswith(f"service.instance.id={instance} looks fixed") for line in ran.err] == [True] * warned


def test_a_missing_instance_id_is_warned_about():
    script = """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    metrics.set_meter_provider(MeterProvider(resource=Resource({"service.name": "shop"})))
    bootstrap.ensure(Settings())
    """
    ran = run(script)
    assert len(ran.err) == 1
    assert ran.err[0].startswith("the resource has no service.instance.id")


# -- exporters of others -------------------------------------------------------------------------------------------------


def install_package(directory, module, entry_points):
    """What an installed package leaves behind: a module and its entry points. Returns the environment that finds it."""
    (directory / "spy.py").write_text(textwrap.dedent(module))
    information = directory / "spy-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (information / "entry_points.txt").write_text(entry_points)
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(Path(__file__).parents[2] / "src")])}


def test_an_installed_exporter_is_used_and_never_traced(tmp_path):
    """It reports what instrumentation of HTTP clients would see while it exports."""
    module = """
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

    class SpyExporter(MetricExporter):
        def export(self, metrics_data, timeout_millis=10_000, **options):
            [resource] = metrics_data.resource_metrics
            names = [metric.name for scope in resource.scope_metrics for metric in scope.metrics]
            print(names, is_instrumentation_enabled(), flush=True)
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis=10_000):
            return True

        def shutdown(self, timeout_millis=30_000, **options):
            pass
    """
    environment = install_package(tmp_path, module, "[opentelemetry_metrics_exporter]\nspy = spy:SpyExporter\n")
    environment |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "spy", "OTEL_LOGS_EXPORTER": "none"}
    assert run(RECORD_ONE, environment) == run_with(["['work.done'] False"])


def test_ruling_12_providers_set_at_the_last_moment_win(tmp_path):
    """The application sets its providers while ours are built: a resource detector gives it that moment."""
    module = """
    import __main__
    from opentelemetry.sdk.resources import Resource, ResourceDetector

    class Detector(ResourceDetector):
        def detect(self):
            if __main__.armed:
                __main__.set_up()
            return Resource({})
    """
    script = """
    armed = False
    tracer_provider, meter_provider = own_providers()
    from langmeter.bootstrap import logs, providers
    def set_up():
        trace.set_tracer_provider(tracer_provider)
        metrics.set_meter_provider(meter_provider)
    armed = True
    bootstrap.ensure(Settings())
    wait()
    print(ours(), trace.get_tracer_provider() is tracer_provider, metrics.get_meter_provider() is meter_provider)
    """
    environment = install_package(tmp_path, module, "[opentelemetry_resource_detector]\nspy = spy:Detector\n")
    assert run(script, environment | {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "spy"}) == run_with(["[] True True"])
