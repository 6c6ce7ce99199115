"""On whose behalf a run works: from the blocks around it, from its metadata and, where asked for, from baggage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, cast

from langchain_core.runnables.config import ensure_config
from opentelemetry import baggage

from langmeter import semconv
from langmeter.attribution_keys import PROMPT_KEYS, PROMPT_NAME, PROMPT_VERSION, is_key, text
from langmeter.attribution_scope import current_scope
from langmeter.boundary import shield, swallow
from langmeter.runs import OpenCall, OpenStep
from langmeter.telemetry.distinct_values import distinct_values

if TYPE_CHECKING:
    from langmeter.attribution_scope import Scope
    from langmeter.events import ModelRequest, StepRequest
    from langmeter.runs import OpenRun
    from langmeter.settings import Settings

Request = TypeVar("Request", "ModelRequest", "StepRequest")
Pairs: TypeAlias = tuple[tuple[str, str], ...]

# What LangSmith's client writes into the metadata of a prompt that it pulls.
_HUB_REPOSITORY: Final = "lc_hub_repo"
_HUB_OWNER: Final = "lc_hub_owner"
_HUB_COMMIT: Final = "lc_hub_commit_hash"
_NO_OWNER: Final = "-"


class Attributed(NamedTuple):
    """What is known about on whose behalf one run works."""

    span: Pairs = ()
    """(key, value)."""
    metric: Pairs = ()
    """The part of it that is allowed on metrics, bounded in distinct values."""
    prompt: Pairs = ()
    """(`semconv` attribute name, value), for spans of model calls."""


NOTHING: Final = Attributed()


class Attribution:
    """Reads the attribution of runs. Immutable but for the values that the process has seen; safe from any thread.

    Per key, a block goes before the run's metadata and this before baggage.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = settings.attribution_keys
        self._metric_keys = settings.metric_attribution_keys
        self._limit = settings.max_attribution_values
        self._baggage = settings.attribution_baggage

    def read(self, metadata: Any = None, around: Pairs = ()) -> Attributed:
        """The attribution of a run that starts here and now. Never raises.

        Args:
            metadata: what LangChain gives the run.
            around: the attribution of the run around it, where LangChain does not hand down its metadata.
        """
        scope = current_scope()
        given: dict[str, str | None] | None = None
        try:
            if metadata and (self._keys or _HUB_REPOSITORY in metadata):
                given = self._from_metadata(metadata)
            if self._baggage:
                given = {**_from_baggage(), **(given or {})}
        except Exception as error:  # noqa: BLE001  (the boundary: a mapping of the application may raise from any method)
            swallow("attribution", error)
        if around:
            given = {**dict(around), **(given or {})}
        if not given:
            return NOTHING if scope is None else self._of_blocks(scope)
        return self._attributed(given if scope is None else {**given, **scope.values})

    def of_step(self, request: StepRequest, metadata: Any) -> StepRequest:
        """The request of a step that starts here and now, with its attribution."""
        return _with(request, self.read(metadata))

    def of_inner(self, request: Request, around: OpenRun | None) -> Request:
        """The request of what LangChain gives neither a run nor metadata (embeddings, stores), with its attribution.

        It has that of the run around it, and the metadata of the chain whose code it is made in.
        """
        metadata = None
        if self._keys:
            with shield("attribution"):
                metadata = ensure_config().get("metadata")
        known = self.read(metadata, around.request.attribution if isinstance(around, OpenCall | OpenStep) else ())
        return _with(request, known)

    def _of_blocks(self, scope: Scope) -> Attributed:
        known = scope.memory.get(self)
        if known is None:
            known = scope.memory[self] = self._attributed(scope.values)
        return cast("Attributed", known)

    def _attributed(self, values: Mapping[str, str | None]) -> Attributed:
        span = tuple([(key, value) for key, value in values.items() if value is not None and key not in PROMPT_KEYS])
        prompt = _prompt(values) if PROMPT_NAME in values else ()
        if not span and not prompt:
            return NOTHING
        if not self._metric_keys:
            return Attributed(span, (), prompt)
        metric = []
        for key in self._metric_keys:
            value = values.get(key)
            if value is not None:
                metric.append((key, distinct_values.admitted(key, value, self._limit)))
        return Attributed(span, tuple(metric), prompt)

    def _from_metadata(self, metadata: Any) -> dict[str, str | None] | None:
        if not isinstance(metadata, dict):  # which LangChain always gives
            return None
        found: dict[str, str | None] = {}
        for key in self._keys:
            if key in metadata:
                value = text(metadata[key])
                if value is not None:
                    found[key] = value
        if PROMPT_NAME not in found and _HUB_REPOSITORY in metadata:
            found |= _from_hub(metadata)
        return found


def _with(request: Request, known: Attributed) -> Request:
    if known is NOTHING:
        return request
    return request._replace(attribution=known.span, metric_attribution=known.metric)


def _from_hub(metadata: Mapping[str, Any]) -> dict[str, str | None]:
    """Name and version of a prompt that was pulled from a hub, where its metadata has been given to the run."""
    name, owner = text(metadata[_HUB_REPOSITORY]), text(metadata.get(_HUB_OWNER))
    if name is not None and owner not in (None, _NO_OWNER):
        name = f"{owner}/{name}"
    return {PROMPT_NAME: name, PROMPT_VERSION: text(metadata.get(_HUB_COMMIT))}


def _prompt(values: Mapping[str, str | None]) -> Pairs:
    name, version = values[PROMPT_NAME], values.get(PROMPT_VERSION)
    if name is None:
        return ()
    named = (semconv.PROMPT_NAME, name)
    return (named,) if version is None else (named, (semconv.PROMPT_VERSION, version))


def _from_baggage() -> dict[str, str | None]:
    """What a service upstream, or a block of this one, has put into baggage."""
    found: dict[str, str | None] = {}
    for name, value in baggage.get_all().items():
        if name.startswith(semconv.ATTRIBUTION_PREFIX):
            key = name[len(semconv.ATTRIBUTION_PREFIX) :]
            known = text(value) if is_key(key) and key not in PROMPT_KEYS else None
            if known is not None:
                found[key] = known
    return found
