"""The plainest parts of a message."""

from __future__ import annotations

from typing import Any, TypeAlias

Part: TypeAlias = dict[str, Any]
"""One part of a message of the conventions: `type`, and what that type has."""


def text_part(text: str) -> Part:
    """A text."""
    return {"type": "text", "content": text}


def reasoning_part(text: str) -> Part:
    """What the model thought."""
    return {"type": "reasoning", "content": text}


def omitted_part(count: int) -> Part:
    """What stands for so many parts, or messages, that were not read."""
    return {"type": "omitted", "count": count}


def refusal_part(text: str) -> Part:
    """The words of a model that would not answer: the conventions have no part of their own for them."""
    return {"type": "refusal", "content": text}
