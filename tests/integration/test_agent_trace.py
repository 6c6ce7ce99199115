"""The picture of one agent run: drawn from real spans, and its numbers add up."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
SVG = "{http://www.w3.org/2000/svg}"
TREE = [
    "invoke_agent order_agent",
    "  chat gpt-4.1-mini",
    "  execute_tool give_refund",
    "  execute_tool look_up_order",
    "  execute_tool search_handbook",
    "    retrieval handbook",
    "      embeddings text-embedding-3-small",
    "  execute_tool stock_level",
]


@pytest.fixture
def agent_trace(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import agent_trace

    return agent_trace


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(path).iter(f"{SVG}text")]  # noqa: S314  (our own file)


def test_the_numbers_of_a_run_add_up_and_are_drawn(tmp_path):
    picture = tmp_path / "run.svg"
    command = [sys.executable, str(SCRIPTS / "agent_trace.py"), "--output", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    rows = lines[1 : lines.index("")]
    # Tools that run at the same time have no order of their own.
    assert sorted({row[:44].rstrip() for row in rows}, key=str.strip) == sorted(TREE, key=str.strip)
    assert [row.split()[:2] for row in rows].count(["chat", "gpt-4.1-mini"]) == 3
    sums = [line[52:].split() for line in lines[lines.index("") + 1 :]]
    assert sums[0] == sums[1][:2] == sums[2][:2]
    assert sums[1] == sums[2]
    drawn = texts(picture)
    for line in rows:
        assert all(figure in drawn for figure in line[52:].split())
    assert set(sums[1]) <= set(drawn)


def test_what_does_not_add_up_is_named(agent_trace):
    run = agent_trace.run_agent()
    assert agent_trace.problems(run) == []
    key = ("gen_ai.client.inference.usage.input_tokens", "chat")
    assert run.totals[key] == 1246
    assert agent_trace.problems(run._replace(totals={**run.totals, key: run.totals[key] + 1})) == [
        "input tokens in metrics: 1247, where the spans inside the run say 1246"
    ]
    calls = [span for span in run.spans if span.name == "chat gpt-4.1-mini"]
    fewer = run._replace(spans=tuple(span for span in run.spans if span is not calls[0]))
    assert len(agent_trace.problems(fewer)) == 6


def test_the_picture_of_the_docs_is_of_this_run(agent_trace):
    drawn = texts(agent_trace.PICTURE)
    assert {name.strip() for name in TREE} <= set(drawn)
    assert "![" in (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in agent_trace.PICTURE.read_text(encoding="utf-8")


def test_the_same_rows_give_the_same_picture(agent_trace):
    figures = agent_trace.Figures(1_234, 5, None)
    rows = (
        agent_trace.Row(0, "a <b>", "chat", 0.0, 0.02, figures),
        agent_trace.Row(1, "c", "retrieval", 0.0, 0.0, figures),
    )
    picture = agent_trace.draw(rows, (("sum", figures),))
    assert picture == agent_trace.draw(rows, (("sum", figures),))
    found = [element.text for element in ET.fromstring(picture).iter(f"{SVG}text")]  # noqa: S314  (our own picture)
    assert {"a <b>", "1,234", "20 ms", "0.0 ms"} <= set(found)
