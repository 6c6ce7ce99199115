"""Every span name, attribute, metric, unit, bucket and enumerated value that langmeter emits.

`gen_ai.*` and `openai.*` follow the OpenTelemetry GenAI conventions as of November 2026 (status: development). What those
do not define (cost, response caches, rates) lives in one namespace of our own. No other package spells a name.
"""

from __future__ import annotations

from langmeter.semconv.attributes import *  # noqa: F403  (one table in two files)
from langmeter.semconv.metrics import *  # noqa: F403
