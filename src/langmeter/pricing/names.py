"""Names of providers and models as price tables spell them. Pure functions on strings."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langmeter.events import PriceMatch

# Spelled without punctuation, because LangChain, its class names, the conventions and the tables punctuate differently.
_PROVIDERS = {
    "amazon": "aws",
    "anthropicbedrock": "aws",
    "anthropicmantle": "aws",
    "anthropicvertex": "google",
    "awsbedrock": "aws",
    "azureaichatcompletionsmodel": "azure",
    "azureaiinference": "azure",
    "azureaiopenai": "azure",
    "azureaiopenaiapichatmodel": "azure",
    "azurechatopenai": "azure",
    "azureopenai": "azure",
    "cloudflareworkersai": "cloudflare",
    "copilot": "github-copilot",
    "fireworksai": "fireworks",
    "gcpgemini": "google",
    "gcpgenai": "google",
    "gcpvertexai": "google",
    "githubcopilot": "github-copilot",
    "googlegenai": "google",
    "googlevertexai": "google",
    "moonshot": "moonshotai",
    "openaicodex": "openai",
    "openaimantle": "aws",
    "togetherai": "together",
    "voyage": "voyageai",
    "xai": "x-ai",
    "zhipu": "zhipuai",
} | {
    name: name
    for name in (
        *(
            "anthropic",
            "arcee",
            "aws",
            "azure",
            "baseten",
            "cerebras",
            "cloudflare",
            "cohere",
            "databricks",
            "deepseek",
        ),
        *("fireworks", "google", "groq", "minimax", "mistral", "moonshotai", "novita", "openai", "openrouter"),
        *("ovhcloud", "perplexity", "together", "voyageai", "zai", "zhipuai"),
    )
}
_PROVIDER_PREFIXES = (
    ("amazonbedrock", "aws"),
    ("bedrock", "aws"),
    ("gemini", "google"),
    ("google", "google"),
    ("mistral", "mistral"),
    ("vertex", "google"),
)
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
# `ChatGroq`, `BedrockLLM`, `MoonshotChat`: what LangChain's classes add to the name of the provider.
_CLASS_NAME = re.compile(r"^(?:chat)?(.+?)(?:chat|llm|embeddings)?$")
# Most particular first: `bedrock-runtime.us-east-1.amazonaws.com` is found by its beginning and its end.
_ENDPOINTS = (
    (re.compile(r"^bedrock[\w-]*\..*(?:amazonaws\.com|\.api\.aws)$"), "aws"),
    (
        re.compile(
            r"(?:^|\.)(?:openai\.azure\.com|azure-api\.net|cognitiveservices\.azure\.com|services\.ai\.azure\.com)$"
        ),
        "azure",
    ),
    (re.compile(r"(?:^|[.-])(?:aiplatform|generativelanguage)\.googleapis\.com$"), "google"),
    (re.compile(r"\.(?:cloud\.databricks\.com|azuredatabricks\.net|gcp\.databricks\.com)$"), "databricks"),
)
_HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cloudflare.com": "cloudflare",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.githubcopilot.com": "github-copilot",
    "api.groq.com": "groq",
    "api.minimax.io": "minimax",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.novita.ai": "novita",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyageai",
    "api.x.ai": "x-ai",
    "api.z.ai": "zai",
    "inference.baseten.co": "baseten",
    "open.bigmodel.cn": "zhipuai",
    "openrouter.ai": "openrouter",
}


@functools.lru_cache(maxsize=512)
def price_provider(name: str) -> str:
    """The price table's id for a LangChain provider or class name, or a `gen_ai.provider.name`; unknown names as they are.

    A name is never matched by a part of it: `my_openai_proxy` is not OpenAI.
    """
    plain = _PUNCTUATION.sub("", name.lower())
    core = _CLASS_NAME.sub(r"\1", plain)
    for spelling in (plain, core):
        if spelling in _PROVIDERS:
            return _PROVIDERS[spelling]
        for prefix, provider in _PROVIDER_PREFIXES:
            if spelling.startswith(prefix):
                return provider
    return name.strip().lower()


@functools.lru_cache(maxsize=1_024)
def endpoint_provider(provider: str, host: str | None) -> str:
    """Who bills a request: the provider whose address it goes to, else the one that the class names.

    LangChain's OpenAI classes speak to whoever offers OpenAI's interface, and not at OpenAI's prices.

    Args:
        provider: a LangChain provider name or a `gen_ai.provider.name`; the answer where the host tells nothing.
        host: of the configured endpoint.
    """
    if host is None:
        return provider
    host = host.lower()
    found = _HOSTS.get(host) or next((billing for pattern, billing in _ENDPOINTS if pattern.search(host)), None)
    # The conventions' own names are kept where they mean the same.
    return provider if found is None or price_provider(provider) == found else found


def clean_model(name: str) -> str:
    """A model name without the path that Google's APIs put before it. Bedrock's regions and ARNs decide prices and stay."""
    name = name.strip()
    if "publishers/" in name and "/models/" in name:
        return name.rpartition("/models/")[2]
    return name.removeprefix("models/")


_ARN = re.compile(r"^arn:[\w-]+:bedrock:[\w-]*:\d*:([\w-]+)/(.+)$", re.IGNORECASE)


def listed_model(name: str) -> str | None:
    """The name under which a table would list a model; None for an ARN that hides which model it is.

    The ARN of a foundation model or of a system-defined inference profile ends with the model's name. Those of application
    profiles, routers and provisioned, custom or imported models do not, or are billed by other prices.
    """
    if not name.lower().startswith("arn:"):
        return name
    arn = _ARN.match(name)
    if arn is None:
        return None
    kind, resource = arn.groups()
    return resource if kind.lower() in {"foundation-model", "inference-profile"} else None


# `us.anthropic.…`, `regional.anthropic.…`; `global.` has prices of its own and is no mere spelling.
_GEOGRAPHY = re.compile(r"^(?!global\.)[a-z]{2,8}(?:-gov)?\.(?=[a-z0-9]+\.)")
_SUFFIX = re.compile(
    r"""[-@:]?(?:
        (?<=[-@:])\d{8} | (?<=[-@:])\d{4}-\d{2}-\d{2} | (?<=-)\d{2}-\d{4} | (?<=-)\d{4} | (?<=-)00\d
        | (?<=-)(?:preview|exp)-\d{2}-(?:\d{2}|\d{4}) | (?<=[-:@])latest | (?<=[-:])v\d+(?::\d+)?
    )$""",
    re.VERBOSE,
)


def _canonical(name: str) -> str:
    """A name without what providers add to the same model: ARN, region, fine-tune owner, date, version."""
    name = name.lower()
    if name.startswith("arn:"):
        name = name.rpartition("/")[2]
    if name.startswith("ft:"):
        name = "ft:" + name[3:].partition(":")[0]
    name = _GEOGRAPHY.sub("", name).replace(".", "-")
    shorter = _SUFFIX.sub("", name)
    while shorter and shorter != name:
        name, shorter = shorter, _SUFFIX.sub("", shorter)
    return name.rstrip("-@:")


def match_kind(requested: str, found: str, *, listed: bool) -> PriceMatch:
    """How well a table's model fits the name asked for.

    Args:
        requested: the model name of the call.
        found: the id of the table's model.
        listed: whether the table names `requested` literally, as opposed to a rule on prefixes that it happens to meet.
    """
    if requested.lower() == found.lower():
        return "exact"
    if _canonical(requested) == _canonical(found):
        return "dated"
    return "exact" if listed else "loose"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`: by common beginning and end, which is where model names keep family and size.

    A few microseconds for a hundred names, where an edit distance takes milliseconds.
    """
    best, best_score = None, 2
    name = name.lower()
    for candidate in known:
        other = candidate.lower()
        start = _common_start(name, other)
        end = min(_common_start(name[::-1], other[::-1]), len(name) - start, len(other) - start)
        score = 2 * (start + end) - abs(len(name) - len(other)) if start > 1 else 0
        if score > best_score:
            best, best_score = candidate, score
    return best


def _common_start(one: str, other: str) -> int:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
