"""The application's own log lines carry the ids of the span that they were written in; exception events the same ones."""

import logging
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from langchain_core.tools import tool
from models import Boom, Chat
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler

from langmeter import semconv

EXAMPLE = Path(__file__).parents[2] / "examples" / "log_correlation.py"
LOGGER = logging.getLogger("application")


@pytest.fixture
def lines(instrumented, caplog):
    """What was logged: (message, name of the span that it was logged in), as text and as exported records."""
    LoggingInstrumentor().instrument(inject_trace_context=True, enable_log_auto_instrumentation=False)
    handler = LoggingHandler(logger_provider=instrumented.logger_provider)
    LOGGER.addHandler(handler)
    caplog.set_level(logging.INFO, "application")

    def lines():
        names = defaultdict(lambda: None, {span.context.span_id: span.name for span in instrumented.spans()})
        as_text = [(record.message, names[int(record.otelSpanID, 16)]) for record in caplog.records]
        exported = [found.log_record for found in instrumented.logs() if not found.log_record.event_name]
        assert [(record.body, names[record.span_id]) for record in exported] == as_text
        return as_text

    yield lines
    LOGGER.removeHandler(handler)
    LoggingInstrumentor().uninstrument()


def test_a_line_belongs_to_the_span_that_it_was_logged_in(lines):
    @tool
    def look_up(city: str) -> str:
        """Look up a city."""
        LOGGER.info("in the tool")
        return Chat(work=lambda: LOGGER.info("in the model")).invoke(city).text

    LOGGER.info("before")
    look_up.invoke({"city": "Rome"})
    LOGGER.info("after")
    assert lines() == [
        ("before", None),
        ("in the tool", "execute_tool look_up"),
        ("in the model", "chat gpt-4o"),
        ("after", None),
    ]


def test_a_line_of_the_consumer_of_a_stream_does_not(lines):
    stream = Chat(work=lambda: LOGGER.info("in the model")).stream("x")
    for number, _ in enumerate(stream):
        if number == 0:
            LOGGER.info("in the consumer")
    assert lines() == [("in the model", "chat gpt-4o"), ("in the consumer", None)]


def test_an_exception_event_has_the_ids_of_the_call(instrumented, lines):
    with pytest.raises(Boom):
        Chat(fails_on="x", work=lambda: LOGGER.info("in the model")).invoke("x")
    (span,) = instrumented.spans()
    line, event = [found.log_record for found in instrumented.logs()]
    assert event.event_name == semconv.EXCEPTION_EVENT
    ids = (span.context.trace_id, span.context.span_id)
    assert [(record.trace_id, record.span_id) for record in (line, event)] == [ids, ids]


def test_the_example():
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    written, _, exported = done.stdout.partition("\n\n")
    found = [re.fullmatch(r"(\w+) trace=(\w{32}) span=(\w{16}) (.*)", line).groups() for line in written.splitlines()]
    assert [(level, text) for level, _, _, text in found] == [
        ("INFO", "a customer asks"),
        ("INFO", "asking the carrier"),
        ("WARNING", "the carrier is silent"),
    ]
    assert found[0][2] == found[2][2] != found[1][2]
    (trace_id,) = {trace for _, trace, _, _ in found}
    assert [line.split(maxsplit=2) for line in exported.splitlines()] == [
        [trace_id, "INFO", "a customer asks"],
        [trace_id, "INFO", "asking the carrier"],
        [trace_id, "WARN", "gen_ai.client.operation.exception"],
        [trace_id, "WARN", "the carrier is silent"],
    ]
