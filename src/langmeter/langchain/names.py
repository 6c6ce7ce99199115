"""Names out of values that anybody may have written: bounded, and safe to encode."""

from __future__ import annotations

from typing import Any, Final

LONGEST: Final = 256
"""Characters; anything longer is no name, and would only make telemetry heavy."""


def clean(text: str) -> str:
    """The text with lone surrogates replaced: one of them makes OTLP lose the whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def name_in(value: Any) -> str | None:
    """The value if it can be a name, else None."""
    return clean(value) if isinstance(value, str) and 0 < len(value) <= LONGEST else None
