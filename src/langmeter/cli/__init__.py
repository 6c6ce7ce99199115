"""The command `langmeter`."""

from __future__ import annotations

import sys

_NEEDED = frozenset({"typer", "rich"})
_USAGE_ERROR = 2


def main() -> None:
    """Run the command line; without typer and rich, say how to get them and exit with status 2."""
    try:
        import rich  # noqa: F401, PLC0415  (an optional extra that the commands load only when they print)

        from langmeter.cli.app import app  # noqa: PLC0415  (the same, for typer)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(
            f"langmeter: the command line needs {error.name}, which is not installed.\n"
            'Install it with:  pip install "langmeter[cli]"\n'
        )
        raise SystemExit(_USAGE_ERROR) from None
    app()
