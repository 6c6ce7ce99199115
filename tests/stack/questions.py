"""What the cache tests ask: questions that no semantic cache may confuse, and pairs that it must take for the same."""

from __future__ import annotations

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
    ("How do I reset my password?", "What must I do to get a new password?"),
    ("What is the capital of France?", "Which city is France's seat of government?"),
    ("Which planets have rings?", "Which worlds of the solar system are ringed?"),
    ("How long should I boil an egg?", "How many minutes does an egg need in boiling water?"),
    ("When was the printing press invented?", "What year did the printing press come into being?"),
    ("Translate good morning into Italian", "How do Italians say good morning?"),
    ("Explain photosynthesis to a child", "Describe to a kid how photosynthesis works"),
    ("Which vaccines does a puppy need?", "What shots should a young dog get?"),
)
"""(asked before, the same in other words): a semantic cache must answer the second from the first."""

DIFFERENT = (
    ("How do I reset my password?", "How do I reset my watch?"),
    ("What is the capital of France?", "What is the capital of Italy?"),
    ("Which planets have rings?", "Which planets have no moons?"),
    ("How long should I boil an egg?", "How long should I roast a chicken?"),
    ("When was the printing press invented?", "When was the steam engine invented?"),
    ("Translate good morning into Italian", "Translate good night into Spanish"),
    ("Explain photosynthesis to a child", "Explain inflation to a student"),
    ("Which vaccines does a puppy need?", "Which toys does a kitten need?"),
)
"""(asked before, another question in the same words): a semantic cache must not answer the second."""
