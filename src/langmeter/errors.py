"""The exceptions that langmeter raises on purpose. Nothing else of ours ever reaches the application."""

from __future__ import annotations


class LangmeterError(Exception):
    """Base of every exception that langmeter raises on purpose."""


class SettingsError(LangmeterError, ValueError):
    """A setting given in code is unknown or has a wrong value; the message names the setting and the fix."""
