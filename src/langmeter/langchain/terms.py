"""What decides a call's price besides its answer, read from LangChain's callback data."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from langmeter.boundary import swallow
from langmeter.errors import SettingsError
from langmeter.events import PricingTerms
from langmeter.langchain.names import name_in
from langmeter.pricing.notices import first_time
from langmeter.pricing.terms import inner_over_outer, scoped_terms, terms_from
from langmeter.pricing.tiers import is_standard

METADATA_KEY: Final = "langmeter_pricing"
"""`config={"metadata": {"langmeter_pricing": {"processing": "batch"}}}`."""
_DEPLOYMENT_KEYS: Final = ("azure_deployment", "deployment_name")
# Where integrations put parameters that they do not know.
_NESTED: Final = ("model_kwargs", "extra_body")

_LOGGER: Final = logging.getLogger("langmeter.pricing")


def pricing_terms(params: Mapping[str, Any], options: Any, metadata: Mapping[str, Any]) -> PricingTerms | None:
    """What is said about a call's price: in a `call_pricing` block, else in its metadata, else by its parameters.

    None when nothing is said. Wrong values are left out with a warning; never raises.
    """
    terms = scoped_terms()
    try:
        if METADATA_KEY in metadata:
            terms = inner_over_outer(terms, _from_metadata(metadata[METADATA_KEY]))
        asked, speed = _asked(params, "service_tier"), _asked(params, "speed")
        if isinstance(options, dict) and len(options) > 1:  # nearly always it holds `stop` alone
            asked, speed = asked or _asked(options, "service_tier"), speed or _asked(options, "speed")
        if asked is not None or speed is not None:
            terms = inner_over_outer(terms, PricingTerms(service_tier=asked, speed=speed))
    except Exception as error:  # noqa: BLE001  (the boundary: a mapping of the application may raise from any method)
        swallow("pricing terms", error)
    return terms


def deployment(params: Mapping[str, Any], serialized: Any) -> str | None:
    """The name of the Azure deployment that is called, where the integration says it."""
    for key in _DEPLOYMENT_KEYS:
        if params.get(key) is not None:
            return name_in(params[key])
    arguments = serialized.get("kwargs") if isinstance(serialized, dict) else None
    if isinstance(arguments, dict):
        for key in _DEPLOYMENT_KEYS:
            if arguments.get(key) is not None:
                return name_in(arguments[key])
    return None


def _asked(given: Mapping[str, Any], key: str) -> str | None:
    """A parameter of the request that can decide the tier; None for the values that leave it to the provider."""
    value = given.get(key)
    if value is None:
        for nested in _NESTED:
            inner = given.get(nested)
            if inner and isinstance(inner, Mapping) and inner.get(key) is not None:
                value = inner[key]
                break
        else:
            return None
    name = name_in(value)
    return None if name is None or is_standard(name) else name


def _from_metadata(given: Any) -> PricingTerms | None:
    """Each value for itself, so that a wrong one costs only itself."""
    if not isinstance(given, Mapping):
        _warn(f"run metadata {METADATA_KEY!r} must be a mapping, got {type(given).__name__}")
        return None
    terms = PricingTerms()
    for key, value in given.items():
        try:
            terms = inner_over_outer(terms, terms_from({str(key): value}, f"run metadata {METADATA_KEY!r}")) or terms
        except SettingsError as error:
            _warn(str(error))
    return None if terms == PricingTerms() else terms


def _warn(problem: str) -> None:
    if first_time("metadata", problem):
        _LOGGER.warning("%.500s; it is ignored.", problem)
