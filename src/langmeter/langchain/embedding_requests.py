"""An embeddings object and a call of it, read once into a frozen request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from langmeter import semconv
from langmeter.boundary import shield
from langmeter.events import ModelRequest, ParameterValue
from langmeter.langchain.names import clean, name_in
from langmeter.langchain.providers import UNKNOWN, Directory, Endpoint, embeddings_provider, stored_values
from langmeter.langchain.terms import pricing_terms

_MODEL_KEYS: Final = (
    "model",
    "model_name",
    "model_id",
    "deployment_name",
    "azure_deployment",
    "repo_id",
    "endpoint_name",
)
_DEPLOYMENT_KEYS: Final = ("azure_deployment", "deployment_name", "deployment")
_DIMENSION_KEYS: Final = ("dimensions", "output_dimensionality", "output_dimension", "embedding_dimension")
_FORMAT_KEYS: Final = ("encoding_format", "embedding_types", "output_dtype")
_AZURE: Final = "azure.ai.openai"
_NOTHING: Final[Mapping[str, Any]] = {}


def embeddings_request(instance: Any, kwargs: Mapping[str, Any], directory: Directory) -> ModelRequest:
    """The request of one call. What cannot be read costs its field; keyword arguments of the call go before the object's."""
    endpoint, provider, model, deployment = Endpoint(), UNKNOWN, None, None
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    with shield("embeddings endpoint"):
        endpoint = directory.model(instance).endpoint
    with shield("embeddings provider"):
        provider = embeddings_provider(type(instance), endpoint)
    with shield("embeddings parameters"):
        sources = list(_sources(instance, kwargs))
        model = _first(sources, _MODEL_KEYS, name_in)
        deployment = _first(sources, _DEPLOYMENT_KEYS, name_in) if provider == _AZURE else None
        parameters = tuple(_parameters(sources))
    return ModelRequest(
        "embeddings",
        provider,
        model,
        endpoint.address,
        endpoint.port,
        parameters,
        deployment=deployment,
        terms=pricing_terms(_NOTHING, None, _NOTHING),
    )


def embeddings_model(instance: Any) -> str | None:
    """The model that an embeddings object asks for; None where it does not say."""
    model: str | None = _first(list(_sources(instance, _NOTHING)), _MODEL_KEYS, name_in)
    return model


def _sources(instance: Any, kwargs: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield kwargs
    for values in stored_values(instance):
        more = values.get("model_kwargs")  # sent after the object's own parameters, so it wins
        if isinstance(more, Mapping):
            yield more
        yield values


def _parameters(sources: list[Mapping[str, Any]]) -> Iterator[tuple[str, ParameterValue]]:
    dimensions = _first(sources, _DIMENSION_KEYS, _count)
    if dimensions is not None:
        yield semconv.EMBEDDINGS_DIMENSION_COUNT, dimensions
    formats = _first(sources, _FORMAT_KEYS, _formats)
    if formats is not None:
        yield semconv.REQUEST_ENCODING_FORMATS, formats


def _first(sources: list[Mapping[str, Any]], keys: tuple[str, ...], read: Callable[[Any], Any]) -> Any:
    for source in sources:
        for key in keys:
            raw = source.get(key)
            found = read(raw) if raw is not None else None
            if found is not None:
                return found
    return None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _formats(value: Any) -> tuple[str, ...] | None:
    texts = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    return tuple(clean(text) for text in texts if isinstance(text, str) and text) or None
