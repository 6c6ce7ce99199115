"""OpenTelemetry instrumentation for LangChain."""
