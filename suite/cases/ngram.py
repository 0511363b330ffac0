"""Rows of n-grams: many ids a token, each a hash of it and of the tokens before it.

The law is that of the Engram tables of DeepSeek-V4.1, by the code that serves them (vLLM,
vllm/models/deepseek_v41/common/engram.py, 0e20557). The n-gram that ends at position p has in head h the row

    (XOR over s < n of token[p - s] * multiplier[s]) mod prime[n, h] + offset[n, h]

with odd multipliers, and a range of rows of its own for every n and h, whose length is a prime. Two steps of
theirs are left out: the map that makes one token of several spellings, and the padding before the first.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

HEADS = 8
SHORTEST = 2
MULTIPLIERS_SEED = 10007
"""Of the first layer that has a table; theirs is 10007 times the layer's number."""


def ids_per_token(longest: int) -> int:
    """How many rows a token looks up: one for each head and each length of n-gram."""
    return HEADS * (longest - SHORTEST + 1)


def rows(stream: Ids, vocab: int, batch: int, turn: int, longest: int) -> Ids:
    """The rows (batch,) that consecutive tokens of a stream look up, token by token.

    Args:
        stream: token ids; it begins again at its end. vocab: rows of the table.
        turn: each takes up the stream where the one before it ended.
        longest: n of the longest n-gram; the shortest has two tokens.
    """
    tokens = -(-batch // ids_per_token(longest))
    at = turn * tokens % len(stream) + np.arange(tokens)
    mixed, hashes = np.zeros(tokens, np.int64), list[Ids]()
    for back, multiplier in enumerate(_multipliers(int(stream.max()) + 1, longest)):
        mixed = mixed ^ np.take(stream, at - back, mode="wrap") * multiplier
        hashes += [mixed] * HEADS * (back + 1 >= SHORTEST)
    lengths = ranges(vocab, ids_per_token(longest))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    found: Ids = np.stack(hashes, 1) % lengths + starts
    return found.reshape(-1)[:batch] % vocab


@functools.lru_cache(maxsize=8)
def ranges(vocab: int, count: int) -> Ids:
    """Lengths (count,) of the ranges that a table is cut into: consecutive primes, the largest that fit it.

    A table too small for that has equal ranges; of one with fewer rows than ranges, several are the same row.
    """
    middle = vocab // count
    if middle < 4 * count:
        return np.full(count, max(1, middle))
    width = 2 * count * math.ceil(math.log(middle))
    primes = _primes(max(2, middle - width), middle + width)
    sums = np.convolve(primes, np.ones(count, np.int64), "valid")
    last = int(np.searchsorted(sums, vocab, side="right")) - 1
    return primes[max(0, last) : max(0, last) + count]


def _multipliers(tokens: int, longest: int) -> list[np.int64]:
    """Odd numbers, so small that no product with a token leaves 63 bits."""
    half = (2**63 - 1) // tokens // 2
    drawn = np.random.default_rng(MULTIPLIERS_SEED).integers(0, half, longest)
    return list(drawn * 2 + 1)


def _primes(low: int, high: int) -> Ids:
    """The primes from low to high."""
    numbers = np.arange(low, high + 1)
    whole = np.ones(len(numbers), bool)
    for divisor in _small_primes(math.isqrt(high)):
        first = max(divisor * divisor, -(-low // divisor) * divisor)
        whole[first - low :: divisor] = False
    return numbers[whole & (numbers > 1)]


def _small_primes(most: int) -> list[int]:
    whole = np.ones(most + 1, bool)
    whole[:2] = False
    for number in range(2, math.isqrt(most) + 1):
        whole[number * number :: number] &= not whole[number]
    return [int(number) for number in np.flatnonzero(whole)]
