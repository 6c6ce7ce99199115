"""What secrets and personal data look like, and masks such as `[redacted:card]` in their place.

docs/content.md says what is known, what slips through and what is taken for a secret that is none.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from langmeter.telemetry.secrets import credentials, personal
from langmeter.telemetry.secrets.masking import Rule, masked

_LONG_NUMBER: Final = re.compile(r"\d(?:[^\dA-Za-z]{0,3}\d){6}", re.ASCII)
"""Seven digits close together: fewer are no card, no account and no telephone number."""


@functools.cache
def _rules() -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    return credentials.rules(), personal.number_rules()


def prepare() -> None:
    """Compile the patterns now, not at the first text."""
    _rules()


def without_secrets(text: str) -> str:
    """The text with masks in place of what is known. Safe from any thread; its time grows with the text and no faster."""
    texts, numbers = _rules()
    text = masked(text, texts)
    return masked(text, numbers) if _LONG_NUMBER.search(text) else text
