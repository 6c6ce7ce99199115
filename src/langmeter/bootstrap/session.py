"""An HTTP session whose failed connections are final for the export that made them.

What a first request would import, it finds imported: a fork in the middle of an import leaves the child a module that it
can never load.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  (loaded before the first request, see above)
import netrc  # noqa: F401  (the same)
from typing import Any

import requests
from urllib3.exceptions import ProtocolError

from langmeter.bootstrap.outlets import unreachable


class UnreachableError(requests.exceptions.RequestException):
    """Nobody answers. Of a kind that exporters do not take for transient, so they do not wait and try again."""


class FailFastSession(requests.Session):
    """Raises `UnreachableError` for every error of the connection, having replaced a stale one first."""

    def request(self, *args: Any, **options: Any) -> Any:
        """Send one request, as `requests.Session.request` does."""
        try:
            return self._request_again_if_stale(*args, **options)
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            reason = _reason(error, options.get("timeout"))
            unreachable(reason)
            raise UnreachableError(reason) from None

    def close(self) -> None:
        """Close every connection now: urllib3 leaves that to a finalizer, which at the exit has run already."""
        for adapter in self.adapters.values():
            pools: Any = getattr(getattr(adapter, "poolmanager", None), "pools", None)
            for key in list(pools.keys()) if pools is not None else ():
                pools[key].close()
        super().close()

    def _request_again_if_stale(self, *args: Any, **options: Any) -> Any:
        try:
            return super().request(*args, **options)
        except requests.exceptions.ConnectionError as error:
            # The server closed a kept connection just as we wrote to it: a new one tells whether it is still there.
            if not (error.args and isinstance(error.args[0], ProtocolError)):
                raise
        return super().request(*args, **options)


def _reason(error: BaseException, timeout: object) -> str:
    """A few words for people: requests' own messages are three exceptions deep."""
    if isinstance(error, requests.exceptions.Timeout):
        return f"no answer within {timeout:.0f} s" if isinstance(timeout, (int, float)) else "no answer in time"
    deepest, current = type(error).__name__, error.__cause__ or error.__context__
    while current is not None:
        if isinstance(current, OSError) and current.strerror:
            deepest = current.strerror
        current = current.__cause__ or current.__context__
    return deepest
