#!/usr/bin/env bash
# Builds the wheel and tries it as a stranger would: in an empty environment, without extras, away from the repository.
#   scripts/check_wheel.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
directory=$PWD/.tools/wheel
rm -rf "$directory"
"$python" -m pip --disable-pip-version-check --quiet wheel --no-deps --wheel-dir "$directory" .
wheel=$(echo "$directory"/langmeter-*.whl)
"$python" -m zipfile --list "$wheel" | grep '^langmeter/py.typed ' >/dev/null || {
    echo "check_wheel: $wheel has no langmeter/py.typed" >&2
    exit 1
}
"$python" -m venv "$directory/environment"
"$directory/environment/bin/python" -m pip --disable-pip-version-check --quiet install "$wheel"
cd "$directory"
LANGMETER_BOOTSTRAP=never environment/bin/python -W error - <<'PYTHON'
from importlib.metadata import entry_points
from pathlib import Path

import langmeter

assert "site-packages" in Path(langmeter.__file__).parts, f"imported from {langmeter.__file__}, not from the wheel"
(entry_point,) = entry_points(group="opentelemetry_instrumentor", name="langchain")
assert entry_point.load() is langmeter.LangChainInstrumentor, entry_point
langmeter.instrument()
langmeter.uninstrument()
print(f"langmeter {langmeter.__version__}: imports, instruments and is found by its entry point")
PYTHON
# Without the `cli` extra the command must say what to install, and not fail with a traceback.
status=0
environment/bin/langmeter demo >output 2>&1 || status=$?
if [ "$status" -ne 2 ] || ! grep -q 'langmeter\[cli\]' output; then
    echo "check_wheel: 'langmeter demo' without the cli extra ended with $status and said:" >&2
    cat output >&2
    exit 1
fi
