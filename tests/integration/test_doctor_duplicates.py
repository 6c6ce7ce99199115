"""`langmeter doctor` names what would report the same calls again. Packages are metadata on disk, as pip leaves it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

OFFICIAL = {
    "opentelemetry-instrumentation-genai-anthropic": "anthropic",
    "opentelemetry-instrumentation-genai-openai": "openai",
    "opentelemetry-instrumentation-google-genai": "google_genai",
}


def package(folder: Path, name: str, entry: str, *requires: str) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in requires)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{entry} = some.module:Instrumentor\n")


def doctor(folder, *arguments, **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANG"))}
    environment |= {"PYTHONPATH": str(folder), "OTEL_SDK_DISABLED": "true", **variables}
    command = [sys.executable, "-m", "langmeter.cli", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment).stdout


def findings(folder, **variables):
    found = json.loads(doctor(folder, "--json", **variables))
    twice = [problem for problem in found["problems"] if "second time" in problem or "repeat" in problem]
    return {other["package"]: (other["sees"], other["silent"]) for other in found["other_instrumentation"]}, twice


def test_official_instrumentation_of_a_sdk_is_no_problem(tmp_path):
    others, twice = findings(tmp_path)
    assert others == {name: (sees, True) for name, sees in OFFICIAL.items()}
    assert twice == []


def test_it_is_one_where_the_setting_is_off(tmp_path):
    others, twice = findings(tmp_path, LANGMETER_SUPPRESS_NESTED="false")
    assert others == {name: (sees, False) for name, sees in OFFICIAL.items()}
    assert [problem.split(" ")[3].rstrip(",") for problem in twice] == sorted(OFFICIAL)
    assert all(problem.startswith("LANGMETER_SUPPRESS_NESTED is off: ") for problem in twice)


def test_others_are_named(tmp_path):
    package(tmp_path, "openinference-instrumentation-openai", "openai", "openinference-instrumentation")
    package(tmp_path, "opentelemetry-instrumentation-genai-langchain", "langchain", "opentelemetry-util-genai<2")
    package(tmp_path, "opentelemetry-instrumentation-flask", "flask")
    others, twice = findings(tmp_path)
    assert others == {
        **{name: (sees, True) for name, sees in OFFICIAL.items()},
        "openinference-instrumentation-openai": ("openai", False),
        "opentelemetry-instrumentation-genai-langchain": ("langchain", False),
    }
    assert [problem.partition(",")[0] for problem in twice] == [
        "openinference-instrumentation-openai",
        "opentelemetry-instrumentation-genai-langchain",
    ]


@pytest.mark.parametrize(
    ("variables", "exports"),
    [
        ({"LANGSMITH_TRACING": "true", "LANGSMITH_TRACING_MODE": "hybrid"}, True),
        ({"LANGCHAIN_TRACING_V2": "true", "LANGSMITH_OTEL_ENABLED": "true"}, True),
        ({"LANGSMITH_TRACING": "true", "LANGSMITH_TRACING_MODE": "langsmith", "LANGSMITH_OTEL_ENABLED": "true"}, False),
        ({"LANGSMITH_TRACING_MODE": "otel"}, False),
    ],
)
def test_langsmith_that_exports_spans(tmp_path, variables, exports):
    _, twice = findings(tmp_path, **variables)
    assert len(twice) == exports
    assert all(problem.startswith("LangSmith") for problem in twice)


def test_people_read_it_too(tmp_path):
    package(tmp_path, "openinference-instrumentation-langchain", "langchain")
    shown = doctor(tmp_path, COLUMNS="200")
    assert "langchain: reports calls a second time" in shown
    assert "openai: silent inside langmeter's calls" in shown
