"""Which provider a class of embeddings speaks to, by the table of the GenAI conventions, and what is read off an object."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_openai import AzureOpenAIEmbeddings, OpenAIEmbeddings

from langmeter.events import ModelRequest
from langmeter.langchain.embedding_requests import embeddings_request
from langmeter.langchain.providers import Directory, Endpoint, embeddings_provider, provider_name


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [
        ("OpenAIEmbeddings", "openai"),
        ("AzureOpenAIEmbeddings", "azure.ai.openai"),
        ("AzureAIEmbeddingsModel", "azure.ai.inference"),
        ("AzureAIOpenAIApiEmbeddingsModel", "azure.ai.openai"),
        ("BedrockEmbeddings", "aws.bedrock"),
        ("SagemakerEndpointEmbeddings", "aws.sagemaker"),
        ("VertexAIEmbeddings", "gcp.vertex_ai"),
        ("GoogleGenerativeAIEmbeddings", "gcp.gen_ai"),
        ("MistralAIEmbeddings", "mistral_ai"),
        ("CohereEmbeddings", "cohere"),
        ("WatsonxEmbeddings", "ibm.watsonx.ai"),
        ("PerplexityEmbeddings", "perplexity"),
        ("OllamaEmbeddings", "ollama"),
        ("FireworksEmbeddings", "fireworks"),
        ("TogetherEmbeddings", "together"),
        ("NVIDIAEmbeddings", "nvidia"),
        ("HuggingFaceEmbeddings", "huggingface"),
        ("HuggingFaceEndpointEmbeddings", "huggingface"),
        ("VoyageAIEmbeddings", "voyageai"),
        ("DatabricksEmbeddings", "databricks"),
        ("QianfanEmbeddingsEndpoint", "qianfan"),
        ("DeterministicFakeEmbedding", "deterministicfake"),
        ("Embeddings", "unknown"),
    ],
)
def test_the_table_of_embeddings_classes(class_name, expected):
    """By the name alone: a retriever says no more about its embeddings."""
    assert provider_name(None, class_name) == expected
    if class_name != "Embeddings":
        assert embeddings_provider(type(class_name, (Embeddings,), {})) == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (OpenAIEmbeddings, "openai"),
        (AzureOpenAIEmbeddings, "azure.ai.openai"),
        (DeterministicFakeEmbedding, "deterministicfake"),
    ],
)
def test_a_subclass_speaks_to_the_provider_of_its_base(base, expected):
    class CompanyWide(base):
        pass

    assert embeddings_provider(CompanyWide) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("europe-west4-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("proxy.example.com", "gcp.gen_ai"),
    ],
)
def test_google_is_told_by_its_endpoint(host, expected):
    cls = type("GoogleGenerativeAIEmbeddings", (Embeddings,), {})
    assert embeddings_provider(cls, Endpoint(host, 443)) == expected


def test_an_azure_deployment_is_known():
    model = AzureOpenAIEmbeddings(
        azure_deployment="embed-eu", azure_endpoint="https://acme.openai.azure.com", api_version="1", api_key="none"
    )
    assert (
        embeddings_request(model, {}, Directory())
        == ModelRequest(
            "embeddings",
            "azure.ai.openai",
            "text-embedding-ada-002",  # what LangChain sends where only the deployment is given; the answer names the true one
            "acme.openai.azure.com",
            443,
            deployment="embed-eu",
        )
    )


def test_an_object_with_values_of_any_kind():
    class Odd(Embeddings):
        def __init__(self):
            self.model = object()
            self.model_name = "x" * 1_000
            self.dimensions = "many"
            self.embedding_types = [1, "float", ""]
            self.base_url = 7

        def embed_documents(self, texts):
            return []

        def embed_query(self, text):
            return []

    request = embeddings_request(Odd(), {"dimensions": True, "model": None}, Directory())
    assert request == ModelRequest("embeddings", "odd", parameters=(("gen_ai.request.encoding_formats", ("float",)),))


def test_an_object_whose_attributes_raise():
    class Raising(Embeddings):
        @property
        def model(self):
            raise RuntimeError("no code of a model is run")

        def embed_documents(self, texts):
            return []

        def embed_query(self, text):
            return []

    assert embeddings_request(Raising(), {}, Directory()) == ModelRequest("embeddings", "raising")
