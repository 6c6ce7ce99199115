"""Which LangChain class makes a recorded request, and with which options.

One row of `_ROUTES` per API; a partner package is imported only when a recording needs it.
"""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from langchain_core.language_models import BaseChatModel, BaseLanguageModel
from langchain_core.prompt_values import StringPromptValue

from langmeter.demo import replay_messages
from langmeter.errors import LangmeterError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_core.messages import BaseMessage

Options: TypeAlias = dict[str, Any]

_KEY = "replayed"
_AZURE_API_VERSION = "2025-04-01-preview"

# Told to the class in another way.
_SPOKEN_FOR = frozenset(
    {"model", "messages", "input", "prompt", "contents", "system", "stream", "stream_options", "output_format"}
)
# Options of one call rather than of a model.
_PER_CALL = frozenset({"tools", "tool_choice", "functions", "function_call", "response_format", "stop", "text"})
# `metadata`, `name` and the like mean something of LangChain's own there, and change no answer.
_LANGCHAIN_OWN = frozenset(BaseChatModel.model_fields)


class Unsupported(LangmeterError):  # noqa: N818  (a fact about a recording rather than an error)
    """No installed LangChain class can make a recorded request; the message says why."""


class Recorded(NamedTuple):
    """The request of one exchange, and where to send it again."""

    request: Options
    base_url: str
    """Of this exchange, without the provider's own path."""
    streaming: bool


class Replay(NamedTuple):
    """One prepared request. Running it raises whatever the class raises."""

    model: BaseLanguageModel[Any]
    prompt: str | list[str] | list[BaseMessage]
    options: Options
    streaming: bool

    def run(self) -> Any:
        """The whole answer as LangChain gives it; a streamed one is read to its end and added up."""
        if prompts := self._prompts:
            return self.model.generate_prompt(prompts, **self.options)
        if self.streaming:
            return _total(self.model.stream(self.prompt, **self.options))
        return self.model.invoke(self.prompt, **self.options)

    async def arun(self) -> Any:
        """As `run`, through the asynchronous methods."""
        if prompts := self._prompts:
            return await self.model.agenerate_prompt(prompts, **self.options)
        if self.streaming:
            return await _atotal(self.model.astream(self.prompt, **self.options))
        return await self.model.ainvoke(self.prompt, **self.options)

    @property
    def _prompts(self) -> list[Any]:
        """The prompts of a text-model request that carries several; else none."""
        parts = [] if isinstance(self.prompt, str) else self.prompt
        return [StringPromptValue(text=part) for part in parts if isinstance(part, str)]


def _total(chunks: Iterator[Any]) -> Any:
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


async def _atotal(chunks: AsyncIterator[Any]) -> Any:
    total = None
    async for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def prepare(provider: str, endpoint: str, recorded: Recorded) -> Replay:
    """The LangChain model and input for one recorded request.

    Raises:
        Unsupported: no installed LangChain class can make the request.
    """
    for known_provider, ending, class_path, builder in _ROUTES:
        if known_provider in {provider, None} and endpoint.endswith(ending):
            present = {name: value for name, value in recorded.request.items() if value is not None}
            return builder(_named(class_path), recorded._replace(request=present))
    raise Unsupported(f"no installed LangChain class calls {endpoint} of {provider}")


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise Unsupported(f"{name} is not there: install {error.name or module}") from error


def _divide(model_class: Any, request: Options) -> tuple[Options, Options]:
    """What the class takes when it is built, and what goes with the call."""
    fields = model_class.model_fields
    names = (set(fields) | {field.alias for field in fields.values() if field.alias}) - _PER_CALL
    wanted = {name: value for name, value in request.items() if name not in _SPOKEN_FOR | _LANGCHAIN_OWN}
    built = {name: value for name, value in wanted.items() if name in names}
    return built, {name: value for name, value in wanted.items() if name not in names}


def _known_to(client: str, options: Options) -> Options:
    """Options that the provider's client has a parameter for stay; the others travel in the body as they are."""
    known = inspect.signature(_named(client).create).parameters
    extra = {name: value for name, value in options.items() if name not in known}
    return {name: value for name, value in options.items() if name in known} | ({"extra_body": extra} if extra else {})


def _openai_model(model_class: Any, recorded: Recorded, options: Options) -> BaseLanguageModel[Any]:
    """Any class of langchain-openai, for OpenAI, for Azure, or for a service that speaks OpenAI's API."""
    place: Options = {"base_url": f"{recorded.base_url}/v1"}
    if model_class.__name__.startswith("Azure"):
        place = {"azure_endpoint": recorded.base_url, "api_version": _AZURE_API_VERSION}
    model: BaseLanguageModel[Any] = model_class(
        model=recorded.request.get("model", "unknown"), api_key=_KEY, max_retries=0, **place, **options
    )
    return model


def _openai_chat(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    include_usage = (recorded.request.get("stream_options") or {}).get("include_usage")
    if include_usage is not None:
        built["stream_usage"] = include_usage
    model = _openai_model(model_class, recorded, built)
    known = _known_to("openai.resources.chat.completions:Completions", options)
    if "response_format" in known and any(
        not tool.get("function", {}).get("strict") for tool in known.get("tools", ())
    ):
        # As an argument it would make the client parse the answer, which it refuses to do with tools that are not strict.
        known["extra_body"] = {**known.get("extra_body", {}), "response_format": known.pop("response_format")}
    return Replay(model, replay_messages.chat_messages(recorded.request), known, recorded.streaming)


def _openai_responses(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    if "max_output_tokens" in options:
        built["max_tokens"] = options.pop("max_output_tokens")
    model = _openai_model(model_class, recorded, {**built, "use_responses_api": True})
    known = _known_to("openai.resources.responses:Responses", options)
    return Replay(model, replay_messages.responses_messages(recorded.request), known, recorded.streaming)


def _openai_text(model_class: Any, recorded: Recorded) -> Replay:
    prompt = recorded.request.get("prompt", "")
    single = prompt[0] if isinstance(prompt, list) and len(prompt) == 1 else prompt
    if not isinstance(single, str) and not all(isinstance(part, str) for part in single):
        raise Unsupported("LangChain's text models send prompts as text; this one is made of token numbers")
    if recorded.streaming and not isinstance(single, str):
        raise Unsupported("LangChain's text models stream one prompt at a time; this request has several")
    built, options = _divide(model_class, recorded.request)
    return Replay(_openai_model(model_class, recorded, built), single, options, recorded.streaming)


def _anthropic(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    if "output_format" in recorded.request:  # its name while the feature was in beta
        built["output_config"] = {**built.get("output_config", {}), "format": recorded.request["output_format"]}
    model = model_class(
        model=recorded.request["model"], api_key=_KEY, max_retries=0, base_url=recorded.base_url, **built
    )
    known = _known_to("anthropic.resources.messages:Messages", options)
    return Replay(model, replay_messages.anthropic_messages(recorded.request), known, recorded.streaming)


def _groq(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    model = model_class(
        model=recorded.request["model"], api_key=_KEY, max_retries=0, base_url=recorded.base_url, **built
    )
    known = _known_to("groq.resources.chat.completions:Completions", options)
    return Replay(model, replay_messages.chat_messages(recorded.request), known, recorded.streaming)


def _mistral(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    endpoint = f"{recorded.base_url}/v1"
    model = model_class(model=recorded.request["model"], api_key=_KEY, max_retries=0, endpoint=endpoint, **built)
    return Replay(model, replay_messages.chat_messages(recorded.request), options, recorded.streaming)


def _cohere(model_class: Any, recorded: Recorded) -> Replay:
    built, options = _divide(model_class, recorded.request)
    model = model_class(model=recorded.request["model"], cohere_api_key=_KEY, base_url=recorded.base_url, **built)
    options["request_options"] = {"max_retries": 0}
    return Replay(model, replay_messages.chat_messages(recorded.request), options, recorded.streaming)


def _ollama(model_class: Any, recorded: Recorded) -> Replay:
    # Its sampling parameters lie in a dictionary of their own, and empty values mean nothing.
    flat = {**recorded.request, **recorded.request.get("options", {})}
    built, options = _divide(model_class, {k: v for k, v in flat.items() if k != "options" and v not in ("", [])})
    model = model_class(model=recorded.request["model"], base_url=recorded.base_url, **built)
    prompt = recorded.request.get("prompt") or replay_messages.chat_messages(recorded.request)
    return Replay(model, prompt, options, recorded.streaming)


_GEMINI_NAMES = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_output_tokens",
    "candidateCount": "n",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseModalities": "response_modalities",
}


def _gemini(model_class: Any, recorded: Recorded) -> Replay:
    request = recorded.request
    settings = request.get("generationConfig", {})
    built = {_GEMINI_NAMES[name]: value for name, value in settings.items() if name in _GEMINI_NAMES}
    # The API names the model in its path, which a recording may not have kept.
    name = str(request.get("model", "gemini")).removeprefix("models/")
    model = model_class(model=name, google_api_key=_KEY, max_retries=1, base_url=recorded.base_url, **built)
    options: Options = {"tools": request["tools"]} if request.get("tools") else {}
    if settings.get("stopSequences"):
        options["stop"] = settings["stopSequences"]
    return Replay(model, replay_messages.gemini_messages(request), options, recorded.streaming)


class _Route(NamedTuple):
    provider: str | None
    """None fits every provider."""
    endpoint_ending: str
    model_class: str
    builder: Callable[[Any, Recorded], Replay]


# The first row that fits wins, so a provider's own class stands before those for everything that speaks OpenAI's API.
_ROUTES: tuple[_Route, ...] = (
    _Route("azure.ai.openai", "/chat/completions", "langchain_openai:AzureChatOpenAI", _openai_chat),
    _Route("azure.ai.openai", "/responses", "langchain_openai:AzureChatOpenAI", _openai_responses),
    _Route("azure.ai.openai", "/completions", "langchain_openai:AzureOpenAI", _openai_text),
    _Route("anthropic", "/messages", "langchain_anthropic:ChatAnthropic", _anthropic),
    _Route("groq", "/chat/completions", "langchain_groq:ChatGroq", _groq),
    _Route("mistral_ai", "/chat/completions", "langchain_mistralai:ChatMistralAI", _mistral),
    _Route("cohere", "/v2/chat", "langchain_cohere:ChatCohere", _cohere),
    _Route("ollama", "/api/chat", "langchain_ollama:ChatOllama", _ollama),
    _Route("ollama", "/api/generate", "langchain_ollama:OllamaLLM", _ollama),
    _Route("gcp.gemini", "enerateContent", "langchain_google_genai:ChatGoogleGenerativeAI", _gemini),
    _Route("gcp.gen_ai", "enerateContent", "langchain_google_genai:ChatGoogleGenerativeAI", _gemini),
    _Route(None, "/chat/completions", "langchain_openai:ChatOpenAI", _openai_chat),
    _Route(None, "/responses", "langchain_openai:ChatOpenAI", _openai_responses),
    _Route(None, "/completions", "langchain_openai:OpenAI", _openai_text),
)
