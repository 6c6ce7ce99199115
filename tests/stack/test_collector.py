"""The demo's telemetry, through a real Collector, against the demo's own summary."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import otlp_files
import pytest

from langmeter import semconv

CONFIGURATION = Path(__file__).with_name("collector.yaml")
NANODOLLAR = Decimal("1e-9")
MODEL_OPERATIONS = {semconv.CHAT, semconv.TEXT_COMPLETION, semconv.EMBEDDINGS}
EMBEDDED = semconv.EMBEDDINGS_USAGE_INPUT_TOKENS.name

pytestmark = pytest.mark.stack

FIGURES = {
    "calls": (semconv.REQUESTS, lambda _: True),
    "errors": (semconv.REQUESTS, lambda attributes: semconv.ERROR_TYPE in attributes),
    "input_tokens": (semconv.INFERENCE_INPUT_TOKENS, lambda _: True),
    "output_tokens": (semconv.INFERENCE_OUTPUT_TOKENS, lambda _: True),
    "cache_read_tokens": (semconv.INFERENCE_CACHE_READ_TOKENS, lambda _: True),
    "cache_write_tokens": (semconv.INFERENCE_CACHE_WRITE_TOKENS, lambda _: True),
    "reasoning_tokens": (semconv.INFERENCE_REASONING_TOKENS, lambda _: True),
    "cache_hits": (semconv.CACHE_REQUESTS, lambda attributes: attributes[semconv.CACHE_STATUS] == "hit"),
    "cache_misses": (semconv.CACHE_REQUESTS, lambda attributes: attributes[semconv.CACHE_STATUS] == "miss"),
    "cache_errors": (semconv.CACHE_REQUESTS, lambda attributes: attributes[semconv.CACHE_STATUS] == "error"),
    "cache_bypasses": (semconv.CACHE_REQUESTS, lambda attributes: attributes[semconv.CACHE_STATUS] == "bypass"),
    "unpriced_calls": (semconv.UNPRICED_REQUESTS, lambda _: True),
    "cost_usd": (semconv.COST, lambda _: True),
    "saved_usd": (semconv.CACHE_SAVED_COST, lambda _: True),
}


class Delivered(NamedTuple):
    """One run of the demo: what it says of itself, and what the Collector wrote down."""

    summary: dict
    spans: list[otlp_files.Span]
    counters: list[otlp_files.Point]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def wait_until_healthy(process, port, log):
    for _ in range(200):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the Collector did not become healthy:\n{log.read_text(encoding='utf-8')}")


@contextmanager
def running_collector(program, directory):
    """A real Collector on free loopback ports; yields the port of each protocol. Its files are complete afterwards."""
    grpc, http, health = free_ports(3)
    log = directory / "collector.log"
    ports = {"GRPC_PORT": str(grpc), "HTTP_PORT": str(http), "HEALTH_PORT": str(health)}
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [program, "--config", CONFIGURATION],
            env={**os.environ, **ports, "OUTPUT": str(directory)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_healthy(process, health, log)
        yield {"grpc": grpc, "http/protobuf": http}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, log.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()


def run_demo(protocol, port):
    ours = ("OTEL_", "LANGMETER_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "LANGMETER_EXIT_TIMEOUT": "20",  # a slow machine must not lose the last export
    }
    program = Path(sys.executable).with_name("langmeter")
    result = subprocess.run(
        [program, "demo", "--json", "--speed", "0"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def deliver(tmp_path_factory):
    """`deliver(program, protocol)`: runs the demo into a Collector, once per protocol for the whole module."""

    @functools.cache
    def deliver(program, protocol):
        directory = tmp_path_factory.mktemp("collector")
        with running_collector(program, directory) as ports:
            summary = run_demo(protocol, ports[protocol])
        return Delivered(
            summary,
            otlp_files.spans(directory / "traces.jsonl"),
            otlp_files.counters(directory / "metrics.jsonl"),
        )

    return deliver


@pytest.fixture(params=["http/protobuf", "grpc"])
def delivered(request, require_program, deliver):
    return deliver(require_program("otelcol"), request.param)


def figures(points):
    """The figures of `track()`, summed from counters; money rounded to the nano-dollar."""
    totals = {}
    for figure, (metric, counts) in FIGURES.items():
        total = sum(point.value for point in points if point.metric == metric.name and counts(point.attributes))
        totals[figure] = nanodollars(total) if figure.endswith("_usd") else total
    totals["input_tokens"] += sum(point.value for point in points if point.metric == EMBEDDED)
    return totals


def nanodollars(amount):
    return Decimal(amount).quantize(NANODOLLAR)


def expected(summary):
    return {name: nanodollars(summary[name]) if name.endswith("_usd") else summary[name] for name in FIGURES}


def model_spans(delivered):
    return [span for span in delivered.spans if span.attributes.get(semconv.OPERATION_NAME) in MODEL_OPERATIONS]


def test_the_demo_is_worth_comparing(delivered):
    summary = expected(delivered.summary)
    must_occur = set(FIGURES) - {"cache_write_tokens", "cache_errors", "cache_bypasses"}
    assert [name for name in sorted(must_occur) if not summary[name]] == []


def test_counters_add_up_to_the_summary(delivered):
    assert figures(delivered.counters) == expected(delivered.summary)


def test_counters_add_up_to_the_summary_model_by_model(delivered):
    summary = {model: expected(usage) for model, usage in delivered.summary["by_model"].items()}
    requested = {model: [] for model in summary}
    for point in delivered.counters:
        if point.metric in {EMBEDDED, *(metric.name for metric, _ in FIGURES.values())}:
            requested[point.attributes[semconv.REQUEST_MODEL]].append(point)
    assert {model: figures(points) for model, points in requested.items()} == summary


def test_there_is_one_span_for_every_call_and_every_hit(delivered):
    found = Counter(span.attributes.get(semconv.CACHE_STATUS) == "hit" for span in model_spans(delivered))
    assert found == Counter({False: delivered.summary["calls"], True: delivered.summary["cache_hits"]})


def test_every_parent_arrived_in_the_same_trace(delivered):
    known = {(span.trace_id, span.span_id) for span in delivered.spans}
    assert len(known) == len(delivered.spans)
    orphans = [s.name for s in delivered.spans if s.parent_id and (s.trace_id, s.parent_id) not in known]
    assert orphans == []


def test_cost_and_tokens_on_spans_add_up_to_the_summary(delivered):
    def total(attribute):
        return sum(Decimal(repr(span.attributes.get(attribute, 0))) for span in model_spans(delivered))

    assert {
        "cost_usd": nanodollars(total(semconv.COST_AMOUNT)),
        "input_tokens": total(semconv.USAGE_INPUT_TOKENS),
        "output_tokens": total(semconv.USAGE_OUTPUT_TOKENS),
    } == {name: expected(delivered.summary)[name] for name in ("cost_usd", "input_tokens", "output_tokens")}


def test_all_signals_come_from_one_named_process(delivered):
    resources = [item.resource for item in (*delivered.spans, *delivered.counters)]
    assert {resource["service.name"] for resource in resources} == {"langmeter-demo"}
    (instance,) = {resource["service.instance.id"] for resource in resources}
    assert instance
