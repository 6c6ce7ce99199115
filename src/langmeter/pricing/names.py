"""Names of providers and models as price tables spell them. Pure functions on strings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langmeter.events import PriceMatch

_PROVIDERS = {
    "amazon": "aws",
    "anthropic-bedrock": "aws",
    "anthropic-mantle": "aws",
    "anthropic_bedrock": "aws",
    "aws.bedrock": "aws",
    "openai-mantle": "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azureaichatcompletionsmodel": "azure",
    "azure-openai": "azure",
    "azure_openai": "azure",
    "cloudflare_workers_ai": "cloudflare",
    "cloudflare_workersai": "cloudflare",
    "copilot": "github-copilot",
    "github_copilot": "github-copilot",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "moonshot": "moonshotai",
    "moonshot-ai": "moonshotai",
    "moonshot_ai": "moonshotai",
    "together-ai": "together",
    "together_ai": "together",
    "togetherai": "together",
    "voyage": "voyageai",
    "voyage_ai": "voyageai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "z_ai": "zai",
    "z.ai": "zai",
    "zhipu": "zhipuai",
    "zhipu_ai": "zhipuai",
}
_PROVIDER_PREFIXES = (
    ("amazon_bedrock", "aws"),
    ("amazon-bedrock", "aws"),
    ("bedrock", "aws"),
    ("gcp.", "google"),
    ("gemini", "google"),
    ("google", "google"),
    ("mistral", "mistral"),
    ("vertex", "google"),
)


def price_provider(name: str) -> str:
    """The price table's id for a LangChain provider name or a `gen_ai.provider.name`; unknown names as they are."""
    name = name.strip().lower()
    if name in _PROVIDERS:
        return _PROVIDERS[name]
    for prefix, provider in _PROVIDER_PREFIXES:
        if name.startswith(prefix):
            return provider
    return name


def clean_model(name: str) -> str:
    """A model name without the path that Google's APIs put before it. Bedrock's regions and ARNs decide prices and stay."""
    name = name.strip()
    if "publishers/" in name and "/models/" in name:
        return name.rpartition("/models/")[2]
    return name.removeprefix("models/")


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
