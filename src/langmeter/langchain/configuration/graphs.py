"""LangGraph's graphs: nodes, edges, branches. Recognised where the application has imported LangGraph, never imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from langmeter.langchain.configuration.redaction import label
from langmeter.langchain.configuration.walk import canonical, class_name

if TYPE_CHECKING:
    from langmeter.langchain.configuration.walk import Json, Node, Walk

_AGENT: Final = "langchain_create_agent"
_UNNAMED: Final = "LangGraph"


def is_graph(value: object) -> bool:
    """Whether a value is a compiled graph (or a functional `entrypoint`) of LangGraph."""
    return _is_instance(value, "langgraph.pregel", "Pregel")


def is_tool_node(value: object) -> bool:
    """Whether a value is LangGraph's node that executes tools."""
    return _is_instance(value, "langgraph.prebuilt.tool_node", "ToolNode")


def is_callable_node(value: object) -> bool:
    """Whether a value is what LangGraph makes of a function that is a node."""
    return _is_instance(value, "langgraph._internal._runnable", "RunnableCallable")


def describe_graph(walk: Walk, graph: Any) -> Node:
    """A compiled graph: its nodes by name, edges, branches, interrupts, and the schema of its state."""
    stored = vars(graph)
    builder = stored.get("builder")
    node: Node = {"kind": "agent" if _is_agent(stored) else "graph", "class": class_name(type(graph))}
    if stored.get("name", _UNNAMED) != _UNNAMED:
        node["name"] = label(str(stored["name"]))
    parts = vars(builder) if builder is not None else stored
    node["nodes"] = {label(name): _describe_node(walk, part) for name, part in sorted(parts.get("nodes", {}).items())}
    if builder is not None:
        node.update(_structure(walk, parts))
    for name in ("interrupt_before_nodes", "interrupt_after_nodes"):
        if stored.get(name):
            node[name] = _labels(stored[name])
    for name in ("retry_policy", "step_timeout"):
        if stored.get(name):
            node[name] = walk.value(name, stored[name])
    limit = (stored.get("config") or {}).get("recursion_limit")
    if isinstance(limit, int):
        node["recursion_limit"] = limit
    return node


def describe_tool_node(walk: Walk, node: Any) -> Node:
    """A node that executes tools: the tools and what happens to their errors."""
    stored = vars(node)
    parts = {
        "tools": list(stored.get("_tools_by_name", {}).values()),
        "handle_tool_errors": stored.get("_handle_tool_errors"),
        "wrap_tool_call": stored.get("_wrap_tool_call") or stored.get("_awrap_tool_call"),
    }
    described = {name: walk.value(name, part) for name, part in parts.items() if part is not None}
    return {"kind": "tool_node", "class": class_name(type(node)), **described}


def describe_callable_node(walk: Walk, node: Any) -> Node:
    """A node that is a function; of a pair of functions the synchronous one, the other does the same."""
    stored = vars(node)
    described: Node = {
        "kind": "function_node",
        "function": walk.value("function", stored.get("func") or stored.get("afunc")),
    }
    if stored.get("kwargs"):
        described["keywords"] = walk.value("keywords", stored["kwargs"])
    return described


def _is_instance(value: object, module: str, name: str) -> bool:
    cls = getattr(sys.modules.get(module), name, None)
    return isinstance(cls, type) and isinstance(value, cls)


def _is_agent(stored: dict[str, Any]) -> bool:
    metadata = (stored.get("config") or {}).get("metadata")
    return isinstance(metadata, dict) and metadata.get("ls_integration") == _AGENT


def _describe_node(walk: Walk, node: Any) -> Json:
    """A node as the graph's builder keeps it (`runnable`), or as a compiled graph without one does (`bound`)."""
    runnable = getattr(node, "runnable", None) or getattr(node, "bound", None)
    described = walk.value("runnable", runnable)
    extras: Node = {
        name: walk.value(name, getattr(node, name)) for name in ("retry_policy", "timeout") if getattr(node, name, None)
    }
    if getattr(node, "defer", False) is True:
        extras["defer"] = True
    return {"runnable": described, **extras} if extras else described


def _structure(walk: Walk, parts: dict[str, Any]) -> Node:
    found: Node = {"edges": _sorted([_labels(edge) for edge in parts.get("edges", ())])}
    if parts.get("waiting_edges"):
        found["waiting_edges"] = _sorted([[_labels(starts), label(end)] for starts, end in parts["waiting_edges"]])
    branches = {
        label(start): {label(name): _branch(walk, branch) for name, branch in sorted(named.items())}
        for start, named in sorted(parts.get("branches", {}).items())
        if named
    }
    if branches:
        found["branches"] = dict(branches)
    if parts.get("state_schema") is not None:
        found["state"] = walk.value("state", parts["state_schema"])
    return found


def _branch(walk: Walk, branch: Any) -> Json:
    ends = getattr(branch, "ends", None)
    return {
        "path": walk.value("path", getattr(branch, "path", None)),
        "ends": {label(str(key)): label(str(end)) for key, end in sorted(ends.items(), key=str)} if ends else None,
    }


def _labels(names: Any) -> list[Json]:
    return [label(name) for name in ([names] if isinstance(names, str) else names)]


def _sorted(values: list[Any]) -> list[Json]:
    return sorted(values, key=canonical)
