"""Text that every Python has, its standard library's sources, as word ids; words in similar contexts."""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

VOCAB = 6000
NO_PART = {
    *("site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"),
    *("ensurepip", "turtledemo", "pydoc_data", "encodings"),
}
"""Folders that not every installation has, or that hold no text."""
CONTEXTS = 1000
REACH = (-2, -1, 1, 2)
LEAST = 50
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Text:
    """Two halves of a text, file by file in turn.

    Attributes:
        names: the most frequent words and signs, (vocab,), most frequent first.
        learnt, held_out: each half as ids, in order, without rarer words.
    """

    names: tuple[str, ...]
    learnt: Ids
    held_out: Ids


def read(folder: Path | None = None, vocab: int = VOCAB) -> Text:
    """The ``.py`` files under a folder (the standard library), in the order of their names."""
    root = folder or Path(sysconfig.get_paths()["stdlib"])
    files = sorted((path.relative_to(root) for path in root.rglob("*.py")), key=Path.as_posix)
    files = [
        path for path in files if not NO_PART & set(path.parts) and not path.name.startswith("_sysconfig")
    ]
    number: dict[str, int] = {}
    halves: tuple[list[Ids], list[Ids]] = ([], [])
    for turn, path in enumerate(files):
        words = _WORD.findall((root / path).read_text(encoding="utf-8", errors="replace"))
        halves[turn % 2].append(np.array([number.setdefault(word, len(number)) for word in words], np.int64))
    learnt, held_out = (np.concatenate([*half, np.empty(0, np.int64)]) for half in halves)
    return text(list(number), learnt, held_out, vocab)


def text(words: list[str], learnt: Ids, held_out: Ids, vocab: int = VOCAB) -> Text:
    """The text with its most frequent words only, numbered by frequency."""
    counts = np.bincount(learnt, minlength=len(words)) + np.bincount(held_out, minlength=len(words))
    kept = sorted(range(len(words)), key=lambda word: (-counts[word], words[word]))[:vocab]
    rank = np.full(len(words), -1)
    rank[kept] = np.arange(len(kept))
    first, second = (ids[ids >= 0] for ids in (rank[learnt], rank[held_out]))
    return Text(tuple(words[word] for word in kept), first, second)


def like_pairs(text: Text, least: int = LEAST) -> list[tuple[int, int]]:
    """Pairs of words in similar contexts, by the counts of the half that is held out of training.

    A word's contexts are the most frequent words one or two places before or after it, weighted by
    positive pointwise mutual information (J. A. Bullinaria and J. P. Levy, Behavior Research Methods 39,
    2007). A pair is two words, each the other's nearest by the cosine of those weights.

    Args:
        least: occurrences that a word must have in each half.
    """
    vocab = len(text.names)
    counts = np.minimum(*(np.bincount(half, minlength=vocab) for half in (text.learnt, text.held_out)))
    words = [
        w for w, name in enumerate(text.names) if counts[w] >= least and name.isidentifier() and len(name) > 1
    ]
    if len(words) < 2:
        return []
    weights = _weights(text.held_out, words, vocab)
    alike = weights @ weights.T
    np.fill_diagonal(alike, -1)
    nearest = alike.argmax(1)
    return [(words[i], words[j]) for i, j in enumerate(nearest) if i < j and nearest[j] == i]


def _weights(stream: Ids, words: list[int], vocab: int) -> npt.NDArray[np.float64]:
    """Context weights of each word, normalised to length 1: (words, places · contexts)."""
    contexts = min(CONTEXTS, vocab)
    row = np.full(vocab, -1)
    row[words] = np.arange(len(words))
    counts = np.zeros((len(words), len(REACH) * contexts))
    for place, reach in enumerate(REACH):
        word, context = (stream[-reach:], stream[:reach]) if reach < 0 else (stream[:-reach], stream[reach:])
        counted = (row[word] >= 0) & (context < contexts)
        np.add.at(counts, (row[word[counted]], place * contexts + context[counted]), 1)
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / max(counts.sum(), 1)
    weights = np.log(np.maximum(counts / np.maximum(by_chance, 1e-12), 1))
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    return np.asarray(weights / np.maximum(lengths, 1e-12))
