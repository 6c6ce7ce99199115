"""Where we deviate from the tables, and why. Each must still be true: one that no longer occurs fails its scenarios."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple


class Deviation(NamedTuple):
    scenarios: tuple[str, ...]
    """Patterns of `scenario/shape/mode`, in each of which it must occur."""
    violation: str
    """A pattern of the violation's text."""
    reason: str


_TEXT = "span text_completion *: "
_EMBEDDINGS = "span embeddings *: "
_STREAMS = (
    "streaming/*",
    "agent, streamed/*",
    "agent executor/*",
    "chain with a name, streamed/*",
    "workflow, streamed/*",
)

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        _STREAMS,
        "span chat *: gen_ai.response.id is missing (expected)",
        "langchain-openai and langchain-anthropic drop the id of a stream, and langchain-core puts the run's in its place",
    ),
    Deviation(
        ("text completion/*", "text completion, streamed/*", "text completion, batch/*", "text cache hit and miss/*"),
        f"{_TEXT}gen_ai.response.id is missing (expected)",
        "langchain-openai drops the id of a text completion",
    ),
    Deviation(
        ("text completion, streamed/*",),
        f"{_TEXT}gen_ai.response.model is missing (expected)",
        "langchain-openai drops the model of a streamed text completion",
    ),
    Deviation(
        ("text completion, streamed/*",),
        f"{_TEXT}gen_ai.usage.*_tokens is missing (expected)",
        "langchain-openai asks for no usage in streamed text completions; what they cost is an estimate, and marked",
    ),
    Deviation(
        ("text completion, batch/*",),
        f"{_TEXT}gen_ai.usage.*_tokens is missing (expected)",
        "the usage of a whole batch is on its first span, where LangChain puts it: nobody knows how it divides",
    ),
    Deviation(
        ("text completion, batch/*",),
        f"{_TEXT}langchain.* is missing (expected)",
        "what a batch costs is on its first span, like its usage",
    ),
    Deviation(
        ("text cache hit and miss/*",),
        f"{_TEXT}gen_ai.response.model is missing (expected)",
        "the response cache stores the text of a completion, and not who wrote it",
    ),
    Deviation(
        ("embeddings/*", "embeddings with a store/*", "retrieval from a vector store/*"),
        f"{_EMBEDDINGS}gen_ai.request.encoding_formats is missing (expected)",
        "the client of the provider chooses the format; LangChain's classes have no setting for it",
    ),
    Deviation(
        ("embeddings with a store/*", "retrieval from a vector store/*"),
        f"{_EMBEDDINGS}gen_ai.embeddings.dimension.count is missing (expected)",
        "the application asked for no number of dimensions, and what was not asked for is not in the request",
    ),
    Deviation(
        ("embeddings with a store/*",),
        f"{_EMBEDDINGS}gen_ai.response.model is missing (expected)",
        "a store keeps vectors, and not who made them",
    ),
    Deviation(
        ("stream left by its reader/*",),
        "span chat *: gen_ai.response.id is missing (expected)",
        "as for every stream",
    ),
    Deviation(
        ("stream left by its reader/openai/*",),
        "span chat *: gen_ai.response.model is missing (expected)",
        "langchain-openai tells the model with the last chunk, which the reader did not wait for",
    ),
    Deviation(
        ("stream left by its reader/*",),
        "span chat *: gen_ai.usage.*_tokens is missing (expected)",
        "the provider sends the usage last, and the reader did not wait for it; what was read is estimated, and marked",
    ),
)


def undocumented(run: str, violations: list[str]) -> list[str]:
    """What a run violates without a reason, and the reasons that no longer hold for it."""
    mine = [row for row in DEVIATIONS if any(fnmatchcase(run, pattern) for pattern in row.scenarios)]
    faults = [text for text in violations if not any(fnmatchcase(text, row.violation) for row in mine)]
    for row in mine:
        if not any(fnmatchcase(text, row.violation) for text in violations):
            faults.append(f"no longer deviates, take it off the list: {row.violation} ({row.reason})")
    return faults
