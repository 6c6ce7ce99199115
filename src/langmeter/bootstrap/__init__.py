"""SDK providers and OTLP exporters for an application that has none, without ever standing in its way.

`ensure` decides at the first model call. Importing this package loads neither the SDK nor an exporter: the modules that
do (`providers`, `exporters`, `outlets`, `reader`) are imported on a thread of their own, once they are needed.
"""

from __future__ import annotations

from langmeter.bootstrap.checks import is_proxy
from langmeter.bootstrap.lifecycle import ensure, flush, owns, pending, prefetch, when_settled

__all__ = ["ensure", "flush", "is_proxy", "owns", "pending", "prefetch", "when_settled"]
