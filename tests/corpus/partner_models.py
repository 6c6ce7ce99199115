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


def openai(url: str, **options: Any) -> BaseChatModel:
    # With an address of one's own, langchain-openai asks for no usage in streams unless it is told to.
    return _class("langchain_openai", "ChatOpenAI")(
        model="gpt-5", api_key=_KEY, base_url=url, max_retries=0, stream_usage=True, **options
    )


def openai_responses(url: str) -> BaseChatModel:
    return openai(url, use_responses_api=True)


def azure(url: str) -> BaseChatModel:
    return _class("langchain_openai", "AzureChatOpenAI")(
        azure_deployment="chat-eu", azure_endpoint=url, api_version="2025-04-01-preview", api_key=_KEY, max_retries=0
    )


def anthropic(url: str) -> BaseChatModel:
    return _class("langchain_anthropic", "ChatAnthropic")(
        model="claude-sonnet-4-5", api_key=_KEY, base_url=url, max_retries=0
    )


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
    return _class("langchain_mistralai", "ChatMistralAI")(
        model="mistral-large-2512", api_key=_KEY, endpoint=url, max_retries=0
    )


def groq(url: str) -> BaseChatModel:
    return _class("langchain_groq", "ChatGroq")(model="openai/gpt-oss-120b", api_key=_KEY, base_url=url, max_retries=0)


def groq_flex(url: str) -> BaseChatModel:
    return _class("langchain_groq", "ChatGroq")(
        model="openai/gpt-oss-120b", api_key=_KEY, base_url=url, max_retries=0, service_tier="flex"
    )


def cohere(url: str) -> BaseChatModel:
    return _class("langchain_cohere", "ChatCohere")(model="command-a-03-2025", cohere_api_key=_KEY, base_url=url)


def ollama(url: str) -> BaseChatModel:
    return _class("langchain_ollama", "ChatOllama")(model="llama3.1:8b", base_url=url)


def xai(url: str) -> BaseChatModel:
    return _class("langchain_xai", "ChatXAI")(model="grok-4", api_key=_KEY, xai_api_base=url, max_retries=0)


def deepseek(url: str) -> BaseChatModel:
    return _class("langchain_deepseek", "ChatDeepSeek")(
        model="deepseek-chat", api_key=_KEY, api_base=url, max_retries=0
    )


def fireworks(url: str) -> BaseChatModel:
    return _class("langchain_fireworks", "ChatFireworks")(
        model="accounts/fireworks/models/kimi-k2p5", api_key=_KEY, base_url=url, max_retries=0
    )


def together(url: str) -> BaseChatModel:
    return _class("langchain_together", "ChatTogether")(
        model="meta-llama/Llama-3.3-70B-Instruct-Turbo", api_key=_KEY, base_url=url, max_retries=0
    )


def perplexity(url: str) -> BaseChatModel:
    chat = _class("langchain_perplexity", "ChatPerplexity")
    client = _class("perplexity", "Perplexity")(api_key=_KEY, base_url=url, max_retries=0)
    return chat(model="sonar-deep-research", api_key=_KEY, client=client, timeout=10)


def nvidia(url: str) -> BaseChatModel:
    return _class("langchain_nvidia_ai_endpoints", "ChatNVIDIA")(
        model="meta/llama-3.1-8b-instruct", api_key="nvapi-no-key", base_url=url
    )


def cerebras(url: str) -> BaseChatModel:
    return _class("langchain_cerebras", "ChatCerebras")(
        model="llama-3.3-70b", api_key=_KEY, base_url=url, max_retries=0
    )


def baseten(url: str) -> BaseChatModel:
    return _class("langchain_baseten", "ChatBaseten")(
        model="deepseek-ai/DeepSeek-V3.1", api_key=_KEY, base_url=url, max_retries=0
    )


def huggingface(url: str) -> BaseChatModel:
    endpoint = _class("langchain_huggingface", "HuggingFaceEndpoint")(endpoint_url=url, huggingfacehub_api_token=_KEY)
    return _class("langchain_huggingface", "ChatHuggingFace")(
        llm=endpoint, model_id="meta-llama/Llama-3.3-70B-Instruct"
    )
