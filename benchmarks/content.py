"""What recording content adds to a call, and how long redaction takes with texts made to be slow.

    python benchmarks/content.py [--repeats 5] [--json FILE]

Calls: langmeter with `content` off, on spans, on spans and events, on spans without the built-in patterns, and on spans that
are not sampled, for one short message, a history of 200 messages, a prompt of 100 kB and an image of 4 MB. All in one process,
in turn. Figures are processor time of the calling thread, the best block of all repeats, in microseconds per call. What each
variant records is checked first.

Texts: microseconds per kilobyte for ordinary prose and for each hostile text of 250 kB and of 1 MB. Work that grows with the
length alone has the same figure in both columns; the last column is their ratio.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import langmeter
from langmeter import semconv
from langmeter.telemetry.secrets import without_secrets
from model_calls import Chat

PROSE = "On 14 May 2024 at 10:30 the quick brown fox, no. 42, jumps over the lazy dog. "
PROMPTS = {
    "one message": [HumanMessage("hello there")],
    "200 messages": [kind(PROSE) for _ in range(100) for kind in (HumanMessage, AIMessage)],
    "100 kB": [HumanMessage(PROSE * 1_300)],
    "4 MB image": [HumanMessage([{"type": "image", "base64": "iVBORw0K" * 500_000, "mime_type": "image/png"}])],
}
VARIANTS = {
    "off": {},
    "span": {"content": "span"},
    "span, no patterns": {"content": "span", "redact_patterns": "none"},
    "span and event": {"content": "span_and_event"},
    "span, not sampled": {"content": "span"},
}
HOSTILE = {
    "prose": PROSE,
    "one letter": "a",
    "one digit": "4",
    "digits and spaces": "4 ",
    "digits and dashes": "4-",
    "groups of digits": "4111 ",
    "starts of web tokens": "eyJ",
    "web tokens": "eyJabcdefgh.",
    "starts of keys": "sk-",
    "keys of letters": "sk-" + "a" * 25 + " ",
    "schemes": "://",
    "schemes with users": "://a:",
    "schemes with long users": "://" + "a" * 250 + ":" + "b" * 500 + " ",
    "at signs": "@",
    "starts of addresses": "a@",
    "dots after an address": "a@a.",
    "starts of private keys": "-----BEGIN PRIVATE KEY-----",
    "names of passwords": "password=",
    "names and spaces": "password   ",
    "open quotes": 'password="',
    "headers": "bearer ",
    "key ids and secrets": "AKIAIOSFODNN7EXAMPL " + "aB3" * 13 + "a ",
    "plus signs": "+1",
    "brackets": "(415) ",
    "leading zeros": "01 ",
    "telephones": "tel 1",
    "accounts": "AA11 ",
    "signatures": "?sig=",
    "base64": "aB3/",
    "nearly base64": "a" * 1_023 + " ",
    "quotes": '"',
    "decimals": "1.",
}
ROUNDS = 20
SMALL, LARGE = 250_000, 1_000_000


class Variant:
    """One way to record, switched on for as long as it is measured."""

    def __init__(self, name):
        self.settings = VARIANTS[name]
        self.spans = InMemorySpanExporter()
        sampler = ALWAYS_OFF if "not sampled" in name else ALWAYS_ON
        tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.logs = InMemoryLogRecordExporter()
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self.logs))
        meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        self.providers = {"tracer_provider": tracers, "meter_provider": meters, "logger_provider": loggers}
        self.records = "content" in self.settings and sampler is ALWAYS_ON

    def block(self, model, prompt):
        langmeter.instrument(**self.providers, **self.settings)
        try:
            for _ in range(3):
                model.invoke(prompt)
            begin = time.thread_time()
            for _ in range(ROUNDS):
                model.invoke(prompt)
            return (time.thread_time() - begin) / ROUNDS * 1e6
        finally:
            langmeter.uninstrument()
            self.check()

    def check(self):
        finished = self.spans.get_finished_spans()
        assert all((semconv.INPUT_MESSAGES in span.attributes) == self.records for span in finished)
        self.spans.clear()
        self.logs.clear()


def calls(repeats):
    best = {}
    variants = {name: Variant(name) for name in VARIANTS}
    model = Chat()
    for _ in range(repeats):
        for prompt, messages in PROMPTS.items():
            for name, variant in variants.items():
                gc.collect()
                figure = variant.block(model, messages)
                best[prompt, name] = min(figure, best.get((prompt, name), figure))
    return {prompt: {name: round(best[prompt, name], 1) for name in VARIANTS} for prompt in PROMPTS}


def per_kilobyte(piece, size, repeats):
    text = (piece * (size // len(piece) + 1))[:size]
    best = float("inf")
    for _ in range(repeats):
        begin = time.thread_time()
        without_secrets(text)
        best = min(best, time.thread_time() - begin)
    return best / size * 1e9


def texts(repeats):
    without_secrets("")
    rows = {}
    for name, piece in HOSTILE.items():
        small, large = (per_kilobyte(piece, size, repeats) for size in (SMALL, LARGE))
        rows[name] = {"250 kB": round(small), "1 MB": round(large), "ratio": round(large / small, 1)}
    return rows


def show(title, rows):
    columns = list(next(iter(rows.values())))
    print(f"\n{title:26}" + "".join(f"{column:>20}" for column in columns))
    for name, row in rows.items():
        print(f"{name:26}" + "".join(f"{row[column]:>20,}" for column in columns))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = {"calls": calls(arguments.repeats), "texts": texts(min(2, arguments.repeats))}
    show("µs per call", result["calls"])
    show("µs per kB", result["texts"])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
