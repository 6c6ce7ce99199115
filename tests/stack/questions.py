"""What the cache tests ask: questions that no semantic cache may confuse, and pairs that it must take for the same."""

from __future__ import annotations

from langchain_core.load import dumps
from langchain_core.messages import HumanMessage

WARM = (
    "How do I reset my password?",
    "What is the capital of France?",
    "Which planets have rings?",
    "How long should I boil an egg?",
    "When was the printing press invented?",
    "Translate good morning into Italian",
    "Explain photosynthesis to a child",
    "Which vaccines does a puppy need?",
)
"""In the cache before a measured run starts."""

COLD = (
    "Where can I download last month's invoice?",
    "Who painted the ceiling of the Sistine Chapel?",
    "Why does bread dough rise overnight?",
    "How far away is the nearest star?",
    "Suggest a name for a sailing boat",
    "What causes thunder during a storm?",
    "How many strings has a violin?",
    "Summarise the rules of chess",
)
"""Asked for the first time in a measured run, between the others."""

QUESTIONS = tuple(question for pair in zip(WARM, COLD, strict=True) for question in pair)

SAME = (
    ("How do I reset my password?", "How can I reset the password?"),
    ("What is the capital of France?", "What's the capital of France, please?"),
    ("Which planets have rings?", "Which of the planets have a ring?"),
    ("How long should I boil an egg?", "How long should an egg be boiled?"),
    ("Explain photosynthesis to a child", "Could you explain photosynthesis to a child?"),
)
"""(asked before, a paraphrase): a semantic cache must answer the second from the first."""

DIFFERENT = (
    ("How do I reset my password?", "How do I delete my account?"),
    ("What is the capital of France?", "How many people live in France?"),
    ("Which planets have rings?", "Which planets have no moons?"),
    ("How long should I boil an egg?", "How long should I roast a chicken?"),
    ("Explain photosynthesis to a child", "Explain inflation to a student"),
)
"""(asked before, another question in similar words): a semantic cache must not answer the second."""


def as_key(question: str) -> str:
    """What LangChain hands to a cache as the prompt of a chat model: the messages as JSON."""
    return dumps([HumanMessage(question)])


CORPUS = tuple(map(as_key, QUESTIONS))
"""What is common to all keys of chat models weighs nothing; text models send the bare question, which is rare words only."""
