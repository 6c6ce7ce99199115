"""Forty-odd secrets in an application, and what is left of them in everything that langmeter lets out: nothing."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import warnings
from typing import Any

import pytest
from langchain_core.tracers.context import collect_runs
from leaky_application import Application
from leaky_provider import LeakyProvider
from planted_secrets import CONFIGURED, CONTROL, SECRETS, WRITTEN, found_in, secret

import langmeter
from langmeter.caches import CacheAdvisor
from langmeter.langchain import handler
from langmeter.listeners import listeners

CAPTURED = {
    "content": "span_and_event",
    "exception_messages": True,
    "tool_definitions": "full",
    "describe": True,
}


class Listening:
    """A listener as an application may write one: it prints what it is handed."""

    wants_keys = True

    def __init__(self) -> None:
        self.heard: list[str] = []

    def record(self, priced: Any) -> None:
        self.heard.append(repr(priced))


@pytest.fixture
def outside(monkeypatch, caplog):
    """`outside(telemetry)`: runs the application; what LangChain told a tracer and the provider, and what we let out."""
    monkeypatch.setenv("OPENAI_API_KEY", secret("environment key"))
    caplog.set_level(logging.DEBUG, "langmeter")

    def run(telemetry, *callbacks: Any) -> tuple[str, dict[str, str]]:
        listening = Listening()
        listeners.add(listening)
        try:
            with (
                LeakyProvider() as provider,
                collect_runs() as runs,
                warnings.catch_warnings(record=True) as warned,
                langmeter.track() as usage,
                CacheAdvisor(ghost=True) as advisor,
            ):
                warnings.simplefilter("always")
                application = Application(provider.port, callbacks)
                application.run()
                planted = "".join(provider.requests) + "".join(repr(run.dict()) for run in runs.traced_runs)
        finally:
            listeners.remove(listening)
        report = advisor.report()
        return planted, {
            **_exported(telemetry),
            "track()": f"{usage!r} {usage.to_dict()} {usage.by_model!r}",
            "cache report": f"{report} {report!r} {json.dumps(report.to_dict())}",
            "listeners": "\n".join(listening.heard),
            "describe()": "\n".join(langmeter.describe(each).to_json() for each in application.describable()),
            "objects": "\n".join(map(repr, [advisor, usage, *_objects(), *callbacks])),
            "warnings": "\n".join(str(each.message) for each in warned),
            "log": caplog.text,
        }

    return run


def _exported(telemetry) -> dict[str, str]:
    """Every signal as an exporter gets it: scopes, resources, events and exemplars included."""
    logs = telemetry.logs()
    metrics = telemetry._reader.get_metrics_data()
    return {
        "spans": "\n".join(span.to_json() + repr(span.instrumentation_scope) for span in telemetry.spans()),
        "logs": "\n".join(each.to_json() + repr(each.instrumentation_scope) for each in logs),
        "metrics": metrics.to_json() if metrics is not None else "",
    }


def _objects() -> list[Any]:
    """Our objects as a debugger or an error reporter finds them."""
    installed = handler.installed.handler
    if installed is None:
        return []
    observer = installed.observer
    return [installed, observer, observer.settings, observer.runs, observer.steps, installed.watch]


def _leaks(out: dict[str, str]) -> dict[str, list[str]]:
    """The secrets that got out, by the place where they did."""
    return {place: names for place, text in out.items() if (names := found_in(text))}


def test_there_are_forty_and_each_is_found_where_it_is():
    assert len(SECRETS) >= 40
    assert {name for name in SECRETS if found_in(f"x{secret(name)}x") != [name]} == set()
    assert found_in("nothing to see here 4929 1234") == []


SEEN_BY_NOBODY = {"retriever key", "attribute", "configurable", "shop token", "package token"}
"""Secrets that neither the provider nor LangChain's tracers are told, and that our wrappers could find on objects."""


def test_by_default_nothing_leaves_the_process(outside, instrumented):
    planted, out = outside(instrumented)
    # What an instrumentation that records what it is given would have told: nearly all of it.
    assert set(SECRETS) - set(found_in(planted)) == SEEN_BY_NOBODY
    assert _leaks(out) == {}
    assert CONTROL.is_in("".join(out.values()).lower()) is False
    assert len(instrumented.spans()) > 20


def test_a_handler_that_is_passed_tells_nothing_either(outside, telemetry):
    providers = {name: telemetry.providers[name] for name in ("tracer_provider", "meter_provider")}
    _, out = outside(telemetry, langmeter.CallbackHandler(**providers))
    assert _leaks(out) == {}
    assert len(telemetry.spans()) > 20


def test_with_content_recorded_everything_with_a_form_is_masked(outside, telemetry, instrument):
    _, out = outside(instrument(telemetry, **CAPTURED))
    del out["listeners"]  # these are the application's own: they are handed content as it is
    assert _leaks(out) == {}
    assert [CONTROL.is_in(out[place].lower()) for place in ("spans", "logs", "metrics")] == [True, True, False]


def test_without_the_patterns_content_is_recorded_as_it_is(outside, telemetry, instrument):
    """The same search finds what is there: it would find a leak."""
    _, out = outside(instrument(telemetry, **CAPTURED, redact_patterns="none"))
    assert set(found_in(out["spans"])) >= set(WRITTEN) - UNRECORDED
    assert set(found_in(out["spans"] + out["logs"])) & set(CONFIGURED) == set()
    assert found_in(out["metrics"] + out["track()"] + out["warnings"]) == []


UNRECORDED = {"image", "cloud key", "share signature", "shop token", "search key", "package token", "signed url"}
"""Never recorded: the data of images, the text of documents, artifacts of tools, embedded texts, what an interrupt asks,
and signatures of addresses."""


TELL_NOBODY = """
import langmeter
from langchain_core.language_models.fake_chat_models import FakeListChatModel
langmeter.instrument(bootstrap="now")
FakeListChatModel(responses=["yes"]).invoke("Why?")
langmeter.flush()
"""


@pytest.mark.parametrize("command", [("-c", TELL_NOBODY), ("-m", "langmeter.cli", "doctor")], ids=["warning", "doctor"])
def test_the_address_of_the_collector_is_told_without_its_credentials(command):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}/otlp"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGMETER_"))}
        endpoint = f"http://app:{secret('url password')}@{place}?key={secret('url query')}"
        done = subprocess.run(
            [sys.executable, *command],
            env={**kept, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    said = done.stdout + done.stderr
    assert f"http://{place}" in said
    assert found_in(said) == []
