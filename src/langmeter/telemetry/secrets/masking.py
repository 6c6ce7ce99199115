"""Applying a table of patterns to a text, in a time that grows with the text and no faster.

A rule names the literals that its matches begin with (`starts`, lower case), so that its pattern is tried there only; most
texts hold none of them. Patterns have bounds, or take what they matched for good: no input makes one of them scan the same
text again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

Replacement: TypeAlias = Callable[[re.Match[str]], str]


class Rule(NamedTuple):
    """One kind of secret: what it begins with, what it looks like, and what takes its place."""

    starts: tuple[str, ...]
    """Empty where it may begin with anything."""
    pattern: re.Pattern[str]
    replacement: Replacement
    needs: str = ""
    """A literal, in lower case, without which there is no match."""


def mask(kind: str) -> str:
    """What stands for something that was taken out."""
    return f"[redacted:{kind}]"


def always(text: str) -> Replacement:
    """A replacement that does not depend on the match."""
    return lambda _: text


def masked(text: str, rules: Iterable[Rule]) -> str:
    """The text after every rule, in their order."""
    folded = text.lower()
    for rule in rules:
        if rule.needs and rule.needs not in folded:
            continue
        if not rule.starts:
            changed = rule.pattern.sub(rule.replacement, text)
        elif any(start in folded for start in rule.starts):
            # A few letters change their length when folded: positions then differ, and every place is tried.
            apart = len(folded) != len(text)
            changed = rule.pattern.sub(rule.replacement, text) if apart else _at_starts(text, folded, rule)
        else:
            continue
        if changed is not text:
            text, folded = changed, changed.lower()
    return text


def _at_starts(text: str, folded: str, rule: Rule) -> str:
    positions: list[int] = []
    for start in rule.starts:
        position = folded.find(start)
        while position >= 0:
            positions.append(position)
            position = folded.find(start, position + len(start))
    kept, done = [], 0
    for position in sorted(positions):
        match = rule.pattern.match(text, position) if position >= done else None
        if match is not None:
            kept += [text[done:position], rule.replacement(match)]
            done = match.end()
    return "".join([*kept, text[done:]]) if kept else text
