"""The trace id in the application's own log lines, and langmeter's exception event beside them.

Needs opentelemetry-instrumentation-logging.
"""

import logging
import sys

from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

import langmeter

exported = InMemoryLogRecordExporter()
logger_provider = LoggerProvider()
logger_provider.add_log_record_processor(SimpleLogRecordProcessor(exported))
langmeter.instrument(tracer_provider=TracerProvider(), logger_provider=logger_provider, bootstrap="never")

# 1. Into the text of every log line: the instrumentation adds these fields to every record.
LoggingInstrumentor().instrument(inject_trace_context=True, enable_log_auto_instrumentation=False)
LINE = "%(levelname)s trace=%(otelTraceID)s span=%(otelSpanID)s %(message)s"
logging.basicConfig(stream=sys.stdout, format=LINE, level=logging.INFO)

# 2. Through OpenTelemetry, to wherever langmeter's events go: the record carries the ids in fields of its own.
logging.getLogger().addHandler(LoggingHandler(logger_provider=logger_provider))


LOGGER = logging.getLogger("shop")


@tool
def find_parcel(number: str) -> str:
    """Where a parcel is."""
    LOGGER.info("asking the carrier")
    raise TimeoutError(f"no answer about {number}")


def handle(number: str) -> str:
    """What a request handler would do."""
    LOGGER.info("a customer asks")
    try:
        return find_parcel.invoke({"number": number})
    except TimeoutError:
        LOGGER.warning("the carrier is silent")
        return "unknown"


RunnableLambda(handle).with_config(run_name="parcel desk").invoke("4711")

print()
for entry in exported.get_finished_logs():
    record = entry.log_record
    print(f"{record.trace_id:032x} {record.severity_text:5} {record.event_name or record.body}")
