"""What an application does with chains."""

from __future__ import annotations

from typing import Any

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from scenario import QUESTION, STREAMED, WORKFLOW, World, scenario
from tool_scenarios import Shelf


def _chain(world: World) -> Runnable[Any, str]:
    return ChatPromptTemplate([("user", "{question}")]) | world.chat() | StrOutputParser()


@scenario("chain of one model", ["chat"])
def _plain_chain(world: World) -> None:
    world.call(_chain(world), {"question": QUESTION})


@scenario("chain with a name", [("invoke_workflow translate", ["chat"])], given={"invoke_workflow": WORKFLOW})
def _named_chain(world: World) -> None:
    world.call(_chain(world).with_config(run_name="translate"), {"question": QUESTION})


@scenario(
    "chain with a name, streamed",
    [("invoke_workflow translate", ["chat"])],
    given={"invoke_workflow": WORKFLOW, "chat": STREAMED},
)
def _streamed_chain(world: World) -> None:
    world.stream(_chain(world).with_config(run_name="translate"), {"question": QUESTION})


@scenario("chain of a retriever and a model", [("invoke_workflow", ["chat", "retrieval"])])
def _retrieval_chain(world: World) -> None:
    context = {"context": Shelf(), "question": RunnablePassthrough()}
    prompt = ChatPromptTemplate([("user", "{context} {question}")])
    world.call(context | prompt | world.chat() | StrOutputParser(), QUESTION)


@scenario(
    "chain with a name, batch", [("invoke_workflow translate", ["chat"])] * 3, given={"invoke_workflow": WORKFLOW}
)
def _batch_of_chains(world: World) -> None:
    chain = _chain(world).with_config(run_name="translate")
    world.batch(chain, [{"question": f"{QUESTION} {number}"} for number in range(3)])
