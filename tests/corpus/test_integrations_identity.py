"""Every LangChain class of the provider table that installs, built for real: its provider, its endpoint and its model.

The provider on this machine refuses everything: who is asked, where and for what is known before the answer. What is known
of classes that do not install beside the others is in `tests/unit/test_providers.py`.
"""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import partner_models as models
import pytest

from langmeter.langchain.providers import endpoint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    # Clients warn about retired models and LangChain about renamed options; both are the application's affair.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

KEY = "no-key"
AWS = {"region_name": "us-east-1", "aws_access_key_id": KEY, "aws_secret_access_key": KEY}
CLAUDE_ON_AWS = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def _class(module: str, name: str) -> Any:
    return getattr(pytest.importorskip(module, reason=f"{module} is in the `test` extra"), name)


def _built(module: str, name: str, **options: Any) -> Callable[[str], Any]:
    """Makes an object of a class; an option `URL` is replaced by the address."""

    def build(url: str) -> Any:
        return _class(module, name)(**{key: url if value == "URL" else value for key, value in options.items()})

    return build


def _moonshot(url: str) -> Any:
    import openai

    # The class sends its requests to Moonshot whatever address it is given, unless it is given a client.
    client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0).chat.completions
    return _class("langchain_community.chat_models.moonshot", "MoonshotChat")(
        model="kimi-k2", api_key=KEY, client=client
    )


def _fireworks_embeddings(url: str) -> Any:
    import openai

    embeddings = _class("langchain_fireworks", "FireworksEmbeddings")(model="nomic-embed-text", api_key=KEY)
    embeddings.client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
    return embeddings


def _mistral_embeddings(url: str) -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"Hi": 0}, "Hi"))  # else it fetches one
    return _class("langchain_mistralai", "MistralAIEmbeddings")(
        model="mistral-embed", api_key=KEY, endpoint=url, max_retries=None, tokenizer=tokenizer
    )


def _sagemaker(url: str) -> Any:
    handler = _class("langchain_aws.llms.sagemaker_endpoint", "LLMContentHandler")

    class Handler(handler):
        content_type = accepts = "application/json"

        def transform_input(self, prompt: str, model_kwargs: dict[str, Any]) -> bytes:
            return prompt.encode()

        def transform_output(self, output: Any) -> str:
            return str(output.read())

    options = {"endpoint_name": "mine", "content_handler": Handler(), "endpoint_url": url}
    return _class("langchain_aws", "SagemakerEndpoint")(**options, **AWS)


class Identity(NamedTuple):
    build: Callable[[str], Any]
    provider: str
    model: str | None
    operation: str = "chat"


CHAT = {
    "ChatOpenAI": Identity(models.openai, "openai", "gpt-5"),
    "AzureChatOpenAI": Identity(models.azure, "azure.ai.openai", "chat-eu"),
    "ChatAnthropic": Identity(models.anthropic, "anthropic", "claude-sonnet-4-5"),
    "ChatGoogleGenerativeAI": Identity(models.gemini, "gcp.gen_ai", "gemini-2.5-flash"),
    "ChatBedrockConverse": Identity(models.converse, "aws.bedrock", CLAUDE_ON_AWS),
    "ChatBedrock": Identity(models.bedrock, "aws.bedrock", CLAUDE_ON_AWS),
    "ChatAnthropicBedrock": Identity(
        _built("langchain_aws", "ChatAnthropicBedrock", model=CLAUDE_ON_AWS, base_url="URL", max_retries=0, **AWS),
        "aws.bedrock",
        CLAUDE_ON_AWS,
    ),
    "ChatMistralAI": Identity(models.mistral, "mistral_ai", "mistral-large-2512"),
    "ChatGroq": Identity(models.groq, "groq", "openai/gpt-oss-120b"),
    "ChatCohere": Identity(models.cohere, "cohere", "command-a-03-2025"),
    "ChatDeepSeek": Identity(models.deepseek, "deepseek", "deepseek-chat"),
    "ChatXAI": Identity(models.xai, "x_ai", "grok-4"),
    "ChatPerplexity": Identity(models.perplexity, "perplexity", "sonar-deep-research"),
    "ChatOllama": Identity(models.ollama, "ollama", "llama3.1:8b"),
    "ChatFireworks": Identity(models.fireworks, "fireworks", "accounts/fireworks/models/kimi-k2p5"),
    "ChatTogether": Identity(models.together, "together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    "ChatNVIDIA": Identity(models.nvidia, "nvidia", "meta/llama-3.1-8b-instruct"),
    "ChatCerebras": Identity(models.cerebras, "cerebras", "llama-3.3-70b"),
    "ChatBaseten": Identity(models.baseten, "baseten", "deepseek-ai/DeepSeek-V3.1"),
    # With an endpoint of one's own, the classes of Hugging Face put its address in place of the model.
    "ChatHuggingFace": Identity(models.huggingface, "huggingface", None),
    "MoonshotChat": Identity(_moonshot, "moonshot_ai", "kimi-k2"),
}
TEXT = {
    "OpenAI": Identity(
        _built("langchain_openai", "OpenAI", model="babbage-002", api_key=KEY, base_url="URL", max_retries=0),
        "openai",
        "babbage-002",
    ),
    "AzureOpenAI": Identity(
        _built(
            "langchain_openai",
            "AzureOpenAI",
            azure_deployment="text-eu",
            azure_endpoint="URL",
            api_version="2025-04-01-preview",
            api_key=KEY,
            max_retries=0,
        ),
        "azure.ai.openai",
        "text-eu",
    ),
    "AnthropicLLM": Identity(
        _built("langchain_anthropic", "AnthropicLLM", model="claude-haiku-4-5", api_key=KEY, base_url="URL"),
        "anthropic",
        "claude-haiku-4-5",
    ),
    "BedrockLLM": Identity(models.bedrock_text, "aws.bedrock", "meta.llama3-3-70b-instruct-v1:0"),
    "SagemakerEndpoint": Identity(_sagemaker, "aws.sagemaker", None),
    "Fireworks": Identity(
        _built("langchain_fireworks", "Fireworks", model="accounts/fireworks/models/m", api_key=KEY, base_url="URL"),
        "fireworks",
        "accounts/fireworks/models/m",
    ),
    "GoogleGenerativeAI": Identity(
        _built(
            "langchain_google_genai",
            "GoogleGenerativeAI",
            model="gemini-2.5-flash",
            google_api_key=KEY,
            base_url="URL",
            max_retries=1,
        ),
        "gcp.gen_ai",
        "gemini-2.5-flash",
    ),
    "HuggingFaceEndpoint": Identity(
        _built("langchain_huggingface", "HuggingFaceEndpoint", endpoint_url="URL", huggingfacehub_api_token=KEY),
        "huggingface",
        None,
    ),
    "NVIDIA": Identity(
        _built("langchain_nvidia_ai_endpoints", "NVIDIA", model="bigcode/starcoder2-7b", api_key=KEY, base_url="URL"),
        "nvidia",
        "bigcode/starcoder2-7b",
    ),
    "OllamaLLM": Identity(
        _built("langchain_ollama", "OllamaLLM", model="llama3.1:8b", base_url="URL"), "ollama", "llama3.1:8b"
    ),
    "Together": Identity(
        _built("langchain_together", "Together", model="mistralai/Mixtral-8x7B-v0.1", api_key=KEY, base_url="URL"),
        "together",
        "mistralai/Mixtral-8x7B-v0.1",
    ),
}
EMBEDDINGS = {
    "OpenAIEmbeddings": Identity(
        _built(
            "langchain_openai",
            "OpenAIEmbeddings",
            model="text-embedding-3-small",
            api_key=KEY,
            base_url="URL",
            max_retries=0,
            check_embedding_ctx_length=False,
        ),
        "openai",
        "text-embedding-3-small",
    ),
    "AzureOpenAIEmbeddings": Identity(
        _built(
            "langchain_openai",
            "AzureOpenAIEmbeddings",
            model="text-embedding-3-small",
            azure_deployment="embeddings-eu",
            azure_endpoint="URL",
            api_version="2025-04-01-preview",
            api_key=KEY,
            max_retries=0,
            check_embedding_ctx_length=False,
        ),
        "azure.ai.openai",
        "text-embedding-3-small",
    ),
    "BedrockEmbeddings": Identity(
        _built(
            "langchain_aws", "BedrockEmbeddings", model_id="amazon.titan-embed-text-v2:0", endpoint_url="URL", **AWS
        ),
        "aws.bedrock",
        "amazon.titan-embed-text-v2:0",
    ),
    "CohereEmbeddings": Identity(
        _built(
            "langchain_cohere",
            "CohereEmbeddings",
            model="embed-v4.0",
            cohere_api_key=KEY,
            base_url="URL",
            max_retries=0,
        ),
        "cohere",
        "embed-v4.0",
    ),
    "FireworksEmbeddings": Identity(_fireworks_embeddings, "fireworks", "nomic-embed-text"),
    "GoogleGenerativeAIEmbeddings": Identity(
        _built(
            "langchain_google_genai",
            "GoogleGenerativeAIEmbeddings",
            model="gemini-embedding-001",
            google_api_key=KEY,
            base_url="URL",
        ),
        "gcp.gen_ai",
        "gemini-embedding-001",
    ),
    "MistralAIEmbeddings": Identity(_mistral_embeddings, "mistral_ai", "mistral-embed"),
    "NVIDIAEmbeddings": Identity(
        _built(
            "langchain_nvidia_ai_endpoints", "NVIDIAEmbeddings", model="nvidia/nv-embed-v1", api_key=KEY, base_url="URL"
        ),
        "nvidia",
        "nvidia/nv-embed-v1",
    ),
    "OllamaEmbeddings": Identity(
        _built("langchain_ollama", "OllamaEmbeddings", model="nomic-embed-text", base_url="URL"),
        "ollama",
        "nomic-embed-text",
    ),
    "TogetherEmbeddings": Identity(
        _built("langchain_together", "TogetherEmbeddings", model="BAAI/bge-base-en-v1.5", api_key=KEY, base_url="URL"),
        "together",
        "BAAI/bge-base-en-v1.5",
    ),
    "BasetenEmbeddings": Identity(
        _built("langchain_baseten", "BasetenEmbeddings", model_url="URL", api_key=KEY),
        "baseten",
        None,
    ),
}
CLASSES = {
    **CHAT,
    **{name: row._replace(operation="text_completion") for name, row in TEXT.items()},
    **{name: row._replace(operation="embeddings") for name, row in EMBEDDINGS.items()},
}


class _Refusal(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(400)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusal)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("row", CLASSES.values(), ids=CLASSES)
def test_a_class_says_who_is_asked_where_and_for_what(row, port, instrumented):
    asked = row.build(f"http://127.0.0.1:{port}")
    # Whatever its client makes of the refusal.
    with contextlib.suppress(Exception):
        asked.embed_query("Hi") if row.operation == "embeddings" else asked.invoke("Hi")

    spans = [span for span in instrumented.spans() if span.attributes["gen_ai.operation.name"] == row.operation]
    assert len(spans) == 1
    expected = {
        "gen_ai.provider.name": row.provider,
        "gen_ai.request.model": row.model,
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert {name: spans[0].attributes.get(name) for name in expected} == expected


# Class -> what else it needs, its provider, and the host that it speaks to when nobody names another one.
WELL_KNOWN = {
    "ChatOpenAI": ("langchain_openai", {"model": "m", "api_key": KEY}, "api.openai.com"),
    "OpenAIEmbeddings": ("langchain_openai", {"model": "m", "api_key": KEY}, "api.openai.com"),
    "ChatAnthropic": ("langchain_anthropic", {"model": "m", "api_key": KEY}, "api.anthropic.com"),
    "ChatGoogleGenerativeAI": (
        "langchain_google_genai",
        {"model": "m", "google_api_key": KEY},
        "generativelanguage.googleapis.com",
    ),
    "ChatBedrockConverse": (
        "langchain_aws",
        {"model": CLAUDE_ON_AWS, **AWS},
        "bedrock-runtime.us-east-1.amazonaws.com",
    ),
    "ChatMistralAI": ("langchain_mistralai", {"model": "m", "api_key": KEY}, "api.mistral.ai"),
    "ChatGroq": ("langchain_groq", {"model": "m", "api_key": KEY}, "api.groq.com"),
    "ChatCohere": ("langchain_cohere", {"model": "m", "cohere_api_key": KEY}, "api.cohere.com"),
    "ChatDeepSeek": ("langchain_deepseek", {"model": "m", "api_key": KEY}, "api.deepseek.com"),
    "ChatXAI": ("langchain_xai", {"model": "m", "api_key": KEY}, "api.x.ai"),
    "ChatPerplexity": ("langchain_perplexity", {"model": "m", "api_key": KEY}, "api.perplexity.ai"),
    "ChatOllama": ("langchain_ollama", {"model": "m"}, "127.0.0.1"),
    "ChatFireworks": ("langchain_fireworks", {"model": "m", "api_key": KEY}, "api.fireworks.ai"),
    "ChatTogether": ("langchain_together", {"model": "m", "api_key": KEY}, "api.together.xyz"),
    "ChatCerebras": ("langchain_cerebras", {"model": "m", "api_key": KEY}, "api.cerebras.ai"),
    "ChatBaseten": ("langchain_baseten", {"model": "m", "api_key": KEY}, "inference.baseten.co"),
}


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_a_class_that_nobody_gave_an_address_says_where_it_asks(name, monkeypatch):
    for variable in ("OPENAI_API_BASE", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    module, options, host = WELL_KNOWN[name]
    assert endpoint_of(_class(module, name)(**options)).address == host
