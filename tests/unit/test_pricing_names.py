"""Names of providers and models, as LangChain, its classes, the conventions and the addresses spell them."""

import pytest

from langmeter.pricing.names import endpoint_provider, listed_model, price_provider

CLASSES = {
    "ChatOpenAI": "openai",
    "AzureChatOpenAI": "azure",
    "azurechatopenai": "azure",
    "AzureOpenAI": "azure",
    "ChatAnthropic": "anthropic",
    "ChatAnthropicVertex": "google",
    "anthropicvertex": "google",
    "ChatAnthropicBedrock": "aws",
    "ChatBedrockConverse": "aws",
    "BedrockLLM": "aws",
    "openai-mantle": "aws",
    "ChatGoogleGenerativeAI": "google",
    "ChatVertexAI": "google",
    "VertexAIModelGarden": "google",
    "ChatMistralAI": "mistral",
    "ChatGroq": "groq",
    "ChatXAI": "x-ai",
    "x-ai": "x-ai",
    "MoonshotChat": "moonshotai",
    "ChatTogether": "together",
    "ChatFireworks": "fireworks",
    "fireworks-ai": "fireworks",
    "ChatPerplexity": "perplexity",
    "ChatDeepSeek": "deepseek",
    "ChatOpenRouter": "openrouter",
    "ChatDatabricks": "databricks",
    "ChatCloudflareWorkersAI": "cloudflare",
    "cloudflare_workersai": "cloudflare",
    "ChatZhipuAI": "zhipuai",
    "z.ai": "zai",
    "ZAI": "zai",
    "github_copilot": "github-copilot",
    " OpenAI ": "openai",
    # Unknown to the table, or known to it under exactly this name.
    "ChatOllama": "chatollama",
    "azure_ai": "azure_ai",
    "azureml": "azureml",
    "my_openai_proxy": "my_openai_proxy",
    "openai-decisions": "openai-decisions",
    "huggingface_groq": "huggingface_groq",
    "chat": "chat",
    "???": "???",
    "": "",
}


@pytest.mark.parametrize(("name", "expected"), CLASSES.items())
def test_a_provider_is_known_by_every_spelling_and_never_by_a_part(name, expected):
    assert price_provider(name) == expected


HOSTS = {
    "api.openai.com": "openai",
    "eu.api.openai.com": "openai",
    "api.groq.com": "groq",
    "API.Groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x-ai",
    "acme.openai.azure.com": "azure",
    "acme.services.ai.azure.com": "azure",
    "bedrock-runtime.eu-central-1.amazonaws.com": "aws",
    "bedrock-mantle.us-east-1.api.aws": "aws",
    "europe-west1-aiplatform.googleapis.com": "google",
    "aiplatform.googleapis.com": "google",
    "generativelanguage.googleapis.com": "google",
    "acme.cloud.databricks.com": "databricks",
    # A proxy of one's own says nothing about who bills, and neither does a host that only looks like a known one.
    "localhost": "openai",
    "llm.acme.example": "openai",
    "not-openrouter.ai": "openai",
    "openrouter.ai.acme.example": "openai",
    "openai.azure.com.acme.example": "openai",
    "s3.amazonaws.com": "openai",
    None: "openai",
}


@pytest.mark.parametrize(("host", "expected"), HOSTS.items())
def test_openais_classes_are_billed_by_whom_they_speak_to(host, expected):
    assert endpoint_provider("openai", host) == expected


def test_a_known_address_keeps_the_name_that_means_the_same():
    assert endpoint_provider("gcp.gemini", "generativelanguage.googleapis.com") == "gcp.gemini"
    assert endpoint_provider("aws.bedrock", "bedrock-runtime.us-east-1.amazonaws.com") == "aws.bedrock"
    assert endpoint_provider("anthropic", "api.deepseek.com") == "deepseek"


ARN = "arn:aws:bedrock:us-east-1:123456789012"
MODELS = {
    "gpt-4o": "gpt-4o",
    "us.anthropic.claude-haiku-5-v1:0": "us.anthropic.claude-haiku-5-v1:0",
    "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0": "amazon.nova-pro-v1:0",
    "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/amazon.nova-pro-v1:0": "amazon.nova-pro-v1:0",
    f"{ARN}:inference-profile/us.amazon.nova-pro-v1:0": "us.amazon.nova-pro-v1:0",
    f"{ARN}:application-inference-profile/a1b2c3d4e5f6": None,
    f"{ARN}:provisioned-model/a1b2c3d4e5f6": None,
    f"{ARN}:custom-model/amazon.nova-pro-v1:0:300k/a1b2c3d4e5f6": None,
    f"{ARN}:imported-model/a1b2c3d4e5f6": None,
    f"{ARN}:default-prompt-router/anthropic.claude:1": None,
    "arn:aws:sagemaker:us-east-1:123456789012:endpoint/chat": None,
    "arn:nonsense": None,
}


@pytest.mark.parametrize(("name", "expected"), MODELS.items())
def test_an_arn_names_a_model_or_hides_it(name, expected):
    assert listed_model(name) == expected
