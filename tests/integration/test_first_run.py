"""The first run of a process, while our own providers are still being set up: its trace is whole all the same."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from bootstrap import otlp_receiver

HERE = Path(__file__).parent
SCRIPT = """
import asyncio
import langmeter
langmeter.instrument(**{settings})
from langchain.agents import create_agent
from langmeter import bootstrap
from test_steps import QUESTION, Scripted, double, slow
from models import PlainChat

agent = create_agent(Scripted(model="m-1", rounds=[["double"]]), [double], name="calculator")
{body}
"""
# Over before the providers are there.
QUICK = """
agent.invoke(QUESTION)
"""
# Begins while the providers are missing, and ends when they are there.
PATIENT = """
patient = create_agent(Scripted(model="m-1", rounds=[["slow"]]), [slow], name="patient")
asyncio.run(patient.ainvoke(QUESTION))
assert not bootstrap.pending()
"""


def run(body, received, **settings):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LANGMETER_"))}
    paths = os.pathsep.join([str(HERE.parents[1] / "src"), str(HERE)])
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(settings=settings, body=textwrap.dedent(body))],
        env={
            **clean,
            "PYTHONPATH": paths,
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "LANGMETER_EXIT_TIMEOUT": "30",
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("body", "agent", "tool"),
    [pytest.param(QUICK, "calculator", "double", id="quick"), pytest.param(PATIENT, "patient", "slow", id="patient")],
)
def test_the_first_agent_run_is_one_trace(body, agent, tool):
    with otlp_receiver.http_collector() as received:
        run(body, received)
    root = f"invoke_agent {agent}"
    assert received.parents == {root: "", f"execute_tool {tool}": root, "chat m-1": root}
    assert sorted(name for _, name in received.spans) == ["chat m-1", "chat m-1", f"execute_tool {tool}", root]
    assert list(received.totals("langchain.inference.requests").values()) == [2]
