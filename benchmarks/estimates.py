"""What estimates cost on the thread of a model call: for a call that needs one, and for one that does not.

    python benchmarks/estimates.py [--repeats 9]

The budget for 200,000 characters is 500 µs, whatever the script and however many messages they are in. A call that reports
its usage pays for the reference to its prompt, for the question whether to learn from it, and one in 32 for learning.
Figures are processor time of the calling thread, the best of all repeats, in microseconds.
"""

from __future__ import annotations

import argparse
import time

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langmeter import worker
from langmeter.events import ModelCall, ModelRequest, ModelResponse, ReportedUsage, TokenUsage
from langmeter.langchain.content_size import CallContent
from langmeter.pricing import calibration
from langmeter.pricing.estimate import Estimator
from langmeter.settings import Settings

CHARACTERS = 200_000
ENGLISH = "the quick brown fox jumps over the lazy dog. "
CHINESE = "敏捷的棕色狐狸跳过了一只懒惰的狗。"
MIXED = ENGLISH * 4 + CHINESE * 2
TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Finds what is looked for. " * 8,
        "parameters": {"type": "object", "properties": {name: {"type": "string"} for name in "abcd"}},
    },
}
REQUEST = ModelRequest("chat", "openai", "gpt-4o")
ANSWER = LLMResult(generations=[[ChatGeneration(message=AIMessage(ENGLISH * 8))]])
SILENT = ModelCall(REQUEST, ModelResponse(), 0, 1.0)
REPORTED = ModelCall(REQUEST, ModelResponse(ReportedUsage(TokenUsage(1_200, 80)), "gpt-4o"), 0, 1.0)


def text(sample, length):
    return (sample * (length // len(sample) + 1))[:length]


def prompts():
    """What is estimated: (messages, invocation parameters)."""
    found = {}
    for name, sample in {"ASCII": ENGLISH, "Chinese": CHINESE, "mixed": MIXED}.items():
        found[f"{name}, one message"] = [HumanMessage(text(sample, CHARACTERS))], {}
        found[f"{name}, 200 messages"] = [HumanMessage(text(sample, CHARACTERS // 200)) for _ in range(200)], {}
        blocks = [{"type": "text", "text": text(sample, CHARACTERS // 200)}]
        found[f"{name}, 200 messages of blocks"] = [HumanMessage(blocks) for _ in range(200)], {}
    found["one message of 100 characters"] = [HumanMessage(text(ENGLISH, 100))], {}
    found["the same and 20 tools"] = [HumanMessage(text(ENGLISH, 100))], {"tools": [TOOL] * 20}
    return found


def best(work, number, repeats):
    figures = []
    for _ in range(repeats):
        started = time.thread_time()
        for _ in range(number):
            work()
        figures.append((time.thread_time() - started) / number * 1e6)
    return min(figures)


def check(estimator):
    """The right figures come out, or nothing is timed."""
    content = CallContent([HumanMessage(text(ENGLISH, CHARACTERS))], {})
    estimated = estimator.completed(SILENT, content, ANSWER).estimated
    assert estimated is not None
    assert estimated[:2] == (CHARACTERS // 4 + 4, len(ENGLISH) * 8 // 4)
    assert estimator.completed(REPORTED, content, ANSWER) is REPORTED
    calibration.shared.clear()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    estimator = Estimator(Settings())
    check(estimator)
    print("a call without usage, estimated:")
    for name, (messages, parameters) in prompts().items():
        content = CallContent(messages, parameters)
        estimator.completed(SILENT, content, ANSWER)  # asks the tokenizer, once
        worker.drain(10)
        figure = best(lambda content=content: estimator.completed(SILENT, content, ANSWER), 20, repeats)
        print(f"  {name:<36}{figure:10.1f}")
    print("a call with usage:")
    messages = [HumanMessage(text(ENGLISH, 100))]

    def call():
        estimator.completed(REPORTED, CallContent(messages, {}), ANSWER)

    print(f"  {'reference and question':<36}{best(call, 3_200, repeats):10.2f}   one in 32 learns")

    def learn():
        calibration.shared.clear()
        call()

    print(f"  {'learning':<36}{best(learn, 500, repeats):10.1f}")


if __name__ == "__main__":
    main()
