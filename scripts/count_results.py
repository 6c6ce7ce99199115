"""Add up the results of several pytest runs from their JUnit files, as one closing line."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def totals(paths: list[Path]) -> tuple[int, int, int]:
    """How many tests passed, failed (errors included) and were skipped, over all the files."""
    tests = failed = skipped = 0
    for path in paths:
        for suite in ET.parse(path).getroot().iter("testsuite"):  # noqa: S314  (pytest wrote these files a moment ago)
            tests += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    return tests - failed - skipped, failed, skipped


if __name__ == "__main__":
    passed, failed, skipped = totals([Path(name) for name in sys.argv[1:]])
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)
