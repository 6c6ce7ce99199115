"""Whether bootstrap has anything to do, and what about the set-up found would make totals wrong.

Reads the API's globals and attributes of whatever providers the application has; imports no SDK.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry import _logs, metrics, trace

from langmeter.bootstrap.notices import say_once
from langmeter.settings import Settings, standard_flag, standard_variable

INSTANCE_ID = "service.instance.id"
TEMPORALITY_VARIABLE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_FRESH_UUID_VERSIONS = {1, 4, 6, 7}
"""Versions 3 and 5 are hashes of a name: the same at every start."""


class Present(NamedTuple):
    """Which providers the process has, set by whomever."""

    tracer: bool
    meter: bool
    logger: bool


def present() -> Present:
    """The global providers that somebody has set, no-op ones included: those are a decision too."""
    return Present(
        tracer=not is_proxy(trace.get_tracer_provider()),
        meter=not is_proxy(metrics.get_meter_provider()),
        logger=not is_proxy(_logs.get_logger_provider()),
    )


def is_proxy(provider: object) -> bool:
    """True for the API's stand-in, which is what the API returns until a provider is set.

    Known by name: only the tracer's class is public.
    """
    kind = type(provider)
    return kind.__module__.startswith("opentelemetry.") and kind.__name__.lstrip("_").startswith("Proxy")


def nothing_to_set_up(settings: Settings, *, fill: bool) -> bool:
    """True when the application, a variable or a setting has decided already; says so where that costs telemetry.

    With `fill` (`bootstrap="now"`) the providers that are missing count, otherwise the application's own set-up wins
    as soon as it has begun.
    """
    if settings.bootstrap == "never" or standard_flag("OTEL_SDK_DISABLED"):
        return True
    if standard_variable("OTEL_CONFIG_FILE"):
        say_once(
            "config_file",
            "OTEL_CONFIG_FILE is set: langmeter leaves the set-up of OpenTelemetry to it and sets up nothing itself; "
            "start the application with opentelemetry-instrument so that the file is read",
        )
        return True
    found = present()
    if fill:
        return found.tracer and found.meter and found.logger
    if found.tracer != found.meter:
        _say_half(found)
    return found.tracer or found.meter


def _say_half(found: Present) -> None:
    has, lacks = ("tracer", "meter") if found.tracer else ("meter", "tracer")
    say_once(
        "half",
        f"the application has set a {has} provider and no {lacks} provider; langmeter does not add one. "
        f'Set a {lacks} provider, or call langmeter.instrument(bootstrap="now") after the {has} provider is set.',
        level=logging.INFO,
    )


def check_totals(*, ours: bool) -> None:
    """Warn once about what would make totals wrong: temporality that is not cumulative, an instance id not fresh."""
    preference = standard_variable(TEMPORALITY_VARIABLE)
    if preference is not None and preference.lower() != "cumulative":
        _warn_temporality(f"{TEMPORALITY_VARIABLE}={preference}")
    if ours:
        _warn_fixed_id_in_environment()
        return
    meter_provider = metrics.get_meter_provider()
    if "DELTA" in set(_reader_temporalities(meter_provider)):
        _warn_temporality("the application's metric reader")
    resource = _resource_attributes(meter_provider)
    if resource is None:
        resource = _resource_attributes(trace.get_tracer_provider())
    if resource is not None:
        _warn_instance_id(resource.get(INSTANCE_ID))


def _warn_temporality(source: str) -> None:
    say_once(
        "temporality",
        f"{source} asks for metrics that are not cumulative; totals of money and tokens are exact with cumulative "
        "temporality only, because a lost delta is lost for good. Use cumulative and let the Collector convert.",
    )


def _warn_fixed_id_in_environment() -> None:
    for pair in (standard_variable("OTEL_RESOURCE_ATTRIBUTES") or "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == INSTANCE_ID:
            _warn_instance_id(value.strip())


def _warn_instance_id(value: object) -> None:
    if value is None:
        say_once(
            "instance_id",
            f"the resource has no {INSTANCE_ID}, so processes overwrite each other's totals: build it with "
            "opentelemetry-sdk >= 1.43 and Resource.create, or add a random UUID",
        )
    elif not _is_fresh(str(value)):
        say_once(
            "instance_id",
            f"{INSTANCE_ID}={value} looks fixed; totals are exact only if it is new at every process start. Leave it "
            "out and the SDK makes a random one; put the name of a host or pod into host.name or k8s.pod.name.",
        )


def _is_fresh(value: str) -> bool:
    try:
        return uuid.UUID(value).version in _FRESH_UUID_VERSIONS
    except ValueError:
        return False


def _resource_attributes(provider: object) -> Mapping[str, Any] | None:
    """The attributes of a provider's resource; None if it cannot be seen. A meter provider keeps it in private."""
    resource = getattr(provider, "resource", None) or getattr(getattr(provider, "_sdk_config", None), "resource", None)
    attributes = getattr(resource, "attributes", None)
    return attributes if isinstance(attributes, Mapping) else None


def _reader_temporalities(meter_provider: object) -> Iterator[str]:
    """Names of the temporalities of a provider's readers; nothing where the SDK does not show them."""
    for reader in getattr(meter_provider, "_metric_readers", ()):
        temporalities = getattr(reader, "_instrument_class_temporality", {})
        yield from (str(getattr(temporality, "name", temporality)) for temporality in dict(temporalities).values())
