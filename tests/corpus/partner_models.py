"""Every LangChain integration that installs beside the others, built against an address of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel, BaseLanguageModel

_KEY = "no-key"
_AWS = {"region_name": "us-east-1", "aws_access_key_id": _KEY, "aws_secret_access_key": _KEY}


def _class(module: str, name: str) -> Any:
    return getattr(pytest.importorskip(module, reason=f"{module} is in the `test` extra"), name)


def _with_key(module: str, name: str, model: str, **options: Any) -> BaseChatModel:
    """A chat model of the many classes that take a key and a number of retries by these names."""
    return _class(module, name)(model=model, api_key=_KEY, max_retries=0, **options)


def openai(url: str, **options: Any) -> BaseChatModel:
    # With an address of one's own, langchain-openai asks for no usage in streams unless it is told to.
    return _with_key("langchain_openai", "ChatOpenAI", "gpt-5", base_url=url, stream_usage=True, **options)


def openai_responses(url: str) -> BaseChatModel:
    return openai(url, use_responses_api=True)


def azure(url: str) -> BaseChatModel:
    return _class("langchain_openai", "AzureChatOpenAI")(
        azure_deployment="chat-eu", azure_endpoint=url, api_version="2025-04-01-preview", api_key=_KEY, max_retries=0
    )


def anthropic(url: str) -> BaseChatModel:
    return _with_key("langchain_anthropic", "ChatAnthropic", "claude-sonnet-4-5", base_url=url)


def gemini(url: str) -> BaseChatModel:
    return _class("langchain_google_genai", "ChatGoogleGenerativeAI")(
        model="gemini-2.5-flash", google_api_key=_KEY, base_url=url, max_retries=1
    )


def converse(url: str) -> BaseChatModel:
    return _class("langchain_aws", "ChatBedrockConverse")(
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0", endpoint_url=url, **_AWS
    )


def bedrock(url: str) -> BaseChatModel:
    return _class("langchain_aws", "ChatBedrock")(
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0", endpoint_url=url, **_AWS
    )


def bedrock_text(url: str) -> BaseLanguageModel[Any]:
    return _class("langchain_aws", "BedrockLLM")(model="meta.llama3-3-70b-instruct-v1:0", endpoint_url=url, **_AWS)


def mistral(url: str) -> BaseChatModel:
    return _with_key("langchain_mistralai", "ChatMistralAI", "mistral-large-2512", endpoint=url)


def groq(url: str, **options: Any) -> BaseChatModel:
    return _with_key("langchain_groq", "ChatGroq", "openai/gpt-oss-120b", base_url=url, **options)


def groq_flex(url: str) -> BaseChatModel:
    return groq(url, service_tier="flex")


def cohere(url: str) -> BaseChatModel:
    return _class("langchain_cohere", "ChatCohere")(model="command-a-03-2025", cohere_api_key=_KEY, base_url=url)


def ollama(url: str) -> BaseChatModel:
    return _class("langchain_ollama", "ChatOllama")(model="llama3.1:8b", base_url=url)


def xai(url: str) -> BaseChatModel:
    return _with_key("langchain_xai", "ChatXAI", "grok-4", xai_api_base=url)


def deepseek(url: str) -> BaseChatModel:
    return _with_key("langchain_deepseek", "ChatDeepSeek", "deepseek-chat", api_base=url)


def fireworks(url: str) -> BaseChatModel:
    return _with_key("langchain_fireworks", "ChatFireworks", "accounts/fireworks/models/kimi-k2p5", base_url=url)


def together(url: str) -> BaseChatModel:
    return _with_key("langchain_together", "ChatTogether", "meta-llama/Llama-3.3-70B-Instruct-Turbo", base_url=url)


def perplexity(url: str) -> BaseChatModel:
    chat = _class("langchain_perplexity", "ChatPerplexity")
    client = _class("perplexity", "Perplexity")(api_key=_KEY, base_url=url, max_retries=0)
    return chat(model="sonar-deep-research", api_key=_KEY, client=client, timeout=10)


def nvidia(url: str) -> BaseChatModel:
    return _class("langchain_nvidia_ai_endpoints", "ChatNVIDIA")(
        model="meta/llama-3.1-8b-instruct", api_key="nvapi-no-key", base_url=url
    )


def cerebras(url: str) -> BaseChatModel:
    return _with_key("langchain_cerebras", "ChatCerebras", "llama-3.3-70b", base_url=url)


def baseten(url: str) -> BaseChatModel:
    return _with_key("langchain_baseten", "ChatBaseten", "deepseek-ai/DeepSeek-V3.1", base_url=url)


def huggingface(url: str) -> BaseChatModel:
    endpoint = _class("langchain_huggingface", "HuggingFaceEndpoint")(endpoint_url=url, huggingfacehub_api_token=_KEY)
    return _class("langchain_huggingface", "ChatHuggingFace")(
        llm=endpoint, model_id="meta-llama/Llama-3.3-70B-Instruct"
    )
