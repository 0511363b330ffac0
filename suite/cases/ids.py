"""Token ids: the distributions they are drawn from, and files of them."""

from __future__ import annotations

import functools
import hashlib
import math
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from suite.cases import formats, ngram
from suite.cases.case import NGRAMS, Case

Ids = npt.NDArray[np.int64]

TEXT = Path(__file__).with_name("text_ids.npz")
TEXT_DIGEST = "b1e9876a"
"""Of the ids shipped: what a distribution of that name has looked up."""
MAX_FILE_BYTES = 2**31
META_2022 = (
    *((1, 0.027, 0.342), (2, 0.023, 0.144), (4, 0.040, 0.149), (8, 0.068, 0.138), (16, 0.105, 0.112)),
    *((32, 0.120, 0.068), (64, 0.099, 0.029), (128, 0.070, None), (256, 0.059, None), (512, 0.054, None)),
    *((1024, 0.040, None), (2048, 0.072, None), (4096, 0.064, None), (8192, 0.047, None)),
    *((16384, 0.021, None), (32768, 0.017, None), (2 * 65536, 0.076, None)),
)
"""Rows by how often a batch looks them up: up to how often, their share of the ids, their share of the rows.

Published of 788 tables in batches of 131,072 samples, 1.405e9 ids of 1.103e8 rows, 12.7 a row:
locality_stats.txt of facebookresearch/dlrm_datasets, embedding_bag/2022 (MIT licence). Above 64 times the
shares of rows have too few digits there, so these are interpolated: as many as have the ids if each is
looked up as often as the geometric middle of its class; of the last, over 32,768 times, 65,536 times.
Interpolated too: within a class all rows are alike. Each id is drawn by itself, so that a batch of fewer ids
than 12.7 a row has fewer repeats.
"""
META_IDS_A_ROW = 1_405_163_864 / 110_259_238


def draw(case: Case, turn: int, seed: int, file_ids: Ids | None = None) -> npt.NDArray[Any]:
    """The ids of one batch: (batch,) of the case's index dtype, the same for the same arguments.

    Distributions: ``uniform``; ``zipf-S`` exactly p(rank) ∝ rank^-S over the vocab, ranks scattered over the
    table (``zipf`` is S = 1); ``text`` consecutive tokens of real text, folded modulo a smaller vocab;
    ``text-shuffled`` the same tokens in random order, so without their locality; ``sorted`` uniform, then
    sorted; ``equal`` one id repeated; ``meta-2022`` some rows far oftener than others, as a recommender's
    (``META_2022``), strewn over the table; ``ngram`` the rows of the text's 2- to 4-grams, 24 a token
    (``suite.cases.ngram``), ``ngram-3`` those of its 2- and 3-grams, 16 a token, ``ngram-shuffled`` and
    ``ngram-3-shuffled`` the same of the shuffled text; ``file:NAME@DIGEST`` the user's own, in order.
    """
    rng = np.random.default_rng([seed, turn, case.vocab, case.ids])
    name, _, exponent = case.distribution.partition("-")
    if file_ids is not None:
        ids = _window(file_ids, case.ids, turn)
    elif name == "uniform":
        ids = rng.integers(0, case.vocab, case.ids)
    elif name == "sorted":
        ids = np.sort(rng.integers(0, case.vocab, case.ids))
    elif name == "equal":
        ids = np.full(case.ids, rng.integers(0, case.vocab))
    elif name == "zipf":
        ids = _zipf(case.vocab, float(exponent or 1), case.ids, rng)
    elif name == "meta":
        ids = _meta(case.vocab, case.ids, rng)
    elif name == "ngram":
        stream, longest = _text(case.distribution.endswith("shuffled")), NGRAMS[case.distribution]
        ids = ngram.rows(stream, case.vocab, case.ids, turn, longest)
    else:
        ids = _window(_text(case.distribution == "text-shuffled"), case.ids, turn) % case.vocab
    return ids.astype(case.index_dtype)


def draw_apart(case: Case, turns: int, seed: int, file_ids: Ids | None = None) -> list[npt.NDArray[Any]]:
    """Batches whose rows differ from those of the turns before, as long as the table has rows left.

    A batch keeps the order and the repeats it was drawn with; its distinct ids, in order of size, are given
    rows that no earlier turn used, strewn over the table. So a lookup does not find in the cache what the
    lookup before it left there, and what its distribution says of one batch stays true.
    """
    batches, used, stride = [], 0, _coprime(case.vocab, 0.6180339887)
    for turn in range(turns):
        distinct, rank = np.unique(draw(case, turn, seed, file_ids), return_inverse=True)
        fresh = (used + np.arange(len(distinct), dtype=np.int64)) % case.vocab
        used += len(distinct)
        exact = fresh.astype(object) if case.vocab > 2**31 else fresh  # a product over 64 bits
        rows = np.sort(exact * stride % case.vocab)
        batches.append(rows[rank].astype(case.index_dtype))
    return batches


def read_file(path: str) -> Ids:
    """The ids in a file, in order, flattened.

    Text with spaces, commas, brackets or line ends between whole numbers, a heading before them and comments
    after ``#``; an ``.npy``, ``.npz`` or ``.safetensors`` of integers. Of several arrays the one named
    ``indices`` has the ids; ``formats.beside`` names the others.

    Raises:
        ValueError: one line that says what the file is instead.
    """
    try:
        facts = Path(path).stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError(f"{path}: not a regular file; give a file of ids, no folder or pipe")
        if facts.st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: larger than 2 GiB; give a part of it")
        loaded = formats.read(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; give a file of ids") from None
    except MemoryError:
        raise ValueError(f"{path}: does not fit the memory; give a part of it") from None
    if loaded.dtype.kind not in "iu":
        raise ValueError(f"{path}: holds {loaded.dtype}, not integers; give whole numbers")
    if loaded.size == 0:
        raise ValueError(f"{path}: empty; give at least one id")
    if loaded.size > formats.MAX_IDS:
        raise ValueError(f"{path}: more than {formats.MAX_IDS:,} ids; give a part of it")
    if loaded.dtype.kind == "u" and loaded.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{path}: ids do not fit 64 bits with a sign; give smaller ones")
    return np.array(loaded, np.int64).reshape(-1)


def read_lengths(path: str, count: int) -> Ids:
    """How many ids each bag of a file has, by its array ``offsets``: where in the ids each begins, from 0 on.

    The last bag ends where the last offset says, or with the ids where that is where it begins.

    Args:
        count: ids in the file.

    Raises:
        ValueError: one line; it has no offsets, or none that cut its ids into bags.
    """
    offsets = formats.named(path, "offsets")
    if offsets is None:
        raise ValueError(f"{path}: has no offsets; give an .npz or .safetensors of indices and offsets")
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1 or not len(offsets) or offsets[0] != 0:
        raise ValueError(f"{path}: offsets do not begin with 0 in one row of integers; give where bags begin")
    ends = offsets.astype(np.int64)
    lengths = np.diff(ends if ends[-1] == count else np.append(ends, count))
    if (lengths < 0).any():
        raise ValueError(f"{path}: offsets fall, or pass the last of {count:,} ids; give where bags begin")
    return lengths


def digest(ids: Ids, lengths: Ids | None = None) -> str:
    """Eight hexadecimal digits that tell these ids, in bags if any, from others, in whatever file."""
    found = hashlib.sha256(np.ascontiguousarray(ids, "<i8").data)
    if lengths is not None:
        found.update(np.ascontiguousarray(lengths, "<i8").data)
    return found.hexdigest()[:8]


def of_file(case: Case, path: str) -> tuple[Ids, Ids | None]:
    """The ids in a file, if they are those that the case's distribution names: ``file:NAME@DIGEST``.

    With them the lengths of their bags, where the case is of those.

    Raises:
        ValueError: one line; they are others, or none.
    """
    name, _, named = case.distribution.removeprefix("file:").rpartition("@")
    try:
        ids = read_file(path)
        lengths = read_lengths(path, len(ids)) if case.kind.cuts(case) else None
    except ValueError as error:  # records name no folder
        raise ValueError(str(error).replace(path, name or named)) from None
    if name and digest(ids, lengths) != named:
        raise ValueError(f"{name}: holds other ids than when the run began; start a new run with it")
    return ids, lengths


def check_text() -> None:
    """Raise ValueError, one line, where the ids of ``text`` are not those that the suite ships."""
    if digest(_text(False)) != TEXT_DIGEST:
        raise ValueError(f"{TEXT.name}: holds other ids than the suite ships; restore it from the checkout")


def drawing_bytes(case: Case) -> int:
    """Host memory in use at most while a batch is drawn and sorted, the distribution's own table included."""
    table = 8 * case.vocab if case.distribution.startswith("zipf") else 0
    return table + 56 * case.ids


def out_of_range(ids: Ids, vocab: int) -> str | None:
    """Why these ids don't fit a table of vocab rows, or None."""
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab:
        return f"ids reach from {low} to {high}, the table has rows 0 to {vocab - 1}"
    return None


def draw_edges(case: Case, seed: int) -> npt.NDArray[Any]:
    """A batch for checking: uniform ids, but the last row first and row 0 last where there is room."""
    ids = np.random.default_rng([seed, case.ids]).integers(0, case.vocab, case.ids)
    ids[-1] = 0
    ids[0] = case.vocab - 1
    return ids.astype(case.index_dtype)


def _window(stream: Ids, batch: int, turn: int) -> Ids:
    start = turn * batch % len(stream)
    return np.take(stream, np.arange(start, start + batch), mode="wrap")


@functools.cache
def _text(shuffled: bool) -> Ids:
    with np.load(TEXT, allow_pickle=False) as shipped:
        stream: Ids = shipped["ids"].astype(np.int64)
    return np.random.default_rng(0).permutation(stream) if shuffled else stream


def _zipf(vocab: int, exponent: float, batch: int, rng: np.random.Generator) -> Ids:
    ranks = np.searchsorted(_zipf_cumulative(vocab, exponent), rng.random(batch), side="right")
    return ranks * _coprime(vocab, 0.3819660113) % vocab


def _meta(vocab: int, batch: int, rng: np.random.Generator) -> Ids:
    of_ids, of_rows = _meta_shares()
    ends = np.cumsum(of_rows[::-1]) * vocab  # the rows looked up most come first
    starts = np.minimum(np.concatenate([[0], ends[:-1]]), vocab - 1).astype(np.int64)
    counts = np.maximum(1, np.minimum(ends, vocab).astype(np.int64) - starts)
    which = np.searchsorted(np.cumsum(of_ids[::-1]), rng.random(batch), side="right")
    rank = starts[which] + (rng.random(batch) * counts[which]).astype(np.int64)
    exact = rank.astype(object) if vocab > 2**31 else rank  # a product over 64 bits
    return np.asarray(exact * _coprime(vocab, 0.3819660113) % vocab, np.int64)


def _meta_shares() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of the ids and of the rows, by class; each comes to 1."""
    of_ids, of_rows, least = [], [], 1
    for most, ids, rows in META_2022:
        middle = math.sqrt(least * most)
        of_ids.append(ids)
        of_rows.append(ids * META_IDS_A_ROW / middle if rows is None else rows)
        least = most
    return np.array(of_ids) / sum(of_ids), np.array(of_rows) / sum(of_rows)


def _coprime(vocab: int, share: float) -> int:
    """A step of about that share of the table that visits every row before it comes back."""
    step = max(1, round(vocab * share))
    while math.gcd(step, vocab) != 1:
        step += 1
    return step


@functools.lru_cache(maxsize=1)
def _zipf_cumulative(vocab: int, exponent: float) -> npt.NDArray[np.float64]:
    # One array all through: it can be larger than the table of embeddings.
    cumulative = np.arange(1, vocab + 1, dtype=np.float64)
    np.power(cumulative, -exponent, out=cumulative)
    np.cumsum(cumulative, out=cumulative)
    cumulative /= cumulative[-1]
    return cumulative
