"""As `test_integrations`, for integrations that hold other packages back and so live in an environment of their own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from langmeter.events import ReportedUsage, TokenUsage

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

OPENAI = TokenUsage(2_000, 300, 1_024, reasoning=192)
CLAUDE = TokenUsage(12_050, 400, 3_000, 9_000, reasoning=0)
# gpt-4o: 976 x $2.5 + 1,024 x $1.25 + 300 x $10 per million. claude-sonnet-4-5: 50 x 3 + 3,000 x 0.3 + 1,000 x 3.75 +
# 8,000 x 6 + 400 x 15.
EXPECTED = {
    "openrouter": ("openrouter", ReportedUsage(OPENAI, cost_usd=0.00375), 2_300),
    "openrouter, stream": ("openrouter", ReportedUsage(OPENAI, cost_usd=0.00375), 2_300),
    "openrouter, own key": ("openrouter", ReportedUsage(OPENAI, cost_usd=0.003675), 2_300),
    "openrouter, own key, stream": ("openrouter", ReportedUsage(OPENAI, cost_usd=0.003675), 2_300),
    "litellm": ("litellm", ReportedUsage(OPENAI, cost_usd=0.00672), 2_300),
    "litellm, stream": ("litellm", ReportedUsage(OPENAI, cost_usd=0.00672), 2_300),
    "litellm, unknown model": ("litellm", ReportedUsage(OPENAI), 2_300),
    "litellm, anthropic": ("litellm", ReportedUsage(CLAUDE, cost_usd=0.0588), 12_450),
    "vertex": ("google_vertexai", ReportedUsage(TokenUsage(10_000, 700, 2_000, reasoning=500)), 10_700),
    "vertex, prompts of tools": (
        "google_vertexai",
        ReportedUsage(TokenUsage(10_000, 700, 2_000, reasoning=500, consistent=False)),
        10_730,
    ),
}


def as_values(provider, usage, total):
    tokens, *facts = usage
    read = ReportedUsage(TokenUsage(*tokens), *facts)
    # litellm adds its prices up in floats; we round to the pico-dollar when we book them.
    charge = None if read.cost_usd is None else round(read.cost_usd, 12)
    return provider, read._replace(cost_usd=charge), total


def test_what_an_integration_reports_is_what_the_provider_billed(require_program):
    probe = Path(__file__).parent / "partner_probe.py"
    command = [require_program("python-partners"), probe]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert result.returncode == 0, result.stderr[-3_000:]
    heard = {name: as_values(*told) for name, told in json.loads(result.stdout).items()}
    assert heard == EXPECTED
