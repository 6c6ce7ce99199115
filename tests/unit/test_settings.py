"""Settings: argument before environment before default; wrong values are loud in code and harmless in the environment."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest
from pydantic import ValidationError

import langmeter
from langmeter import settings as settings_module
from langmeter.settings import CONTENT_VARIABLE, PREFIX, Settings, standard_flag, standard_variable, table, variable

DEFAULTS = {
    "enabled": True,
    "bootstrap": "auto",
    "exit_timeout": 2.0,
    "content": "off",
    "content_max_length": 16_384,
    "tool_definitions": "names",
    "redact": None,
    "redact_patterns": "builtin",
    "exception_messages": False,
    "legacy_metrics": False,
    "time_per_output_chunk": False,
    "operation_cost": False,
    "max_attribute_sets": 1_500,
    "max_open_runs": 10_000,
    "open_run_timeout": 3_600.0,
    "attribution_keys": (),
    "metric_attribution_keys": (),
    "max_attribution_values": 200,
    "attribution_baggage": False,
    "estimates": True,
    "tiktoken_download": False,
    "prices": None,
    "cost_overrides": None,
    "auto_update": False,
    "cache_types": {},
    "cache_ghost": False,
    "limits": (),
    "limit_store_timeout": 0.05,
    "records": None,
    "describe": False,
    "suppress_nested": True,
}

# Setting -> (text in the environment, the value it means), one for every setting that has a variable.
IN_THE_ENVIRONMENT = {
    "enabled": ("false", False),
    "bootstrap": ("never", "never"),
    "exit_timeout": ("0", 0.0),
    "content": ("SPAN_AND_EVENT", "span_and_event"),
    "content_max_length": ("100", 100),
    "tool_definitions": ("full", "full"),
    "redact_patterns": ("none", "none"),
    "exception_messages": ("true", True),
    "legacy_metrics": ("1", True),
    "time_per_output_chunk": ("yes", True),
    "operation_cost": ("on", True),
    "max_attribute_sets": ("10", 10),
    "max_open_runs": (" 7 ", 7),
    "open_run_timeout": ("1.5", 1.5),
    "attribution_keys": ("tenant, feature,,", ("tenant", "feature")),
    "metric_attribution_keys": ("tenant", ("tenant",)),
    "max_attribution_values": ("3", 3),
    "attribution_baggage": ("TRUE", True),
    "estimates": ("0", False),
    "tiktoken_download": ("true", True),
    "prices": ("/etc/prices.yaml", "/etc/prices.yaml"),
    "auto_update": ("true", True),
    "cache_types": ("MyCache = mine, Other=other", {"MyCache": "mine", "Other": "other"}),
    "cache_ghost": ("true", True),
    "limit_store_timeout": ("0.2", 0.2),
    "records": ("calls.db", "calls.db"),
    "describe": ("true", True),
    "suppress_nested": ("no", False),
}

WRONG_IN_THE_ENVIRONMENT = [
    ("enabled", "perhaps"),
    ("bootstrap", "later"),
    ("exit_timeout", "-1"),
    ("exit_timeout", "soon"),
    ("content", "everything"),
    ("content_max_length", "0"),
    ("max_open_runs", "many"),
    ("open_run_timeout", "0"),
    ("max_attribute_sets", "-5"),
    ("cache_types", "MyCache"),
    ("legacy_metrics", "2"),
]


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    """An environment without settings, and a memory without warnings already given."""
    import os

    for name in [*os.environ]:
        if name.startswith(PREFIX) or name == CONTENT_VARIABLE:
            monkeypatch.delenv(name)
    monkeypatch.setattr(settings_module, "_warned", set())


def _values(settings):
    return {name: getattr(settings, name) for name in Settings.model_fields}


def _warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_the_defaults_are_these():
    assert _values(Settings()) == DEFAULTS
    assert langmeter.Settings is Settings


def test_every_setting_has_a_variable_or_is_for_code_only():
    with_variable = {name for name in DEFAULTS if variable(name) is not None}
    assert with_variable == set(IN_THE_ENVIRONMENT)
    assert {name: variable(name) for name in with_variable} == {
        name: f"LANGMETER_{name.upper()}" for name in with_variable
    }
    assert set(DEFAULTS) - with_variable == {"redact", "cost_overrides", "limits"}


@pytest.mark.parametrize(("name", "text", "value"), [(name, *pair) for name, pair in IN_THE_ENVIRONMENT.items()])
def test_the_environment_sets_it_and_an_argument_wins(monkeypatch, caplog, name, text, value):
    monkeypatch.setenv(variable(name), text)

    assert _values(Settings()) == {**DEFAULTS, name: value}
    assert getattr(Settings(**{name: DEFAULTS[name]}), name) == DEFAULTS[name]
    reserved = f"setting {name!r} has no effect in this version of langmeter"
    assert _warnings(caplog) == ([reserved] if name in Settings.reserved else [])


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_variable_is_no_variable(monkeypatch, caplog, text):
    for name in IN_THE_ENVIRONMENT:
        monkeypatch.setenv(variable(name), text)

    assert _values(Settings()) == DEFAULTS
    assert _warnings(caplog) == []


@pytest.mark.parametrize(("name", "text"), WRONG_IN_THE_ENVIRONMENT)
def test_a_wrong_value_in_the_environment_warns_once_and_is_the_default(monkeypatch, caplog, name, text):
    monkeypatch.setenv(variable(name), text)
    monkeypatch.setenv("LANGMETER_OPERATION_COST", "true")
    first, second = Settings(), Settings()

    assert _values(first) == _values(second) == {**DEFAULTS, "operation_cost": True}
    (warning,) = _warnings(caplog)
    assert warning.startswith(f"{variable(name)}={text!r} is ignored: ")
    assert warning.endswith(f"using {name}={DEFAULTS[name]!r}")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("enabled", "perhaps", "valid boolean"),
        ("bootstrap", "later", "'auto', 'now' or 'never'"),
        ("exit_timeout", -1, "greater than or equal to 0"),
        ("content", "everything", "'off', 'span', 'event' or 'span_and_event'"),
        ("content_max_length", 0, "greater than 0"),
        ("max_open_runs", "many", "valid integer"),
        ("open_run_timeout", 0, "greater than 0"),
        ("cache_types", "MyCache", "name=value pairs"),
        ("redact", "not callable", "callable"),
        ("attribution_keys", 7, "tuple"),
        ("prices", 7, "string"),
    ],
)
def test_a_wrong_value_in_code_is_refused_by_name(name, value, told):
    with pytest.raises(langmeter.SettingsError) as caught:
        Settings(**{name: value})

    message = str(caught.value)
    assert message.startswith(f"setting {name!r}: ")
    assert told in message
    assert repr(value) in message
    assert f"its default is {DEFAULTS[name]!r}" in message


def test_a_wrong_value_in_code_is_refused_even_if_the_environment_is_right(monkeypatch):
    monkeypatch.setenv("LANGMETER_BOOTSTRAP", "never")
    with pytest.raises(langmeter.SettingsError, match="bootstrap"):
        Settings(bootstrap="later")


def test_a_settings_error_is_a_value_error():
    assert issubclass(langmeter.SettingsError, ValueError)
    with pytest.raises(ValueError, match="content"):
        Settings(content=3)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("operation_costs", "operation_cost"), ("max_open_run", "max_open_runs"), ("bootstap", "bootstrap")],
)
def test_an_unknown_setting_is_refused_with_the_nearest_name(name, nearest):
    with pytest.raises(langmeter.SettingsError, match=f"^unknown setting '{name}': did you mean '{nearest}'"):
        Settings(**{name: True})


def test_an_unknown_setting_like_no_other_is_refused_with_all_names():
    with pytest.raises(langmeter.SettingsError) as caught:
        Settings(zzz=True)

    assert str(caught.value) == f"unknown setting 'zzz': known settings: {', '.join(DEFAULTS)}"


def test_an_unknown_variable_warns_once_with_the_nearest_name(monkeypatch, caplog):
    monkeypatch.setenv("LANGMETER_OPERATION_COSTS", "true")
    monkeypatch.setenv("LANGMETER_QQQQQQQQQQQQ", "1")
    assert _values(Settings()) == _values(Settings()) == DEFAULTS

    assert sorted(_warnings(caplog)) == [
        "LANGMETER_OPERATION_COSTS is not a setting of langmeter; did you mean LANGMETER_OPERATION_COST?",
        "LANGMETER_QQQQQQQQQQQQ is not a setting of langmeter",
    ]


@pytest.mark.parametrize("name", ["redact", "cost_overrides", "limits"])
def test_what_only_code_can_set_has_no_variable(monkeypatch, caplog, name):
    monkeypatch.setenv(f"LANGMETER_{name.upper()}", "1")

    assert _values(Settings()) == DEFAULTS
    assert len(_warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("NO_CONTENT", "off"),
        ("SPAN_ONLY", "span"),
        ("EVENT_ONLY", "event"),
        ("SPAN_AND_EVENT", "span_and_event"),
        ("span_only", "span"),
        ("", "off"),
    ],
)
def test_the_standard_variable_for_content(monkeypatch, text, mode):
    monkeypatch.setenv(CONTENT_VARIABLE, text)
    assert CONTENT_VARIABLE == "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

    assert Settings().content == mode
    assert Settings(content="event").content == "event"
    monkeypatch.setenv("LANGMETER_CONTENT", "span")
    assert Settings().content == "span"


def test_a_wrong_standard_variable_for_content_warns_and_records_nothing(monkeypatch, caplog):
    monkeypatch.setenv(CONTENT_VARIABLE, "perhaps")

    assert Settings().content == "off"
    (warning,) = _warnings(caplog)
    assert warning.startswith(f"{CONTENT_VARIABLE}='perhaps' is ignored")


def test_settings_cannot_be_changed():
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.enabled = False
    with pytest.raises(ValidationError):
        del settings.enabled
    with pytest.raises(ValidationError):
        settings.unknown = 1

    assert _values(settings) == DEFAULTS


def test_settings_are_equal_by_value():
    assert Settings() == Settings()
    assert Settings(operation_cost=True) == Settings(operation_cost="true") != Settings()
    assert Settings(attribution_keys="a,b") == Settings(attribution_keys=["a", "b"])
    assert Settings(**_values(Settings(content="span"))) == Settings(content="span")


def test_settings_keep_the_environment_of_their_making(monkeypatch):
    monkeypatch.setenv("LANGMETER_CONTENT", "span")
    settings = Settings()
    monkeypatch.setenv("LANGMETER_CONTENT", "event")

    assert (settings.content, Settings().content) == ("span", "event")
    for twin in (pickle.loads(pickle.dumps(settings)), copy.copy(settings), copy.deepcopy(settings)):  # noqa: S301  (our own bytes)
        assert twin == settings


def test_the_table_describes_every_setting():
    rows = list(table())

    assert [(row.name, row.variable, row.default) for row in rows] == [
        (name, variable(name), default) for name, default in DEFAULTS.items()
    ]
    assert [row.name for row in rows if not row.type or "Acts in:" not in row.description] == []


@pytest.mark.parametrize(
    ("text", "value", "flag"),
    [
        (None, None, False),
        ("", None, False),
        ("  ", None, False),
        (" TRUE ", "TRUE", True),
        ("true", "true", True),
        ("1", "1", False),
        ("false", "false", False),
    ],
)
def test_standard_variables(monkeypatch, text, value, flag):
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    if text is not None:
        monkeypatch.setenv("OTEL_SDK_DISABLED", text)

    assert (standard_variable("OTEL_SDK_DISABLED"), standard_flag("OTEL_SDK_DISABLED")) == (value, flag)
