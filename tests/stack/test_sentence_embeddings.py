"""The sentence embedding against what its authors publish, and against the pairs of the semantic caches."""

from __future__ import annotations

import numpy as np
import pytest
from cache_backends import SEMANTIC_DISTANCE
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage
from questions import DIFFERENT, QUESTIONS, SAME

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _stack_tools(require_program):
    """The model comes with the environments that use it."""
    require_program("python-langchain-redis")


def _similarities(texts):
    from embeddings import QuestionEmbeddings

    vectors = np.array(QuestionEmbeddings().embed_documents(texts))
    return vectors @ vectors.T


def test_similarities_are_those_that_the_authors_publish():
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    assert _similarities(sentences).round(4).tolist() == [
        [1.0, 0.666, 0.1046],
        [0.666, 1.0, 0.1411],
        [0.1046, 0.1411, 1.0],
    ]


def test_words_are_cut_as_the_vocabulary_has_them():
    from embeddings import MODEL, MiniLM

    assert MiniLM(MODEL).tokens("Naïve café: unbelievableness ☃ $5") == [
        *("[CLS]", "naive", "cafe", ":", "unbelievable", "##ness", "[UNK]", "$", "5", "[SEP]")
    ]


def test_a_chat_models_prompt_is_near_what_it_asks_and_nothing_else():
    similarities = _similarities(
        [QUESTIONS[0], dumps([HumanMessage(QUESTIONS[0])]), dumps([HumanMessage(QUESTIONS[1])])]
    )
    assert similarities[0, 1] == pytest.approx(1)
    assert similarities[0, 2] < 0.3


def test_the_pairs_lie_on_their_side_of_the_distance():
    nearest_allowed = 1 - SEMANTIC_DISTANCE
    assert [pair for pair in SAME if _similarities(pair)[0, 1] < nearest_allowed + 0.01] == []
    assert [pair for pair in DIFFERENT if _similarities(pair)[0, 1] > nearest_allowed - 0.01] == []
    assert np.triu(_similarities(QUESTIONS), 1).max() < 0.4
