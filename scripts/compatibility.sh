#!/usr/bin/env bash
# Runs the unit and integration tests on one end of the supported range of langchain-core. The packages of other providers stay out: each
# narrows the range in its own way.
#   scripts/compatibility.sh oldest|newest PYTHON [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
end=$1
python=$2
shift 2

case $end in
    # The companions are held near that release too: newer ones need a newer core without saying so, and pip would try each in turn.
    oldest) requirements=(langchain-core==1.0.0 genai-prices==0.1.11 "langchain-openai>=1.0,<1.1" "langchain>=1.0,<1.1" "langgraph>=1.0,<1.0.5" "langgraph-prebuilt<1.0.6" "langgraph-checkpoint<3.0.1" "langchain-community>=0.4,<0.4.2") ;;
    newest) requirements=("langchain-core>=1.0,<2" "langchain-openai>=1.0" "langchain>=1.0" "langgraph>=1.0" "langchain-community>=0.4") ;;
    *)
        echo "compatibility: the first argument is 'oldest' or 'newest', not '$end'" >&2
        exit 1
        ;;
esac

environment=.tools/compat-$end
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
"$environment/bin/python" -m pip --disable-pip-version-check --quiet install --upgrade "${requirements[@]}" \
    --editable '.[cli]' pytest pytest-timeout httpx cloudpickle jsonschema fastapi langgraph-checkpoint-sqlite \
    opentelemetry-instrumentation-{httpx,dbapi,fastapi,logging}
"$environment/bin/python" -c "
from importlib.metadata import version
print('$end:', ', '.join(f'{name} {version(name)}' for name in ('langchain-core', 'langchain-openai', 'opentelemetry-sdk')))"
# Set-up of the SDK and the command line do not depend on the release of langchain-core, and some tests are about the packages of
# other providers: the full run covers them.
"$environment/bin/python" -m pytest tests/unit tests/integration -m "not long" \
    --ignore tests/integration/test_bootstrap.py --ignore tests/integration/test_cli.py \
    --ignore tests/unit/test_embedding_answers.py --ignore tests/integration/test_double_counting.py \
    --ignore tests/integration/test_doctor_duplicates.py --ignore tests/integration/test_secrets.py "$@"
