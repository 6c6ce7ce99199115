"""Refunds as a LangGraph graph: small ones are paid at once, large ones wait for a person's approval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from langchain_core.messages import HumanMessage, SystemMessage

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from langmeter.demo.clients import Clients
    from langmeter.demo.logbook import Logbook

LIMIT_EUROS = 50
GRAPH = "refund_desk"


class Refund(TypedDict, total=False):
    """The state of the graph."""

    order: str
    euros: int
    approved: bool
    """True until somebody says no."""
    letter: str


class RefundDesk:
    """`ask` for a refund; where it returns False, `decide` lets the graph go on. Needs the package langgraph."""

    def __init__(self, clients: Clients, logbook: Logbook) -> None:
        self._logbook = logbook
        self._model = clients.chat("gpt-4o-mini", temperature=0)
        self._graph = self._compiled()

    def ask(self, order: str, euros: int) -> bool:
        """Whether the refund is settled; False when it waits for approval."""
        state = self._graph.invoke({"order": order, "euros": euros, "approved": True}, _thread(order))
        waits = "__interrupt__" in state
        self._logbook.note("workflow", GRAPH, stopped=waits)
        return not waits

    def decide(self, order: str, *, approved: bool) -> None:
        """Go on with a refund that waits."""
        from langgraph.types import Command  # noqa: PLC0415  (an optional package)

        self._graph.invoke(Command(resume=approved), _thread(order))
        self._logbook.note("workflow", GRAPH)

    def _compiled(self) -> CompiledStateGraph[Refund, None, Refund, Refund]:
        from langgraph.checkpoint.memory import InMemorySaver  # noqa: PLC0415  (an optional package, a slow import)
        from langgraph.graph import END, START, StateGraph  # noqa: PLC0415  (the same)

        graph = StateGraph(Refund)
        graph.add_node("approval", _approval)
        graph.add_node("letter", self._letter)
        graph.add_conditional_edges(START, _first, ["approval", "letter"])
        graph.add_edge("approval", "letter")
        graph.add_edge("letter", END)
        return graph.compile(name=GRAPH, checkpointer=InMemorySaver())

    def _letter(self, state: Refund) -> Refund:
        """A letter that says what was decided."""
        decision = "is paid" if state["approved"] else "cannot be paid"
        wish = f"The refund of {state['euros']} euros for order {state['order']} {decision}."
        answer = self._model.invoke([SystemMessage("Write this to the customer, kindly."), HumanMessage(wish)])
        return {"letter": answer.text}


def _first(state: Refund) -> str:
    return "approval" if state["euros"] > LIMIT_EUROS else "letter"


def _approval(state: Refund) -> Refund:
    """Stop here until a person has decided."""
    from langgraph.types import interrupt  # noqa: PLC0415  (an optional package)

    return {"approved": bool(interrupt({"order": state["order"], "euros": state["euros"]}))}


def _thread(order: str) -> Any:
    return {"configurable": {"thread_id": f"refund-{order}"}}
