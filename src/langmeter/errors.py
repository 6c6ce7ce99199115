"""The exceptions that langmeter raises on purpose. Nothing else of ours ever reaches the application."""

from __future__ import annotations


class LangmeterError(Exception):
    """Base of every exception that langmeter raises on purpose."""


class SettingsError(LangmeterError, ValueError):
    """A setting given in code is unknown or has a wrong value; the message names the setting and the fix."""


class PriceFileError(SettingsError):
    """A file or dictionary of prices cannot be used; nothing of it is. The message says where, what and how to mend it.

    Attributes:
        path: the file, or a name for the dictionary.
        line: 1-based line of the fault; None where there are no lines.
        reason: what is wrong and the fix.
    """

    def __init__(self, path: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason

    def __reduce__(self) -> tuple[type[PriceFileError], tuple[str, str, int | None]]:
        """Pickles with its three facts, as exceptions with a constructor of their own otherwise do not."""
        return type(self), (self.path, self.reason, self.line)
