"""Embeddings computed here and now: hashed character n-grams, weighted by how rare they are (TF-IDF).

They know words and their forms, not meanings: "How can I reset my password?" is near "How do I reset my password?", and a
synonym is not. That is enough to drive a semantic cache for real, without a network and without a model's weights.

The weights matter. A cache of a chat model embeds the JSON of the messages, most of which is the same for every prompt;
what occurs in every text of the corpus weighs nothing here. With unweighted counts all short prompts look alike.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable

import numpy as np
from langchain_core.embeddings import Embeddings

DIMENSIONS = 1024
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+", "a an and are be can could do does for how i in is it me my of on please s the to what would you"
    )
)


class LexicalEmbeddings(Embeddings):
    """Unit vectors of hashed n-grams; `corpus` says which n-grams are common. Safe from any thread."""

    def __init__(self, corpus: Iterable[str]) -> None:
        texts = [set(_grams(text)) for text in corpus]
        frequency = Counter(gram for text in texts for gram in text)
        self._weights = {gram: float(np.log(len(texts) / count)) for gram, count in frequency.items()}
        self._unseen = float(np.log(2 * len(texts)))

    def embed_query(self, text: str) -> list[float]:
        vector = np.zeros(DIMENSIONS)
        for gram, count in Counter(_grams(text)).items():
            vector[zlib.crc32(gram.encode()) % DIMENSIONS] += np.sqrt(count) * self._weights.get(gram, self._unseen)
        length = np.linalg.norm(vector)
        return (vector / length if length else vector + DIMENSIONS**-0.5).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def _grams(text: str) -> list[str]:
    words = [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP_WORDS]
    return [*words, *(f" {word} "[start : start + 4] for word in words for start in range(max(1, len(word) - 1)))]
