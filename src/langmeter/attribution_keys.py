"""Which keys and values attribution may have: in blocks, in run metadata, in baggage and on metrics. Pure."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from langmeter.errors import SettingsError

Value: TypeAlias = str | int | bool | None
"""What may be said under a key; None says that there is nothing, whatever was said further out."""

PROMPT_NAME: Final = "prompt_name"
PROMPT_VERSION: Final = "prompt_version"
PROMPT_KEYS: Final = frozenset({PROMPT_NAME, PROMPT_VERSION})
"""Keys that have attributes of their own in the conventions, on spans of model calls."""
LONGEST_VALUE: Final = 256
"""Characters; the rest of a longer value is cut off."""

_KEY: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_SINGLE_THINGS: Final = (
    *("user", "end_user", "enduser", "session", "conversation", "thread", "run", "prompt", "request", "message"),
    *("trace", "span"),
)
_IDENTIFIED_BY: Final = ("id", "ids", "uid", "uuid", "guid", "key", "name", "email", "hash", "version")
_IDENTIFIERS: Final = re.compile(
    rf"uid|uuid|guid|e_?mail|(.*_)?({'|'.join(_SINGLE_THINGS)})_?({'|'.join(_IDENTIFIED_BY)})|{'|'.join(_SINGLE_THINGS)}"
)


def is_key(key: str) -> bool:
    """Whether a text can be a key of attribution."""
    return _KEY.fullmatch(key) is not None


def checked_key(key: str) -> str:
    """The key, if it can be one.

    Raises:
        SettingsError: it cannot; the message says what a key looks like.
    """
    if not is_key(key):
        raise SettingsError(
            f"attribution key {key!r:.80}: a key is at most 64 lower-case letters, digits, '_' and '.', and begins with a "
            "letter, like 'tenant' or 'team.name'"
        )
    return key


def checked_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys without repetitions, if all can be keys; else `SettingsError`."""
    return tuple(dict.fromkeys(map(checked_key, keys)))


def checked_metric_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys without repetitions, if all may be on metrics.

    Raises:
        SettingsError: one is no key, or names a single user, session, conversation, run or prompt.
    """
    for key in keys:
        if _IDENTIFIERS.fullmatch(key.replace(".", "_")):
            raise SettingsError(
                f"attribution key {key!r} is not for metrics: users, sessions, conversations, runs and prompts are without "
                "end, and each would be a time series of its own. Spans carry it; for metrics name a group, like 'tenant'"
            )
    return checked_keys(keys)


def text(value: object) -> str | None:
    """A value as attribution carries it; None for what cannot be one (None, the empty text, other types).

    Flags are `true` and `false`. Lone surrogates are replaced: one of them makes OTLP lose the whole batch.
    """
    if type(value) is str and value.isascii() and len(value) <= LONGEST_VALUE:  # nearly always
        return value or None
    if isinstance(value, str):
        shortened = value[:LONGEST_VALUE]  # of a subclass, such as an enumeration, this is the plain text
    elif isinstance(value, bool):
        shortened = "true" if value else "false"
    elif isinstance(value, int):
        shortened = str(value)[:LONGEST_VALUE]
    else:
        return None
    return (shortened if shortened.isascii() else shortened.encode("utf-8", "replace").decode("utf-8")) or None
