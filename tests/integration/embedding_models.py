"""Real embeddings classes of LangChain's partner packages, built against an address of this machine."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_openai import AzureOpenAIEmbeddings, OpenAIEmbeddings

_KEY = "no-key"


def openai(url: str, **options: Any) -> OpenAIEmbeddings:
    given = {"model": "text-embedding-3-small", "max_retries": 0, **options}
    # With an own address the texts go as they are: no tokenizer table is looked for.
    return OpenAIEmbeddings(api_key=_KEY, base_url=f"{url}/v1", check_embedding_ctx_length=False, **given)


def azure(url: str, **options: Any) -> AzureOpenAIEmbeddings:
    return AzureOpenAIEmbeddings(
        azure_deployment="embed-eu",
        azure_endpoint=url,
        api_version="2025-04-01-preview",
        api_key=_KEY,
        model="text-embedding-3-large",
        check_embedding_ctx_length=False,
        **options,
    )


def mistral(url: str) -> Any:
    pytest.importorskip("langchain_mistralai")
    from langchain_mistralai import MistralAIEmbeddings
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))  # noqa: S106  (no password; its own one would be downloaded)
    return MistralAIEmbeddings(api_key=_KEY, endpoint=f"{url}/v1", tokenizer=tokenizer)


def cohere(url: str) -> Any:
    pytest.importorskip("langchain_cohere")
    from langchain_cohere import CohereEmbeddings

    return CohereEmbeddings(model="embed-v4.0", cohere_api_key=_KEY, base_url=url)


def ollama(url: str) -> Any:
    pytest.importorskip("langchain_ollama")
    from langchain_ollama import OllamaEmbeddings

    return OllamaEmbeddings(model="nomic-embed-text", base_url=url)


def fireworks(url: str) -> Any:
    pytest.importorskip("langchain_fireworks")
    from langchain_fireworks import FireworksEmbeddings
    from openai import OpenAI

    model = FireworksEmbeddings(model="nomic-ai/nomic-embed-text-v1.5", api_key=_KEY)
    model.client = OpenAI(api_key=_KEY, base_url=f"{url}/v1")  # the class knows one address only
    return model


def together(url: str) -> Any:
    pytest.importorskip("langchain_together")
    from langchain_together import TogetherEmbeddings

    return TogetherEmbeddings(model="BAAI/bge-base-en-v1.5", api_key=_KEY, base_url=f"{url}/v1")


def gemini(url: str) -> Any:
    pytest.importorskip("langchain_google_genai")
    from langchain_google_genai import GoogleGenerativeAIEmbeddings

    return GoogleGenerativeAIEmbeddings(
        model="gemini-embedding-001", google_api_key=_KEY, base_url=url, output_dimensionality=2
    )


def titan(url: str) -> Any:
    return _bedrock("amazon.titan-embed-text-v2:0", url)


def cohere_on_bedrock(url: str) -> Any:
    return _bedrock("cohere.embed-english-v3", url)


def _bedrock(model: str, url: str) -> Any:
    pytest.importorskip("langchain_aws")
    from langchain_aws import BedrockEmbeddings

    return BedrockEmbeddings(
        model_id=model, endpoint_url=url, region_name="us-east-1", aws_access_key_id=_KEY, aws_secret_access_key=_KEY
    )


def nvidia(url: str) -> Any:
    pytest.importorskip("langchain_nvidia_ai_endpoints")
    from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings

    return NVIDIAEmbeddings(model="nvidia/nv-embed", base_url=f"{url}/v1", api_key=_KEY, usage_telemetry_enabled=False)


def perplexity(url: str) -> Any:
    pytest.importorskip("langchain_perplexity")
    from langchain_perplexity import PerplexityEmbeddings
    from perplexity import AsyncPerplexity, Perplexity

    client, async_client = (kind(api_key=_KEY, base_url=url) for kind in (Perplexity, AsyncPerplexity))
    return PerplexityEmbeddings(api_key=_KEY, client=client, async_client=async_client)


def huggingface(url: str) -> Any:
    pytest.importorskip("langchain_huggingface")
    from huggingface_hub import AsyncInferenceClient, InferenceClient
    from langchain_huggingface import HuggingFaceEndpointEmbeddings

    model = HuggingFaceEndpointEmbeddings(
        model="BAAI/bge-base-en-v1.5", huggingfacehub_api_token=_KEY, provider="hf-inference"
    )
    model.client = InferenceClient(base_url=f"{url}/features", token=_KEY)
    model.async_client = AsyncInferenceClient(base_url=f"{url}/features", token=_KEY)
    return model
