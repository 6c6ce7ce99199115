#!/usr/bin/env bash
# Runs the tests that need nothing but langchain-core and langchain-openai, on one end of the supported range.
#   scripts/compatibility.sh oldest|newest PYTHON [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
end=$1
python=$2
shift 2

case $end in
    oldest) requirements=(langchain-core==1.0.0 "langchain-openai>=1.0,<1.1") ;;
    newest) requirements=("langchain-core>=1.0,<2" "langchain-openai>=1.0") ;;
    *)
        echo "compatibility: the first argument is 'oldest' or 'newest', not '$end'" >&2
        exit 1
        ;;
esac

environment=.tools/compat-$end
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
"$environment/bin/python" -m pip --disable-pip-version-check --quiet install --upgrade "${requirements[@]}" \
    --editable '.[cli]' pytest pytest-timeout httpx cloudpickle
"$environment/bin/python" -c "
from importlib.metadata import version
print('$end:', ', '.join(f'{name} {version(name)}' for name in ('langchain-core', 'langchain-openai', 'opentelemetry-sdk')))"
"$environment/bin/python" -m pytest tests/unit tests/integration "$@"
