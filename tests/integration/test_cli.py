"""The command line, as a user runs it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from langmeter.demo.provider import Provider
from langmeter.version import __version__

RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "recorded"
CLI = (sys.executable, "-m", "langmeter.cli")
QUICK = ("demo", "--speed", "0", "--rounds", "1")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**variables: str) -> dict[str, str]:
    """A clean environment whose Collector is a port where nobody listens."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGMETER_", "OPENAI_"))
    }
    endpoint = f"http://127.0.0.1:{free_port()}"
    return {**kept, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "COLUMNS": "100", **variables}


def langmeter(*arguments: str, command: tuple[str, ...] = CLI, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=120, check=False
    )


@contextmanager
def collector():
    """Something that takes OTLP over HTTP and remembers the paths."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()


class TestDemo:
    def test_json_is_alone_on_stdout_and_agrees_with_the_provider(self):
        with collector() as (endpoint, paths):
            done = langmeter(*QUICK, "--json", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        summary = json.loads(done.stdout)
        assert (done.returncode, summary["demo"]["interrupted"], summary["demo"]["failures"]) == (0, False, 3)
        books = summary["provider"]
        for name in ("calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens"):
            assert summary[name] == sum(totals[name] for totals in books.values()) > 0, name
            assert {model: figures[name] for model, figures in summary["by_model"].items()} == {
                model: totals[name] for model, totals in books.items()
            }
        assert summary["otlp"] == {"url": endpoint, "live": True, "delivered": True}
        assert {"/v1/traces", "/v1/metrics"} <= set(paths)
        assert "Traceback" not in done.stderr

    def test_piped_output_is_plain_text(self):
        done = langmeter(*QUICK)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout + done.stderr
        for part in ("the support desk of a bicycle shop", "summary after", "spent  ", "nothing was sent", "pedal-7b"):
            assert part in done.stdout

    def test_ctrl_c_ends_with_a_summary(self):
        process = subprocess.Popen(
            [*CLI, "demo", "--plain"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert process.stdout is not None
        read = []
        for line in process.stdout:
            read.append(line)
            if "gpt-4o-mini" in line:
                process.send_signal(signal.SIGINT)
                break
        rest, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "interrupted, so far after" in rest
        assert "spent  " in rest
        assert "Traceback" not in errors

    def test_a_replay_without_recordings_says_what_to_give(self, tmp_path):
        done = langmeter("demo", "--replay", str(tmp_path), "--json")
        assert (done.returncode, done.stdout) == (2, "")
        assert str(tmp_path) in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_replay_counts_what_was_recorded(self, tmp_path):
        if not RECORDED.is_dir():
            pytest.skip(f"no recorded exchanges at {RECORDED}")
        source = RECORDED / "openai_v1_chat_completions.jsonl"
        lines = source.read_text(encoding="utf-8").splitlines()[:5]
        (tmp_path / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = langmeter("demo", "--replay", str(tmp_path), "--json")
        summary = json.loads(done.stdout)
        assert done.returncode == 0
        assert summary["calls"] + len(summary["demo"]["skipped"]) == len(lines)
        assert summary["demo"]["replay"] == str(tmp_path)


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (("demo", "--fast"), "--fast"),
            (("demo", "--rounds", "0"), "--rounds"),
            (("demo", "--speed", "-1"), "--speed"),
            (("dmeo",), "dmeo"),
            (("run", "no_such_file.py"), "no_such_file.py"),
            (("run", "-m", "no_such_module"), "no_such_module"),
        ],
    )
    def test_wrong_usage_exits_with_2_and_names_it(self, arguments, named):
        done = langmeter(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert named in done.stderr

    @pytest.mark.parametrize("missing", ["typer", "rich"])
    def test_without_the_extra_it_says_what_to_install(self, missing):
        program = f"import sys; sys.modules[{missing!r}] = None; from langmeter.cli import main; main()"
        done = langmeter(command=(sys.executable, "-c", program))
        assert done.returncode == 2
        assert done.stderr == (
            f"langmeter: the command line needs {missing}, which is not installed.\n"
            'Install it with:  pip install "langmeter[cli]"\n'
        )

    def test_version(self):
        assert langmeter("version").stdout == f"langmeter {__version__}\n"
        assert json.loads(langmeter("version", "--json").stdout) == {"version": __version__}


class TestDoctor:
    def test_nothing_in_the_way(self):
        with collector() as (endpoint, _paths):
            done = langmeter("doctor", "--json", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, LANGMETER_EXIT_TIMEOUT="1.5")
        findings = json.loads(done.stdout)
        assert (done.returncode, findings["problems"]) == (0, [])
        assert findings["destinations"]["metrics"] == [
            {
                "url": endpoint,
                "protocol": "http/protobuf",
                "exporter": "otlp",
                "variable": "OTEL_EXPORTER_OTLP_ENDPOINT",
                "answers": True,
            }
        ]
        settings = {setting["name"]: setting for setting in findings["settings"]}
        assert settings["exit_timeout"] == {"name": "exit_timeout", "value": 1.5, "source": "LANGMETER_EXIT_TIMEOUT"}
        assert settings["content"] == {"name": "content", "value": "off", "source": "default"}

    def test_everything_in_the_way(self):
        done = langmeter(
            "doctor",
            "--json",
            LANGMETER_EXIT_TIMOUT="1",
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
            OTEL_RESOURCE_ATTRIBUTES="service.name=shop,service.instance.id=1",
        )
        findings = json.loads(done.stdout)
        assert done.returncode == 1
        assert (findings["service_name"], findings["service_instance_id"]) == ("shop", "1")
        for named in ("LANGMETER_EXIT_TIMEOUT", "nobody answers", "delta", "service.instance.id"):
            assert sum(named in problem for problem in findings["problems"]) == 1, named
        assert len(findings["problems"]) == 4

    def test_it_says_what_bootstrap_would_do_with_odd_variables(self):
        done = langmeter(
            "doctor",
            "--json",
            OTEL_EXPORTER_OTLP_PROTOCOL="carrier-pigeon",
            OTEL_LOGS_EXPORTER="console",
            OTEL_TRACES_EXPORTER="nonesuch",
            OTEL_CONFIG_FILE="otel.yaml",
        )
        findings = json.loads(done.stdout)
        assert findings["destinations"]["traces"] == []
        assert findings["destinations"]["metrics"][0]["protocol"] == "http/protobuf"
        assert findings["destinations"]["logs"][0]["exporter"] == "console"
        for named in ("carrier-pigeon", "nonesuch", "OTEL_CONFIG_FILE"):
            assert sum(named in problem for problem in findings["problems"]) == 1, named

    def test_piped_output_is_plain_text(self):
        done = langmeter("doctor")
        assert done.returncode == 1
        assert "\x1b" not in done.stdout
        assert "nobody answers" in done.stdout


PROGRAM = """
import sys
from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="gpt-4o-mini", base_url=sys.argv[1], api_key="demo", max_retries=0)
print(len(model.invoke("Hello?").content) > 0, sys.argv[2:], __name__)
sys.exit(7)
"""


class TestRun:
    def test_a_program_runs_as_it_is_and_is_counted(self, tmp_path):
        program = tmp_path / "app.py"
        program.write_text(PROGRAM)
        with Provider(speed=0) as provider:
            done = langmeter(
                "run", "--json", str(program), provider.base_url, "--json", "-x", LANGMETER_BOOTSTRAP="never"
            )
        assert (done.returncode, done.stdout) == (7, "True ['--json', '-x'] __main__\n")
        totals = json.loads(done.stderr)
        usage = provider.ledger.entries[0].usage
        assert (totals["calls"], totals["input_tokens"], totals["output_tokens"]) == (1, usage.input, usage.output)
        assert totals["covers"].startswith("the program's main thread")

    def test_a_program_that_fails_fails_as_without(self, tmp_path):
        program = tmp_path / "app.py"
        program.write_text("raise LookupError('no bicycle')")
        done = langmeter("run", str(program))
        assert done.returncode == 1
        assert done.stderr.rstrip().endswith("LookupError: no bicycle")

    def test_a_module_runs_too(self):
        done = langmeter("run", "-m", "json.tool", "--help")
        assert done.returncode == 0
        assert "usage" in done.stdout


def test_a_demo_that_is_told_to_stop_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    command = (sys.executable, "-m", "langmeter.cli", "demo", "--plain", "--rounds", "50")
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        demo.stdout.readline()  # at work
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob("langmeter-demo-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(tmp_path.glob("langmeter-demo-*"))
        demo.terminate()
        demo.communicate(timeout=60)
    assert demo.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("langmeter-demo-*")) == []
