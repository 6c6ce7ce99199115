"""The texts of an embeddings call, held from its start to its end, and how much there is to tokenize in them."""

from __future__ import annotations

from typing import Any, Final

from langmeter.pricing.content_size import ContentSize
from langmeter.pricing.scripts import script_tokens

_FEW_TEXTS: Final = 8
_SHORT: Final = 16_384
"""Characters that are looked at in a few microseconds even if none of them is ASCII."""
_NO_ANSWER: Final = ContentSize()


class EmbeddedTexts:
    """What an estimate of one embeddings call is made from. References only, no copies."""

    __slots__ = ("_texts",)

    shares_usage = False

    def __init__(self, texts: Any) -> None:
        self._texts = texts

    def is_small(self, _answer: Any) -> bool:
        """Whether measuring takes a few microseconds only."""
        if not isinstance(self._texts, list | tuple) or len(self._texts) > _FEW_TEXTS:
            return False
        return all(isinstance(text, str) and (text.isascii() or len(text) <= _SHORT) for text in self._texts)

    def prompt(self) -> ContentSize | None:
        """The size of all texts together; None if they came in a way that hides it, or are not text: images, an iterator."""
        texts = self._texts
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            return None
        return ContentSize(script_tokens(texts))

    def answer(self, _answer: Any) -> ContentSize:
        """Vectors have no tokens."""
        return _NO_ANSWER

    def sample(self, _answer: Any, characters: int) -> list[str]:
        """At most so many characters of the texts."""
        found: list[str] = []
        for text in self._texts:
            if characters <= 0:
                break
            if isinstance(text, str) and text:
                found.append(text[:characters])
                characters -= len(found[-1])
        return found
