"""All settings in one table, and the only place that reads the environment.

Precedence: argument, then environment, then default. A wrong value in code raises `SettingsError`; a wrong value in the
environment is reported once as a warning and the default is used, because an environment must never break an application.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from langmeter.attribution_keys import checked_keys, checked_metric_keys
from langmeter.errors import SettingsError

_LOGGER = logging.getLogger("langmeter")
PREFIX = "LANGMETER_"
CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_MODES = {"no_content": "off", "span_only": "span", "event_only": "event", "span_and_event": "span_and_event"}


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError("expected name=value pairs separated by commas")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _content_mode(value: object) -> object:
    return _CONTENT_MODES.get(value.lower(), value.lower()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
AttributionKeys = Annotated[Names, AfterValidator(checked_keys)]
MetricAttributionKeys = Annotated[Names, AfterValidator(checked_metric_keys)]
NameMap = Annotated[Mapping[str, str], BeforeValidator(_pairs)]
ContentMode = Annotated[Literal["off", "span", "event", "span_and_event"], BeforeValidator(_content_mode)]


class Settings(BaseModel):
    """Every option of langmeter; immutable and safe to share between threads.

    `Settings()` takes each option from its argument, else from its `LANGMETER_*` variable, else from its default.

    Raises:
        SettingsError: an option is unknown or its value has the wrong type; the message names it and the fix.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    reserved: ClassVar[frozenset[str]] = frozenset(
        {
            "limits",
            "limit_store_timeout",
            "records",
        }
    )
    """Names that are settled and do nothing yet: setting one warns, so that nobody relies on it."""
    code_only: ClassVar[frozenset[str]] = frozenset({"limits", "redact", "cost_overrides"})

    # Where each option acts is said in its description; docs/settings.md is generated from this table.
    enabled: bool = Field(default=True, description="Whether `instrument()` does anything. Acts in: instrumentor.")
    bootstrap: Literal["auto", "now", "never"] = Field(
        default="auto",
        description="When to set up SDK providers with OTLP exporters if the application has none: at the first model "
        "call, at once, or never. Acts in: bootstrap.",
    )
    exit_timeout: NonNegativeFloat = Field(
        default=2.0,
        description="Seconds that the flush at exit may take, for all signals together. Acts in: bootstrap.",
    )
    content: ContentMode = Field(
        default="off",
        description="Whether prompts and answers are recorded: `off`, `span`, `event` or `span_and_event`. Also set by "
        f"`{CONTENT_VARIABLE}`. Acts in: telemetry.content.",
    )
    content_max_length: PositiveInt = Field(
        default=16_384, description="Characters kept of one text when content is recorded. Acts in: telemetry.content."
    )
    tool_definitions: Literal["names", "full"] = Field(
        default="names",
        description="How much of a tool's definition is recorded with content. Acts in: langchain.captured.",
    )
    redact: Callable[[str], str] | None = Field(
        default=None,
        description="Called on every recorded text before it leaves the process. Code only. Acts in: telemetry.redaction.",
    )
    redact_patterns: Literal["builtin", "none"] = Field(
        default="builtin",
        description="Whether keys, cards, e-mail addresses and phone numbers are masked in recorded content. "
        "Acts in: telemetry.redaction.",
    )
    exception_messages: bool = Field(
        default=False,
        description="Whether messages of exceptions are recorded; they may quote a prompt or a credential. Types and "
        "stack frames are recorded always. Acts in: langchain.extract.",
    )
    legacy_metrics: bool = Field(
        default=False,
        description="Record the metric names from before autumn 2026 in addition. Acts in: telemetry.metrics.",
    )
    time_per_output_chunk: bool = Field(
        default=False,
        description="Record the time of every chunk of a stream (about 9 µs a chunk). Acts in: telemetry.metrics.",
    )
    operation_cost: bool = Field(
        default=False,
        description="Record a histogram of the cost of a call, for percentiles. Acts in: telemetry.metrics.",
    )
    max_attribute_sets: PositiveInt = Field(
        default=1_500,
        description="Attribute sets of one counter before the surplus is folded; the SDK's limit is 2,000. "
        "Acts in: telemetry.totals.",
    )
    max_open_runs: PositiveInt = Field(
        default=10_000, description="Model calls under way that are remembered at once. Acts in: runs."
    )
    open_run_timeout: PositiveFloat = Field(
        default=3_600.0,
        description="Seconds after which a call that never ended is closed as abandoned. Acts in: runs.",
    )
    attribution_keys: AttributionKeys = Field(
        default=(), description="Run metadata keys recorded as attribution on spans. Acts in: langchain.attribution."
    )
    metric_attribution_keys: MetricAttributionKeys = Field(
        default=(), description="Attribution keys allowed on metrics. Acts in: langchain.attribution."
    )
    max_attribution_values: PositiveInt = Field(
        default=200,
        description="Distinct values of one attribution key on metrics; the rest is `__other__`. Acts in: langchain.attribution.",
    )
    attribution_baggage: bool = Field(
        default=False,
        description="Whether attribution travels as OpenTelemetry baggage, with every request to whomever, and is read from "
        "it. Acts in: attribution_scope, langchain.attribution.",
    )
    estimates: bool = Field(
        default=True,
        description="Estimate tokens, marked as such, where the provider reported none. Acts in: observer, pricing.estimate.",
    )
    tiktoken_download: bool = Field(
        default=False,
        description="Whether tiktoken, which refines estimates, may download its tables. Acts in: pricing.tokenizer.",
    )
    prices: str | None = Field(
        default=None,
        description="Path of a YAML or JSON file with price overrides, read again when it changes. Acts in: pricing.catalog.",
    )
    cost_overrides: Mapping[str, Any] | None = Field(
        default=None,
        description="Price overrides as a dictionary, in the form of the file. Code only. Acts in: pricing.catalog.",
    )
    auto_update: bool = Field(
        default=False,
        description="Whether the price table may update itself over the network, once an hour. Acts in: pricing.catalog.",
    )
    cache_types: NameMap = Field(
        default={},
        description="Names for `langchain.cache.type` by cache class, as `MyCache=my_cache,…`. Acts in: langchain.cache.",
    )
    cache_ghost: bool = Field(
        default=False,
        description="Measure the hits that a cache would have had, from hashes of keys. Acts in: langchain.cache.",
    )
    limits: tuple[Any, ...] = Field(default=(), description="Spend and token limits. Code only. Acts in: spend.limits.")
    limit_store_timeout: PositiveFloat = Field(
        default=0.05, description="Seconds to wait for a shared store of limits. Acts in: spend.redis."
    )
    records: str | None = Field(
        default=None, description="Path of the local ledger of calls; none is kept without it. Acts in: records.store."
    )
    describe: bool = Field(
        default=False,
        description="Put the fingerprint of the redacted configuration (`langmeter.describe`) of a model, embeddings, a "
        "retriever, an agent or a workflow on its spans. Acts in: langchain.fingerprints.",
    )
    suppress_nested: bool = Field(
        default=True,
        description="Ask instrumentation of provider SDKs not to report a call again that langmeter reports. "
        "Acts in: telemetry.duplicates, langchain.anthropic_spans.",
    )

    if not TYPE_CHECKING:  # type checkers see the constructor that pydantic synthesizes

        def __init__(self, **values: Any) -> None:
            """Merge arguments over the environment; see the class."""
            unknown = sorted(set(values) - set(type(self).model_fields))
            if unknown:
                raise SettingsError(_unknown_setting(unknown[0]))
            try:
                super().__init__(**{**_environment_values(), **values})
            except ValidationError as error:
                raise SettingsError(_explain(error)) from None
            for name in sorted(self.reserved & self.model_fields_set):
                if getattr(self, name) != type(self).model_fields[name].default:
                    _warn_once(f"setting {name!r} has no effect in this version of langmeter")


def variable(name: str) -> str | None:
    """The `LANGMETER_*` variable of a setting; None for those that only code can set."""
    return None if name in Settings.code_only else PREFIX + name.upper()


def named_by_environment(settings: Settings, name: str) -> bool:
    """Whether a text setting has the value that its variable gives it: then a fault in what it names only warns."""
    return bool(os.environ.get(PREFIX + name.upper(), "").strip() == getattr(settings, name))


def _unknown_setting(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(Settings.model_fields)}"
    return f"unknown setting {name!r}: {hint}"


def _explain(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0])
    field = Settings.model_fields[name]
    return (
        f"setting {name!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}, got {problem['input']!r:.80}; "
        f"its default is {field.default!r}"
    )


def _environment_values() -> dict[str, Any]:
    """The settings found in the environment, wrong ones left out with a warning."""
    values: dict[str, Any] = {}
    raw = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    if not raw and CONTENT_VARIABLE not in os.environ:
        return values
    names = {variable(name): name for name in Settings.model_fields if variable(name)}
    standard = os.environ.get(CONTENT_VARIABLE, "").strip()
    if standard:
        values.update(_valid("content", standard, CONTENT_VARIABLE))
    for name, text in raw.items():
        if name not in names:
            near = difflib.get_close_matches(name, [known for known in names if known], n=1)
            _warn_once(f"{name} is not a setting of langmeter" + (f"; did you mean {near[0]}?" if near else ""))
        elif text.strip():
            values.update(_valid(names[name], text.strip(), name))
    return values


def _valid(name: str, text: str, source: str) -> dict[str, Any]:
    field = Settings.model_fields[name]
    checker: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]  # built at run time
    try:
        return {name: checker.validate_python(text)}
    except ValidationError as error:
        _warn_once(f"{source}={text!r} is ignored: {error.errors()[0]['msg']}; using {name}={field.default!r}")
        return {}


def standard_variable(name: str) -> str | None:
    """A standard `OTEL_*` variable, stripped; None when it is unset or empty, which the specification treats alike."""
    return os.environ.get(name, "").strip() or None


def standard_flag(name: str) -> bool:
    """A standard boolean `OTEL_*` variable: only `true`, in any case, is true."""
    return (standard_variable(name) or "").lower() == "true"


_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        _LOGGER.warning("%s", message)


class SettingRow(NamedTuple):
    """One row of the table of settings."""

    name: str
    type: str
    variable: str | None
    default: object
    description: str


def table() -> Iterator[SettingRow]:
    """Every setting, in order: what the documentation is generated from."""
    for name, field in Settings.model_fields.items():
        annotation = Settings.__annotations__[name]
        note = "Reserved: no effect in this version. " if name in Settings.reserved else ""
        yield SettingRow(name, str(annotation), variable(name), field.default, note + (field.description or ""))
