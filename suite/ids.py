"""The laws token ids are drawn from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.case import INDEX_BYTES, Case

Ids = npt.NDArray[np.int64]
Draw = Callable[[Case, np.random.Generator], Ids]

TEXT = Path(__file__).with_name("text_ids.npz")
MAX_FILE_BYTES = 2**31


def draw(case: Case, turn: int, seed: int, file_ids: Ids | None = None) -> npt.NDArray[Any]:
    """The ids of one batch: (batch,) of the case's index dtype, the same for the same arguments.

    Laws: ``uniform``; ``zipf-S`` the exact law bounded to the vocab, p(rank) ∝ rank^-S, ranks strewn over the
    table (``zipf`` is S = 1); ``text`` consecutive tokens of real text, folded modulo a smaller vocab;
    ``text-shuffled`` the same tokens in random order, so without their locality; ``sorted`` uniform, then
    sorted; ``equal`` one id repeated; ``file:NAME`` the user's own, in order.

    Later turns of a law that favours some rows are moved by a constant, modulo vocab: a batch keeps its
    repeats and its neighbourhoods, but does not find rows that the batch before it left in the cache.
    """
    rng = np.random.default_rng([seed, turn, case.vocab, case.batch])
    law, _, exponent = case.distribution.partition("-")
    if law == "uniform":
        ids = rng.integers(0, case.vocab, case.batch)
    elif law == "sorted":
        ids = np.sort(rng.integers(0, case.vocab, case.batch))
    elif law == "equal":
        ids = np.full(case.batch, rng.integers(0, case.vocab))
    elif law == "zipf":
        ids = _moved(_zipf(case.vocab, float(exponent or 1), case.batch, rng), case.vocab, turn)
    else:
        stream = file_ids if file_ids is not None else _text(case.distribution == "text-shuffled")
        ids = _moved(_window(stream, case.batch, turn) % case.vocab, case.vocab, turn)
    return ids.astype(case.index_dtype)


def read_file(path: str) -> Ids:
    """The ids in a text file (whitespace between them) or an ``.npy`` file of any integer type, flattened.

    Raises:
        ValueError: one line that says what the file is instead.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: larger than 2 GiB; give a part of it")
        if file.suffix == ".npy":
            loaded = np.load(file, allow_pickle=False)
        else:
            words = file.read_text(encoding="utf-8").split()
            loaded = np.array([int(word) for word in words], dtype=np.int64)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a file of ids") from None
    except (ValueError, EOFError, OverflowError) as error:
        if str(error).startswith(path):
            raise
        raise ValueError(f"{path}: not ids; give whole numbers in text, or an .npy of integers") from None
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "iu":
        raise ValueError(f"{path}: not integers; give whole numbers in text, or an .npy of integers")
    if loaded.size == 0:
        raise ValueError(f"{path}: empty; give at least one id")
    if loaded.dtype.kind == "u" and loaded.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{path}: ids do not fit 64 bits with a sign")
    return loaded.astype(np.int64).reshape(-1)


def out_of_range(ids: Ids, vocab: int) -> str | None:
    """Why these ids don't fit a table of vocab rows, or None."""
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab:
        return f"ids reach from {low} to {high}, the table has rows 0 to {vocab - 1}"
    return None


def draw_edges(case: Case, seed: int) -> npt.NDArray[Any]:
    """A batch for checking: uniform ids, but the last row first and row 0 last where there is room."""
    ids = np.random.default_rng([seed, case.batch]).integers(0, case.vocab, case.batch)
    ids[-1] = 0
    ids[0] = case.vocab - 1
    assert case.index_dtype in INDEX_BYTES
    return ids.astype(case.index_dtype)


def _window(stream: Ids, batch: int, turn: int) -> Ids:
    start = turn * batch % len(stream)
    return np.take(stream, np.arange(start, start + batch), mode="wrap")


def _moved(ids: Ids, vocab: int, turn: int) -> Ids:
    # A golden-section step keeps the turns as far apart as a given number of them can be.
    return (ids + round(turn * vocab * 0.6180339887)) % vocab


@functools.cache
def _text(shuffled: bool) -> Ids:
    with np.load(TEXT, allow_pickle=False) as shipped:
        stream: Ids = shipped["ids"].astype(np.int64)
    return np.random.default_rng(0).permutation(stream) if shuffled else stream


def _zipf(vocab: int, exponent: float, batch: int, rng: np.random.Generator) -> Ids:
    ranks = np.searchsorted(_zipf_cumulative(vocab, exponent), rng.random(batch), side="right")
    step = max(1, round(vocab * 0.3819660113))
    while math.gcd(step, vocab) != 1:
        step += 1
    return ranks * step % vocab


@functools.lru_cache(maxsize=2)
def _zipf_cumulative(vocab: int, exponent: float) -> npt.NDArray[np.float64]:
    cumulative = np.cumsum(np.arange(1, vocab + 1, dtype=np.float64) ** -exponent)
    cumulative /= cumulative[-1]
    return cumulative
