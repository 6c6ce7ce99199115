"""The shape of the package, held by tools instead of by reviews."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import langmeter
from langmeter import semconv, settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "langmeter"
MODULES = sorted(PACKAGE.rglob("*.py"))

PUBLIC_NAMES = [
    "CallbackHandler",
    "Cost",
    "LangChainInstrumentor",
    "PriceFileError",
    "Settings",
    "SettingsError",
    "Usage",
    "__version__",
    "attribution",
    "call_pricing",
    "describe",
    "estimate",
    "flush",
    "instrument",
    "price",
    "track",
    "uninstrument",
]
HEAVY = ["opentelemetry.sdk", "opentelemetry.exporter", "grpc", "openai", "tiktoken", "genai_prices", "langchain_core"]
LONGEST_FUNCTION = 45
LONGEST_MODULE = 350
# One pass over the usage of nearly every call: calls in between would cost a third more.
LONGER = {"pricing/usage.py": {"_ordinary"}}
# The demo is an application of its own: it sets variables for the SDK before it switches instrumentation on.
WRITES_ENVIRONMENT = {"cli/demo.py"}


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def over_modules(*, but=()):
    """Once for every module, except those (or those of the packages) that the rule names as its home."""
    rest = [path for path in MODULES if not name_of(path).startswith(but)]
    assert len(rest) < len(MODULES) or not but
    return pytest.mark.parametrize("path", rest, ids=name_of)


def run(*command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_public_names_are_the_stored_list():
    assert sorted(langmeter.__all__) == PUBLIC_NAMES
    missing = [name for name in PUBLIC_NAMES if not hasattr(langmeter, name)]
    assert missing == []


def test_ruling_17_no_top_level_module_shares_a_public_name():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert sorted(modules & set(langmeter.__all__)) == []


def test_import_loads_nothing_heavy():
    code = f"""
import sys, langmeter
dir(langmeter)
print([name for name in {HEAVY!r} if any(m == name or m.startswith(name + ".") for m in sys.modules)])
"""
    result = run(sys.executable, "-W", "error", "-c", code)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def signal_names():
    """What may be spelt in semconv alone: the namespace of the conventions, and the first segments of our own."""
    values = [value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)]
    own = f"{semconv.NAMESPACE}."
    segments = {value.split(".")[1] for value in [*values, *(m.name for m in semconv.METRICS)] if value.startswith(own)}
    assert {"usage", "cache", "inference"} <= segments
    return re.compile(rf"(gen_ai\.[a-z0-9_.]*|{re.escape(own)}({'|'.join(sorted(segments))})(\.[a-z0-9_.]*)?)")


@over_modules(but="semconv/")
def test_only_semconv_spells_a_signal_name(path):
    pattern = signal_names()
    spelt = [
        (node.lineno, node.value)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value)
    ]
    assert spelt == []


def environment_uses(tree):
    """Every mention of the process environment: (line, whether it only writes)."""
    writes = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=environment, attr="setdefault" | "update"))):
                writes.add(environment)
            case ast.Subscript(value=environment, ctx=ast.Store() | ast.Del()):
                writes.add(environment)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "getenvb"):
                yield node.lineno, node in writes
            case ast.ImportFrom(module="os", names=names) if {n.name for n in names} & {
                "environ",
                "environb",
                "getenv",
            }:
                yield node.lineno, False


@over_modules(but="settings.py")
def test_only_settings_reads_the_environment(path):
    may_write = name_of(path) in WRITES_ENVIRONMENT
    assert [line for line, writes in environment_uses(tree_of(path)) if not (writes and may_write)] == []


@over_modules()
def test_functions_and_modules_stay_small(path):
    functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node: node.end_lineno - node.lineno + 1 for node in functions}
    long = {node.name for node, length in lengths.items() if length > LONGEST_FUNCTION}
    assert long == LONGER.get(name_of(path), set())
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def test_no_module_is_named_for_having_no_responsibility():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert [name_of(path) for path in MODULES if vague & {path.stem, *path.relative_to(PACKAGE).parts}] == []


@pytest.mark.parametrize("row", list(settings.table()), ids=lambda row: row.name)
def test_ruling_21_every_setting_is_described_and_settable(row):
    assert row.description.endswith(".")
    assert "Acts in: " in row.description
    code_only = row.name in settings.Settings.code_only
    assert row.variable == (None if code_only else f"LANGMETER_{row.name.upper()}")
    assert getattr(settings.Settings(), row.name) == row.default


def test_generated_pages_are_up_to_date():
    result = run(sys.executable, "scripts/render_docs.py", "--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def sdk_imports(tree):
    """Lines that import the SDK or its exporters, also by a name in a string; imports for type checkers are free."""
    sdk = re.compile(r"opentelemetry\.(sdk|exporter)(\..*)?")
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.Constant(value=str(text)):
                names = [text]
            case _:
                names = []
        if node not in for_types and any(sdk.fullmatch(name) for name in names):
            yield node.lineno


@over_modules(but="bootstrap/")
def test_only_bootstrap_imports_the_sdk(path):
    """Stands in for an import-linter contract: that tool sees `opentelemetry` as a whole and not the SDK in it."""
    assert list(sdk_imports(tree_of(path))) == []


def test_import_directions_hold():
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("import-linter is not installed here; `make lint` installs and runs it")
    result = run(tool, "--no-cache")
    assert result.returncode == 0, result.stdout
