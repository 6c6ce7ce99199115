"""Provider names by the table of the GenAI conventions, and endpoints without anything that is nobody's business."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import Embeddings
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI

from langmeter.langchain.providers import (
    Directory,
    Endpoint,
    embeddings_provider,
    endpoint_in,
    endpoint_of,
    parse_endpoint,
    provider_name,
)

NOWHERE = Endpoint(None, None)
GEMINI = Endpoint("generativelanguage.googleapis.com", 443)
VERTEX = Endpoint("europe-west4-aiplatform.googleapis.com", 443)


@pytest.mark.parametrize(
    ("class_name", "ls_provider", "expected"),
    [
        ("ChatOpenAI", "openai", "openai"),
        ("OpenAI", "openai", "openai"),
        ("ChatOpenAICodex", "openai-codex", "openai"),
        ("AzureChatOpenAI", "azure", "azure.ai.openai"),
        ("AzureOpenAI", "azure", "azure.ai.openai"),
        ("AzureOpenAI", "openai", "azure.ai.openai"),
        ("AzureAIChatCompletionsModel", "azureaichatcompletionsmodel", "azure.ai.inference"),
        ("AzureAIOpenAIApiChatModel", "openai", "azure.ai.openai"),
        ("ChatAnthropic", "anthropic", "anthropic"),
        ("AzureAIAnthropicChatModel", "anthropic", "anthropic"),
        ("ChatBedrock", "amazon_bedrock", "aws.bedrock"),
        ("ChatBedrockConverse", "amazon_bedrock", "aws.bedrock"),
        ("ChatBedrockNovaSonic", "amazon_bedrock", "aws.bedrock"),
        ("BedrockLLM", "amazon_bedrock", "aws.bedrock"),
        ("BedrockLLM", None, "aws.bedrock"),
        ("ChatAnthropicBedrock", "anthropic-bedrock", "aws.bedrock"),
        ("ChatAnthropicMantle", "anthropic-mantle", "aws.bedrock"),
        ("ChatOpenAIMantle", "openai-mantle", "aws.bedrock"),
        ("ChatVertexAI", "google_vertexai", "gcp.vertex_ai"),
        ("VertexAI", "google_vertexai", "gcp.vertex_ai"),
        ("ChatAnthropicVertex", "anthropicvertex", "gcp.vertex_ai"),
        ("ChatGoogleGenerativeAI", "google_genai", "gcp.gen_ai"),
        ("GoogleGenerativeAI", "google_genai", "gcp.gen_ai"),
        ("ChatMistralAI", "mistral", "mistral_ai"),
        ("ChatGroq", "groq", "groq"),
        ("ChatCohere", "cohere", "cohere"),
        ("ChatDeepSeek", "deepseek", "deepseek"),
        ("ChatXAI", "xai", "x_ai"),
        ("ChatPerplexity", "perplexity", "perplexity"),
        ("ChatWatsonx", "ibm", "ibm.watsonx.ai"),
        ("WatsonxLLM", "watsonx", "ibm.watsonx.ai"),
        ("ChatMoonshot", "moonshot", "moonshot_ai"),
        ("ChatOllama", "ollama", "ollama"),
        ("OllamaLLM", "ollama", "ollama"),
        ("ChatFireworks", "fireworks", "fireworks"),
        ("ChatTogether", "together", "together"),
        ("ChatOpenRouter", "openrouter", "openrouter"),
        ("ChatNVIDIA", "NVIDIA", "nvidia"),
        ("ChatHuggingFace", "huggingface", "huggingface"),
        ("ChatSagemakerEndpoint", "sagemakerendpoint", "aws.sagemaker"),
        ("ChatMine", "mine", "mine"),
        ("ChatMine", "My Own-Provider_1.0!", "myownprovider_1.0"),
        ("ChatMine", " OpenAI ", "openai"),
        ("ChatMine", "", "unknown"),
        ("ChatMine", "日本", "unknown"),
        ("ChatMine", None, "unknown"),
        (None, None, "unknown"),
        (None, 7, "unknown"),
        (None, ["openai"], "unknown"),
    ],
)
def test_the_table_of_providers(class_name, ls_provider, expected):
    assert provider_name(ls_provider, class_name) == expected


def named(*names):
    """A class of embeddings, the last of classes with these names of which each is the base of the next."""
    cls = Embeddings
    for name in names:
        cls = type(name, (cls,), {})
    return cls


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["OpenAIEmbeddings"], "openai"),
        (["AzureOpenAIEmbeddings"], "azure.ai.openai"),
        (["OpenAIEmbeddings", "AzureOpenAIEmbeddings"], "azure.ai.openai"),
        (["AzureAIEmbeddingsModel"], "azure.ai.inference"),
        (["AzureAIOpenAIApiEmbeddingsModel"], "azure.ai.openai"),
        (["BedrockEmbeddings"], "aws.bedrock"),
        (["VertexAIEmbeddings"], "gcp.vertex_ai"),
        (["GoogleGenerativeAIEmbeddings"], "gcp.gen_ai"),
        (["MistralAIEmbeddings"], "mistral_ai"),
        (["CohereEmbeddings"], "cohere"),
        (["OllamaEmbeddings"], "ollama"),
        (["FireworksEmbeddings"], "fireworks"),
        (["TogetherEmbeddings"], "together"),
        (["NVIDIAEmbeddings"], "nvidia"),
        (["WatsonxEmbeddings"], "ibm.watsonx.ai"),
        (["HuggingFaceEmbeddings"], "huggingface"),
        (["HuggingFaceEndpointEmbeddings"], "huggingface"),
        (["PerplexityEmbeddings"], "perplexity"),
        (["OpenAIEmbeddings", "EmbeddingsOfMine"], "openai"),
    ],
)
def test_the_table_of_providers_of_embeddings(names, expected):
    assert embeddings_provider(named(*names)) == expected


@pytest.mark.parametrize(("endpoint", "expected"), [(GEMINI, "gcp.gemini"), (VERTEX, "gcp.vertex_ai")])
def test_embeddings_of_google_are_told_by_their_endpoint(endpoint, expected):
    assert embeddings_provider(named("GoogleGenerativeAIEmbeddings"), endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (GEMINI, "gcp.gemini"),
        (VERTEX, "gcp.vertex_ai"),
        (Endpoint("aiplatform.googleapis.com", 443), "gcp.vertex_ai"),
        (Endpoint("proxy.example.com", 443), "gcp.gen_ai"),
        (NOWHERE, "gcp.gen_ai"),
    ],
)
def test_google_is_told_by_its_endpoint(endpoint, expected):
    assert provider_name("google_genai", "ChatGoogleGenerativeAI", endpoint) == expected


def test_a_proxy_behind_an_openai_client_is_still_openai():
    assert provider_name("openai", "ChatOpenAI", GEMINI) == "openai"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443),
        ("http://localhost", "localhost", 80),
        ("http://localhost:11434/", "localhost", 11434),
        ("HTTPS://API.Example.COM:8443/v1/", "api.example.com", 8443),
        ("http://127.0.0.1:9/v1?key=secret#x", "127.0.0.1", 9),
        ("http://[::1]:8080/v1", "::1", 8080),
        ("https://[2001:db8::7]/v1", "2001:db8::7", 443),
        ("https://user:password@example.com/v1", "example.com", 443),
        ("https://user:pass:word@[::1]:99", "::1", 99),
        ("grpc://example.com/x", "example.com", None),
        ("grpc://example.com:50051", "example.com", 50051),
    ],
)
@pytest.mark.parametrize("form", [str, lambda url: httpx.URL(url) if url.lower().startswith("http") else url])
def test_endpoints_from_urls(url, host, port, form):
    assert parse_endpoint(form(url)) == Endpoint(host, port)


class _Unreadable:
    def __str__(self):
        return "not a url"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "api.openai.com",
        "localhost:11434",
        "https://",
        "https:///v1",
        "https://host:port/v1",
        "https://host:99999/v1",
        "http://[::1/v1",
        "://",
        "https://" + "x" * 5_000,
        7,
        b"https://example.com",
        ["https://example.com"],
        {"url": "x"},
        _Unreadable(),
        object(),
    ],
)
def test_garbage_is_nowhere(value):
    assert parse_endpoint(value) == NOWHERE


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SimpleNamespace(base_url="http://localhost:11434"), Endpoint("localhost", 11434)),
        (SimpleNamespace(anthropic_api_url="https://api.anthropic.com"), Endpoint("api.anthropic.com", 443)),
        (SimpleNamespace(endpoint="https://api.mistral.ai/v1"), Endpoint("api.mistral.ai", 443)),
        (SimpleNamespace(endpoint_url="https://bedrock.example.com"), Endpoint("bedrock.example.com", 443)),
        # A built client knows better than the configuration.
        (
            SimpleNamespace(
                root_client=SimpleNamespace(base_url=httpx.URL("http://real:1")), openai_api_base="http://said:2"
            ),
            Endpoint("real", 1),
        ),
        (SimpleNamespace(base_url=None, endpoint="nonsense", azure_endpoint=7), NOWHERE),
        (SimpleNamespace(), NOWHERE),
        (object(), NOWHERE),
        (None, NOWHERE),
    ],
)
def test_endpoints_of_models(model, expected):
    assert endpoint_of(model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: ChatOpenAI(model="m", api_key="k"), Endpoint("api.openai.com", 443)),
        (lambda: ChatOpenAI(model="m", api_key="k", base_url="http://[::1]:8000/v1"), Endpoint("::1", 8000)),
        (
            lambda: OpenAI(api_key="k", base_url="https://user:secret@proxy.example.com/v1"),
            Endpoint("proxy.example.com", 443),
        ),
        (
            lambda: AzureChatOpenAI(
                azure_endpoint="https://mine.openai.azure.com",
                azure_deployment="d",
                api_version="2024-06-01",
                api_key="k",
            ),
            Endpoint("mine.openai.azure.com", 443),
        ),
    ],
)
def test_endpoints_of_real_models(model, expected, monkeypatch):
    for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert endpoint_of(model()) == expected


def test_looking_for_an_endpoint_builds_nothing_and_survives_anything():
    touched = []

    class Lazy:
        """As integrations that build their client when it is first looked at."""

        def __init__(self):
            self.base_url = "http://configured:1"

        def __getattr__(self, name):
            touched.append(name)
            raise RuntimeError(name)

        @property
        def client(self):
            raise RuntimeError("no credentials")

    assert endpoint_of(Lazy()) == Endpoint("configured", 1)
    assert touched == []


@pytest.mark.parametrize(
    ("serialized", "expected"),
    [
        ({"kwargs": {"openai_api_base": "http://localhost:8000/v1"}}, Endpoint("localhost", 8000)),
        ({"kwargs": {"base_url": "https://u:p@example.com"}}, Endpoint("example.com", 443)),
        ({"kwargs": {"base_url": 7, "endpoint": ["x"], "api_base": "http://a"}}, Endpoint("a", 80)),
        ({"kwargs": {"openai_api_key": {"id": ["OPENAI_API_KEY"]}}}, NOWHERE),
        ({"kwargs": None}, NOWHERE),
        ({"kwargs": ["base_url"]}, NOWHERE),
        ({"repr": "ChatFake(base_url='http://x')"}, NOWHERE),
        (None, NOWHERE),
        ("http://example.com", NOWHERE),
    ],
)
def test_endpoints_in_serialised_models(serialized, expected):
    assert endpoint_in(serialized) == expected


class _Model:
    def __init__(self, base_url: Any) -> None:
        self.base_url = base_url


def test_the_directory_looks_once_per_object():
    directory, model = Directory(), _Model("http://one:1")
    assert directory.model(model).endpoint == Endpoint("one", 1)
    model.base_url = "http://two:2"
    assert directory.model(model).endpoint == Endpoint("one", 1)
    assert directory.model(_Model("http://three:3")).endpoint == Endpoint("three", 3)


def test_the_directory_forgets_objects_that_are_gone():
    directory = Directory()
    for number in range(1, 1_000):
        # Memory, and so the identity, of one object serves the next.
        assert directory.model(_Model(f"http://host:{number}")).endpoint == Endpoint("host", number)
    gc.collect()

    assert directory._known == {}


def test_the_directory_is_bounded():
    directory = Directory()
    models = [_Model(f"http://host:{number}") for number in range(1, 5_001)]
    for number, model in enumerate(models, 1):
        assert directory.model(model).endpoint == Endpoint("host", number)

    assert len(directory._known) <= 4_096


def test_the_directory_takes_objects_without_weak_references():
    class Slotted:
        __slots__ = ("base_url",)

    assert Directory().model(Slotted()).endpoint == NOWHERE
    assert Directory().model(7).endpoint == NOWHERE
