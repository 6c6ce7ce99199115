"""Rulings that bind the package as a whole rather than one module of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "langmeter"
CALL = """
import sys, langmeter
from langchain_core.language_models import FakeListChatModel
langmeter.instrument(bootstrap="never")
with langmeter.track() as usage:
    FakeListChatModel(responses=["yes"]).invoke("x" * 10_000)
assert usage.calls == usage.unpriced_calls == 1
print("tiktoken" in sys.modules)
"""


def _python(*arguments: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGMETER_"))}
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return finished.stdout


def test_ruling_14_the_demo_exports_metrics_every_15_seconds_unless_told_otherwise():
    show = (
        "import os, langmeter.cli.demo as demo; demo.set_environment();print(os.environ['OTEL_METRIC_EXPORT_INTERVAL'])"
    )
    assert _python("-c", show).strip() == "15000"
    assert _python("-c", show, OTEL_METRIC_EXPORT_INTERVAL="5000").strip() == "5000"


def test_ruling_18_every_module_at_the_top_has_its_place_in_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    placed = {module.strip().removeprefix("langmeter.") for layer in layers for module in layer.split(":")}
    present = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }
    assert placed == present - {"__init__"}


def test_ruling_20_an_instrumented_call_without_usage_does_not_touch_tiktoken():
    assert _python("-c", CALL).strip() == "False"
