"""What LangChain's own kinds of objects look like in a description: read from what is stored, never through a property."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.prompts import BasePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate
from langchain_core.runnables import (
    RunnableBinding,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from langmeter.langchain.configuration import fields, graphs
from langmeter.langchain.configuration.classes import is_component, is_of_agents, of_library
from langmeter.langchain.configuration.functions import describe_function, is_function
from langmeter.langchain.configuration.redaction import digest, label
from langmeter.langchain.configuration.schemas import describe_type, schema_hash
from langmeter.langchain.configuration.walk import canonical, class_name
from langmeter.langchain.providers import UNKNOWN, endpoint_of, provider_name

if TYPE_CHECKING:
    from langmeter.langchain.configuration.walk import Describe, Node, Walk

_MODEL_NAMES: Final = ("model", "model_name", "model_id", "deployment_name", "azure_deployment", "repo_id")


def describe_object(walk: Walk, value: Any) -> Node:
    """An object as JSON-ready values. Objects of classes that are not known here appear by the name of their class alone."""
    if isinstance(value, type):
        return describe_type(value)
    for is_one, describe in _ORDER:
        if is_one(value):
            return describe(walk, value)
    return {"class": class_name(type(value)), "opaque": True}


# -- models, prompts, tools ----------------------------------------------------------------------------------------------


def _describe_model(walk: Walk, model: Any) -> Node:
    stored = {name: item for name, item in fields.stored(model) if isinstance(item, str)}
    source = next((name for name in _MODEL_NAMES if stored.get(name)), None)
    if isinstance(model, BaseModel):
        node = fields.model_node(walk, model, without=frozenset({source} if source else ()))
    else:
        node = fields.plain_node(walk, model)
    provider = _provider(model)
    if provider is not None:
        node["provider"] = provider
    if source is not None:
        node["model"] = walk.value("model", stored[source])
    return node


def _provider(model: Any) -> str | None:
    """The provider's name, from what LangChain asks the model for on each call."""
    ask = getattr(model, "_get_ls_params", None)
    try:
        name = (ask() if ask is not None else {}).get("ls_provider")
        provider = provider_name(name, type(model).__name__, endpoint_of(model))
    except Exception:  # noqa: BLE001  (a method of somebody else's class)
        return None
    return None if provider == UNKNOWN else label(provider)


def _describe_prompt(walk: Walk, prompt: Any) -> Node:
    node = fields.model_node(walk, prompt)
    node["hash"] = digest(canonical(node.get("parameters")))
    return node


def _describe_message(_walk: Walk, message: Any) -> Node:
    content = {"content": message.content, "additional_kwargs": message.additional_kwargs}
    return {"kind": "message", "class": class_name(type(message)), "hash": digest(canonical(content))}


def _describe_tool(walk: Walk, tool: Any) -> Node:
    node = fields.model_node(walk, tool, without=frozenset({"description", "args_schema"}))
    node["name"] = label(str(tool.name))
    node["description"] = digest(str(tool.description))
    schema = _tool_schema(tool)
    if schema is not None:
        node["schema"] = schema
    return node


def _tool_schema(tool: BaseTool) -> str | None:
    try:
        return schema_hash(tool.tool_call_schema)
    except Exception:  # noqa: BLE001  (arguments that have no schema)
        return schema_hash(tool.args_schema)


# -- composed runnables ------------------------------------------------------------------------------------------------


def _describe_sequence(walk: Walk, sequence: Any) -> Node:
    return {"kind": "sequence", "class": class_name(type(sequence)), "steps": walk.items("steps", sequence.steps)}


def _describe_parallel(walk: Walk, parallel: Any) -> Node:
    steps = walk.mapping("steps", dict(parallel.steps__))
    return {"kind": "parallel", "class": class_name(type(parallel)), "steps": steps}


def _describe_binding(walk: Walk, binding: Any) -> Node:
    """A binding; one that adds nothing but tags, names or callbacks is what it binds."""
    given: Node = {}
    if arguments := fields.arguments(walk, "kwargs", binding.kwargs):
        given["arguments"] = arguments
    if config := _config(walk, binding):
        given["config"] = config
    bound = walk.value("bound", binding.bound)
    if not given and isinstance(bound, dict):
        return bound
    # LangChain binds models in a class of its own, and loads them back in the general one.
    return {"kind": "binding", "class": class_name(RunnableBinding), "bound": bound, **given}


def _config(walk: Walk, binding: Any) -> Node:
    kept = {name: binding.config.get(name) for name in ("max_concurrency", "recursion_limit")}
    configurable = binding.config.get("configurable") or {}
    # What chooses among alternatives is configuration; ids of threads and users are not.
    chosen = {name: item for name, item in configurable.items() if not _is_id(name)}
    kept["configurable"] = chosen or None
    return {name: walk.value(name, item) for name, item in kept.items() if item is not None}


def _is_id(name: str) -> bool:
    return name.endswith("_id") or name.startswith("__") or fields.is_of_one_call(name)


def _describe_lambda(walk: Walk, runnable: Any) -> Node:
    names = ("func", "afunc", "_transform", "_atransform")
    functions = {
        name.strip("_"): walk.value(name, item) for name in names if (item := vars(runnable).get(name)) is not None
    }
    return {"kind": "lambda", "class": class_name(type(runnable)), **functions}


# -- which is which ------------------------------------------------------------------------------------------------------


def _is(*classes: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, classes)


def _is_own(cls: type) -> Callable[[object], bool]:
    """Instances whose class is LangChain's: one of the application's may do something else."""
    return lambda value: isinstance(value, cls) and of_library(type(value).__module__)


def _is_memory(value: object) -> bool:
    """Documents and histories of chats: what users said, and different at every call."""
    return isinstance(value, BaseChatMessageHistory | Document)


def _describe_memory(_walk: Walk, value: object) -> Node:
    return {"class": class_name(type(value)), "opaque": True}


_ORDER: Final[tuple[tuple[Callable[[Any], bool], Describe], ...]] = (
    (is_function, describe_function),
    (graphs.is_graph, graphs.describe_graph),
    (graphs.is_tool_node, graphs.describe_tool_node),
    (graphs.is_callable_node, graphs.describe_callable_node),
    (_is(BaseMessage), _describe_message),
    (_is(BaseLanguageModel, Embeddings), _describe_model),
    (_is(BaseTool), _describe_tool),
    (_is(BasePromptTemplate, BaseMessagePromptTemplate), _describe_prompt),
    (_is_own(RunnableSequence), _describe_sequence),
    (_is_own(RunnableParallel), _describe_parallel),
    (_is_own(RunnableBinding), _describe_binding),
    (_is(RunnableLambda, RunnableGenerator), _describe_lambda),
    (_is_memory, _describe_memory),
    (_is(BaseModel), fields.model_node),
    (dataclasses.is_dataclass, fields.dataclass_node),
    (lambda value: is_component(value) or is_of_agents(value), fields.plain_node),
)
