"""What a new user meets first: the demo's keys and screens, and what the pages of docs/ say."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from langmeter.demo import workload
from langmeter.demo.provider import Provider
from langmeter.demo.tables import totals_grid


@pytest.fixture
def desk(tmp_path):
    with (
        Provider(speed=0) as provider,
        workload.SupportDesk(provider.base_url, seed=7, scratch=tmp_path, report=lambda _: None) as desk,
    ):
        yield desk


def test_ctrl_c_together_with_a_chunk_ends_the_work_on_the_event_loop(desk):
    async def chunk(state):
        os.kill(os.getpid(), signal.SIGINT)
        return state

    class Interrupted:
        def invoke(self, state):
            return state

        async def astream(self, state):
            yield await asyncio.wait_for(chunk(state), 60)  # as ChatOpenAI waits for its chunks

    desk._agent = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        desk.order_desk()


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_totals_of_the_demo_are_shown_whole(width):
    usage = SimpleNamespace(
        cost_usd=1.234567,
        saved_usd=0.123456,
        saved_tokens=11_682,
        hit_ratio=0.58,
        cache_hits=121,
        cache_misses=136,
        total_tokens=140_122,
        output_tokens=19_693,
        calls=1_133,
        errors=117,
        unpriced_calls=13,
        estimated_calls=19,
    )
    console = Console(file=io.StringIO(), width=width)
    console.print(totals_grid(usage))
    drawn = console.file.getvalue()
    assert "…" not in drawn
    assert "13 unpriced, 19 estimated" in drawn


def test_a_demo_whose_terminal_closes_leaves_nothing_behind(tmp_path):
    command = (sys.executable, "-m", "langmeter.cli", "demo", "--plain", "--rounds", "50")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while "round 1" not in (line := demo.stdout.readline()):
            assert line
        assert any(tmp_path.glob("langmeter-demo-*"))
        demo.send_signal(signal.SIGHUP)
        demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGHUP
    assert list(tmp_path.glob("langmeter-demo-*")) == []
