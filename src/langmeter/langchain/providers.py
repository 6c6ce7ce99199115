"""Which provider a LangChain model speaks to, and where: `gen_ai.provider.name`, `server.address`, `server.port`."""

from __future__ import annotations

import functools
import re
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

UNKNOWN: Final = "unknown"

# LangChain's `ls_provider` -> the conventions' value (genai conventions, table of well-known providers). Values that are
# not well known stay as LangChain spells them.
_BY_NAME: Final = {
    "openai": "openai",
    "openai-codex": "openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "azureaichatcompletionsmodel": "azure.ai.inference",
    "anthropic": "anthropic",
    "amazon_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "anthropic-bedrock": "aws.bedrock",
    "anthropic-mantle": "aws.bedrock",
    "openai-mantle": "aws.bedrock",
    "google_vertexai": "gcp.vertex_ai",
    "anthropicvertex": "gcp.vertex_ai",
    "google_genai": "gcp.gen_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "groq": "groq",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "x_ai",
    "perplexity": "perplexity",
    "ibm": "ibm.watsonx.ai",
    "moonshot": "moonshot_ai",
    "nvidia": "nvidia",
    "sagemakerendpoint": "aws.sagemaker",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "huggingfaceendpoint": "huggingface",
    "huggingfacepipeline": "huggingface",
}
# Classes whose `ls_provider` names something else than the API they call, or who have none.
_BY_CLASS: Final = {
    "AzureAIOpenAIApiChatModel": "azure.ai.openai",
    "AzureAIChatCompletionsModel": "azure.ai.inference",
    "AzureChatOpenAI": "azure.ai.openai",
    "AzureOpenAI": "azure.ai.openai",
    "ChatAnthropicVertex": "gcp.vertex_ai",
    "WatsonxLLM": "ibm.watsonx.ai",
    "BedrockLLM": "aws.bedrock",
    "VertexAI": "gcp.vertex_ai",
    "DatabricksEmbeddings": "databricks",
    "AzureAIEmbeddingsModel": "azure.ai.inference",
    "AzureAIOpenAIApiEmbeddingsModel": "azure.ai.openai",
    "GoogleGenerativeAIEmbeddings": "gcp.gen_ai",
    "HuggingFaceBgeEmbeddings": "huggingface",
    "HuggingFaceEndpointEmbeddings": "huggingface",
    "HuggingFaceHubEmbeddings": "huggingface",
    "HuggingFaceInferenceAPIEmbeddings": "huggingface",
    "HuggingFaceInstructEmbeddings": "huggingface",
}
_EMBEDDINGS_SUFFIX: Final = re.compile("Embeddings?(?:Model|Endpoint)?$")
_BY_HOST: Final = (
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
)
# Where integrations keep the address of their endpoint, most certain first: a built client knows what it really calls.
_ENDPOINT_PATHS: Final = (
    "root_client.base_url",
    "client._client.base_url",
    "client.base_url",
    "_client.base_url",
    "_client._client.base_url",
    "client._api_client._http_options.base_url",
    "client.client.base_url",
    "client._client_wrapper._base_url",
    "client.meta.endpoint_url",
    "async_client._client.base_url",
    "azure_endpoint",
    "openai_api_base",
    "anthropic_api_url",
    "groq_api_base",
    "mistral_api_url",
    "fireworks_api_base",
    "xai_api_base",
    "endpoint_url",
    "endpoint",
    "base_url",
    "api_base",
    "inference_server_url",
    "llm.endpoint_url",  # ChatHuggingFace
    "llm.inference_server_url",
    "model_url",
)
_SERIALIZED_ENDPOINTS: Final = tuple(path for path in _ENDPOINT_PATHS if "." not in path)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_REMEMBERED: Final = 4_096


class Endpoint(NamedTuple):
    """Host and port of the configured endpoint; None where nothing tells."""

    address: str | None = None
    port: int | None = None


class Model(NamedTuple):
    """What the wrappers know of a model object and callbacks do not."""

    class_name: str
    endpoint: Endpoint
    facts: Mapping[str, Any] = {}
    """LangChain's own metadata of the model, where the call does not carry it."""


_NOWHERE: Final = Endpoint()


def provider_name(ls_provider: object, class_name: str | None, endpoint: Endpoint = _NOWHERE) -> str:
    """The `gen_ai.provider.name` for a model; `unknown` if nothing tells, because the attribute is required."""
    known = _BY_CLASS.get(class_name or "")
    if known is None:
        name = ls_provider.strip().lower() if isinstance(ls_provider, str) else _embeddings_stem(class_name or "")
        known = _BY_NAME.get(name) or re.sub(r"[^a-z0-9_.]", "", name) or UNKNOWN
    if known == "gcp.gen_ai" and endpoint.address is not None:
        for host, provider in _BY_HOST:
            if endpoint.address.endswith(host):
                return provider
    return known


def embeddings_provider(cls: type, endpoint: Endpoint = _NOWHERE) -> str:
    """The `gen_ai.provider.name` for a class of embeddings: they have no metadata, so that their names have to tell.

    A subclass speaks to the provider of the nearest base that is known, else to the one that its first base is named after.
    """
    names = [base.__name__ for base in cls.__mro__ if hasattr(base, "embed_documents")]
    for name in names:
        if name in _BY_CLASS or _embeddings_stem(name) in _BY_NAME:
            return provider_name(None, name, endpoint)
    first = names[-2] if len(names) > 1 else cls.__name__  # the last one is `Embeddings`
    return provider_name(_embeddings_stem(first) or first, None)


def _embeddings_stem(class_name: str) -> str:
    """What the name of a class of embeddings begins with; empty for other names."""
    found = _EMBEDDINGS_SUFFIX.search(class_name)
    return class_name[: found.start()].lower() if found else ""


def parse_endpoint(value: object) -> Endpoint:
    """Host and port of a base URL, given as text or as a client's URL object; empty if it is neither."""
    text = str(value) if value is not None else ""
    return _parsed(text) if "://" in text and len(text) <= _REMEMBERED else _NOWHERE


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Endpoint:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return _NOWHERE
    return Endpoint(host, port if host else None) if host else _NOWHERE


def endpoint_of(model: object) -> Endpoint:
    """Where a model object sends its requests, read off its built client or its configuration."""
    for path in _ENDPOINT_PATHS:
        found = parse_endpoint(_attribute(model, path))
        if found.address is not None:
            return found
    return _NOWHERE


def endpoint_in(serialized: object) -> Endpoint:
    """The endpoint named in LangChain's serialised form of a model: all that a plain callback can see."""
    arguments = serialized.get("kwargs") if isinstance(serialized, dict) else None
    if isinstance(arguments, dict):
        for name in _SERIALIZED_ENDPOINTS:
            value = arguments.get(name)
            found = parse_endpoint(value) if isinstance(value, str) else _NOWHERE
            if found.address is not None:
                return found
    return _NOWHERE


def _attribute(target: object, path: str) -> object:
    *parents, last = path.split(".")
    for name in parents:
        # `vars` first: a cached property such as ChatAnthropic's `_client` would build a client when merely looked at.
        target = _stored(target, name, of_client=False)
        if target is None:
            return None
    return _stored(target, last, of_client=bool(parents))


def _stored(target: object, name: str, *, of_client: bool) -> object:
    """A stored value. A property is run only on a client that exists: a model's own may build one, or wait for something."""
    for values in stored_values(target):
        if name in values:
            return values[name]
    member = getattr(type(target), name, None)
    if of_client and isinstance(member, property):
        try:
            return getattr(target, name)
        except Exception:  # noqa: BLE001  (a property of somebody else's client)
            return None
    return None


def stored_values(target: object) -> Iterator[dict[str, Any]]:
    """The values that an object holds, fields and private attributes of pydantic models included; none of its code runs."""
    values = getattr(target, "__dict__", None)
    if isinstance(values, dict):
        yield values
    try:  # past any `__getattr__` of somebody else's client, which may build something or raise
        private = object.__getattribute__(target, "__pydantic_private__")
    except AttributeError:
        return
    if isinstance(private, dict):
        yield private


class Directory:
    """Remembers what it found of each model object for as long as the object lives. Bounded; safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], Model]] = {}

    def model(self, instance: object) -> Model:
        """Class name and endpoint of a model object; found once per object."""
        key = id(instance)
        entry = self._known.get(key)
        if entry is not None and entry[0]() is instance:
            return entry[1]
        model = Model(type(instance).__name__, endpoint_of(instance))
        try:
            reference = weakref.ref(instance, lambda _: self._known.pop(key, None))
        except TypeError:  # an object without weak references: look it up each time
            return model
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (reference, model)
        return model
