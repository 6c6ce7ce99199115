"""What a start callback of a tool, a retriever or a chain says, as a frozen request; None for runs that get no span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langmeter import semconv
from langmeter.boundary import shield
from langmeter.events import ParameterValue, StepRequest
from langmeter.langchain import runnables
from langmeter.langchain.embedding_requests import embeddings_model
from langmeter.langchain.extract import conversation_id
from langmeter.langchain.names import clean, name_in
from langmeter.langchain.providers import UNKNOWN, provider_name

_LONGEST_DESCRIPTION: Final = 1_024
_AGENT_INTEGRATION: Final = "langchain_create_agent"
_AGENT_FACTORY: Final = "langchain.agents.factory"
"""Where the model node of `create_agent` is defined: before langchain 1.1 its graph carries no mark of its own."""
_SEARCH_COUNTS: Final = ("k", "top_k", "limit")
# Where vector stores keep the name of what they search, the most telling first.
_DATA_SOURCES: Final = (
    "collection_name",
    "_collection_name",
    "index_name",
    "_index_name",
    "table_name",
    "_table_name",
)
_RETRIEVER_SOURCES: Final = ("vectorstore", "vector_store", "index", "client", "store")


def tool_request(serialized: Any, *, name: Any = None, tool_call_id: Any = None, metadata: Any = None) -> StepRequest:
    """The execution of a tool."""
    given = serialized if isinstance(serialized, Mapping) else {}
    parameters: dict[str, ParameterValue] = {}
    call_id = name_in(tool_call_id)
    if call_id is not None:
        parameters[semconv.TOOL_CALL_ID] = call_id
    description = given.get("description")
    if isinstance(description, str) and description:
        parameters[semconv.TOOL_DESCRIPTION] = clean(description[:_LONGEST_DESCRIPTION])
    _add_conversation(parameters, metadata)
    tool = name_in(given.get("name")) or name_in(name) or UNKNOWN
    return StepRequest("execute_tool", tool, parameters=tuple(parameters.items()))


def answered_tool(request: StepRequest, output: Any) -> StepRequest:
    """The request with the id of its tool call, which before langchain-core 1.1.2 only the answer tells."""
    if any(name == semconv.TOOL_CALL_ID for name, _ in request.parameters):
        return request
    call_id = name_in(getattr(output, "tool_call_id", None))
    if call_id is None:
        return request
    return request._replace(parameters=(*request.parameters, (semconv.TOOL_CALL_ID, call_id)))


def retrieval_request(retriever: Any, metadata: Any) -> StepRequest:
    """A retrieval; `retriever` is the object where it is known, else None."""
    given = metadata if isinstance(metadata, Mapping) else {}
    parameters: dict[str, ParameterValue] = {}
    with shield("retriever"):
        count = _search_count(retriever)
        if count is not None:
            parameters[semconv.RETRIEVAL_TOP_K] = count
    source, provider, model = None, None, name_in(given.get("ls_embedding_model"))
    with shield("retriever"):
        source = _data_source(retriever)
    embedder = name_in(given.get("ls_embedding_provider"))
    if embedder is not None:
        provider = provider_name(None, embedder)
    with shield("retriever"):
        model = model or embeddings_model(getattr(getattr(retriever, "vectorstore", None), "embeddings", None))
    return StepRequest(
        "retrieval",
        source,
        provider=None if provider == UNKNOWN else provider,
        model=model,
        parameters=tuple(parameters.items()),
    )


def chain_request(runnable: Any, name: Any, metadata: Any, *, run_type: Any, outermost: bool) -> StepRequest | None:
    """An agent or a workflow; None for every other chain: prompts, parsers, lambdas, retries, nodes of a graph.

    Args:
        runnable: the object whose run it is, where it is known.
        name: the name of the run.
        metadata: its metadata. Inside an agent it still names the agent, so it proves nothing there.
        run_type: LangChain's own kind of the run; None for most.
        outermost: whether no run that langmeter has seen is around it.
    """
    parameters: dict[str, ParameterValue] = {}
    graph = runnables.is_graph(runnable)
    if graph or runnables.is_agent_executor(runnable):
        _add_conversation(parameters, metadata)
        given = tuple(parameters.items())
        label = _graph_name(runnable, name)
        agent = not graph or _is_agent(runnable)
        return StepRequest("invoke_agent" if agent else "invoke_workflow", label, parameters=given)
    if not outermost or run_type is not None or runnable is None:
        return None
    label = name_in(name) if runnables.is_named(runnable, name) else None
    if label in runnables.TYPE_NAMES:
        label = None
    if label is None and not runnables.coordinates(runnable):
        return None
    _add_conversation(parameters, metadata)
    return StepRequest("invoke_workflow", label, parameters=tuple(parameters.items()))


def _is_agent(graph: Any) -> bool:
    """Whether a graph is an agent: made by `create_agent`, or in the shape of a ReAct agent."""
    config = getattr(graph, "config", None)
    bound = config.get("metadata") if isinstance(config, Mapping) else None
    if isinstance(bound, Mapping) and bound.get("ls_integration") == _AGENT_INTEGRATION:
        return True
    nodes = getattr(graph, "nodes", None)
    if not isinstance(nodes, Mapping):
        return False
    if "agent" in nodes and any(map(_is_tool_node, nodes.values())):
        return True
    model = getattr(nodes.get("model"), "bound", None)
    return getattr(getattr(model, "func", None), "__module__", None) == _AGENT_FACTORY


def _is_tool_node(node: Any) -> bool:
    return any(cls.__name__ == "ToolNode" for cls in type(getattr(node, "bound", node)).__mro__)


def _graph_name(graph: Any, run_name: Any) -> str | None:
    """The name that the application gave to a graph or to this run of it; None for the constants of LangChain."""
    for name in (run_name, getattr(graph, "name", None)):
        found = name_in(name)
        if found is not None and found not in runnables.TYPE_NAMES and found != type(graph).__name__:
            return found
    nodes = getattr(graph, "nodes", None)
    if type(graph).__name__ == "Pregel" and isinstance(nodes, Mapping) and len(nodes) == 1:
        return name_in(next(iter(nodes)))  # `@entrypoint` names its only node after the function
    return None


def _search_count(retriever: Any) -> int | None:
    arguments = getattr(retriever, "search_kwargs", None)
    sources = (arguments if isinstance(arguments, Mapping) else {}, getattr(retriever, "__dict__", None) or {})
    for source in sources:
        for key in _SEARCH_COUNTS:
            count = source.get(key)
            if isinstance(count, int) and not isinstance(count, bool):
                return count
    return None


def _data_source(retriever: Any) -> str | None:
    candidates = [retriever, *(_stored(retriever, name) for name in _RETRIEVER_SOURCES)]
    for candidate in candidates:
        for name in _DATA_SOURCES:
            found = name_in(_stored(candidate, name))
            if found is not None:
                return found
    return None


def _stored(owner: Any, name: str) -> Any:
    """An attribute as it is stored. No property is asked: one may connect to a server, and this is the application's time."""
    kept = getattr(owner, "__dict__", None)
    if isinstance(kept, dict) and name in kept:
        return kept[name]
    for cls in type(owner).__mro__:
        if name in vars(cls):
            return vars(cls)[name]
    return None


def _add_conversation(parameters: dict[str, ParameterValue], metadata: Any) -> None:
    if isinstance(metadata, Mapping):
        conversation = conversation_id(metadata)
        if conversation is not None:
            parameters[semconv.CONVERSATION_ID] = conversation
