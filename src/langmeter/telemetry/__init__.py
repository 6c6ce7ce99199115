"""Sinks that turn a finished call into OpenTelemetry signals: `metrics.py` and `spans.py`. They know the API only."""
