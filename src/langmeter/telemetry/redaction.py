"""What leaves the process of a recorded text: after the user's hook and the built-in patterns have seen it."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from langmeter.boundary import swallow
from langmeter.telemetry import secrets
from langmeter.telemetry.secrets.masking import mask
from langmeter.telemetry.secrets.numbers import is_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from langmeter.settings import Settings

FAILED: Final = "[redaction failed]"
"""Stands for a text whose redaction raised or returned no text: nothing of it is recorded."""
MARGIN: Final = 4_096
"""Characters read past the kept ones: a secret that the cut would go through is seen whole and masked."""
_UNSEEN: Final = 1_024
"""Characters at the end of what was read that may be the first half of a secret, too short to be known as one."""
_DATA_END: Final = " data]"
_BASE64: Final = re.compile(
    r"data:[\w/+.-]{0,100}+(?:;[\w=-]{1,60}){0,4}?;base64,[A-Za-z0-9+/=_-]*+|(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{1024,}+={0,2}"
)
_WHOLE_NAMES: Final = frozenset({"auth", "authorization", "cookie", "cvc", "cvv", "jwt", "pwd", "setcookie", "token"})
_NAME_ENDINGS: Final = (
    *("accesskey", "accesstoken", "accountkey", "apikey", "apitoken", "authtoken", "bearertoken", "clientsecret"),
    *("connectionstring", "credential", "credentials", "encryptionkey", "idtoken", "passphrase", "passwd", "password"),
    *("privatekey", "proxyauthorization", "refreshtoken", "secret", "secretkey", "sessiontoken", "subscriptionkey"),
)
_LONGEST_NAME: Final = 64
_SECRET_VALUE: Final = mask("password")
_in_hook: Final[ContextVar[bool]] = ContextVar("langmeter_in_redact_hook", default=False)
"""Whether a hook is at work here; a context variable, since a hook may hand a call to LangChain's threads."""


class Redactor:
    """Takes secrets out of texts. Safe from any thread; raises nothing that a text or the user's hook could cause.

    The hook sees every text first and is called on the thread of the recorded call; the built-in patterns see what it
    returns. Where it raises or returns no text, the text is replaced by `FAILED` and the failure is counted
    (`langchain.instrumentation.errors`, stage `redact`). A hook that itself calls a model gets no content recorded for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._hook: Callable[[str], str] | None = settings.redact
        self._patterns = settings.redact_patterns == "builtin"

    def prepare(self) -> None:
        """Compile the patterns now, not at the first call that needs them."""
        if self._patterns:
            secrets.prepare()

    def text(self, text: str, limit: int) -> str:
        """The text without secrets and encoded data: at most `limit` characters, then how long it was if there were more."""
        size = len(text)
        if not size:
            return ""
        window = limit + MARGIN
        redacted = _encodable(self._redacted(text[:window]))
        if size > window and not redacted.endswith(_DATA_END):
            redacted = redacted[:-_UNSEEN]
        elif size <= window and len(redacted) <= limit:
            return redacted
        return f"{redacted[:limit]}…[{size} characters]"

    def number(self, value: int) -> int | str:
        """The number, or a mask if it is that of a payment card."""
        return mask("card") if self._patterns and is_card(str(value)) else value

    def hidden(self, name: str) -> str | None:
        """What stands for the value under this name if the name says that it is a secret, else None."""
        if not self._patterns:
            return None
        bare = "".join([character for character in name[-_LONGEST_NAME:].lower() if character.isalnum()])
        return _SECRET_VALUE if bare in _WHOLE_NAMES or bare.endswith(_NAME_ENDINGS) else None

    def _redacted(self, text: str) -> str:
        text = _BASE64.sub(_without_data, text)
        try:
            if self._hook is not None:
                text = self._by_hook(self._hook, text)
            return secrets.without_secrets(text) if self._patterns else text
        except Exception as error:  # noqa: BLE001  (the user's code: the text is lost, the call is not)
            swallow("redact", error)
            return FAILED

    def _by_hook(self, hook: Callable[[str], str], text: str) -> str:
        if _in_hook.get():
            return FAILED
        token = _in_hook.set(True)
        try:
            result: object = hook(text)
        finally:
            _in_hook.reset(token)
        if not isinstance(result, str):
            if isinstance(result, Coroutine):
                result.close()  # or Python warns, in the application's name, that it was never awaited
            raise TypeError(f"the `redact` hook returned {type(result).__name__}, not a text")
        return str.__str__(result)[: 4 * max(len(text), MARGIN)]


def _without_data(match: re.Match[str]) -> str:
    """Encoded data stands for itself; a run of letters that is no base64 stays."""
    text = match[0]
    if text.startswith("data:"):
        return f"[{text[5 : text.index(';base64,')]}{_DATA_END}"
    mixed = any(c.isdigit() for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
    return f"[base64{_DATA_END}" if mixed else text


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced: one of them makes OTLP lose the whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
