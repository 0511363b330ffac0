"""Rows of n-grams: the published sizes, the public law, and the share of a batch that is distinct."""

from __future__ import annotations

import numpy as np
import pytest

from suite.cases import ids, ngram
from suite.cases.case import NGRAMS, Case

ENGRAM, ENGRAM_14, PLE = 384_006_168, 384_016_682, 320_001_536


@pytest.mark.parametrize(("vocab", "least"), [(ENGRAM, 16_000_000), (ENGRAM_14, 16_000_463)])
def test_the_published_tables_are_these_primes_without_a_row_to_spare(vocab: int, least: int) -> None:
    lengths = ngram.ranges(vocab, 24)
    assert lengths.sum() == vocab
    assert len(set(lengths.tolist())) == 24 and lengths.min() > least
    assert all(number % divisor for number in lengths.tolist() for divisor in range(2, 4000))


def test_a_padded_table_has_a_few_rows_that_no_id_names() -> None:
    assert 0 <= PLE - ngram.ranges(PLE, 16).sum() < 512


@pytest.mark.parametrize(
    ("distribution", "tokens", "share"),
    [
        ("ngram", 8192, 0.63),
        ("ngram-shuffled", 8192, 0.97),
        ("ngram", 64, 0.97),
        ("ngram-shuffled", 512, 0.996),
    ],
)
def test_the_distinct_share_of_a_prefill_is_that_of_text(
    distribution: str, tokens: int, share: float
) -> None:
    """Uniform ids, nearly all distinct, overstate the rows of a prefill by half."""
    case = Case(ENGRAM, 256, "float8_e4m3fn", 24 * tokens, distribution=distribution)
    found = ids.draw(case, 0, 0)
    assert len(np.unique(found)) / len(found) == pytest.approx(share, abs=0.005)


def test_the_law_is_the_public_one() -> None:
    """Written out for one token: products, XOR, modulo, offset."""
    stream = np.array([7, 11, 13, 17, 19], np.int64)
    rows = ngram.rows(stream, 1_000_000, 24, turn=3, longest=4)  # each turn is of one token here
    half = (2**63 - 1) // 20 // 2
    odd = [int(m) * 2 + 1 for m in np.random.default_rng(10007).integers(0, half, 4)]
    lengths = ngram.ranges(1_000_000, 24).tolist()
    expected = []
    for place, length in enumerate(lengths):
        mixed = 0
        for back in range(2 + place // 8):
            mixed ^= int(stream[3 - back]) * odd[back]
        expected.append(mixed % length + sum(lengths[:place]))
    assert rows.tolist() == expected


@pytest.mark.parametrize("distribution", NGRAMS)
def test_the_same_arguments_give_the_same_rows(distribution: str) -> None:
    case = Case(24_000_385, 256, "int8", 1000, distribution=distribution)
    one, other = ids.draw(case, 3, 0), ids.draw(case, 3, 1)
    assert np.array_equal(one, other), "of the text alone: no seed has a part in it"
    assert one.shape == (1000,) and one.min() >= 0 and one.max() < case.vocab
    assert not np.array_equal(one, ids.draw(case, 4, 0))
    longer = ids.draw(Case(24_000_385, 256, "int8", 1008, distribution=distribution), 0, 0)
    assert np.array_equal(longer[:1000], ids.draw(case, 0, 0)), "token by token, cut where the batch ends"


@pytest.mark.parametrize("vocab", [1, 2, 23, 24, 25, 95, 96, 2303, 2304, 2305, 5003])
@pytest.mark.parametrize("longest", [3, 4])
def test_a_table_of_any_size_has_rows(vocab: int, longest: int) -> None:
    found = ngram.rows(np.arange(999), vocab, 777, 2, longest)
    assert found.min() >= 0 and found.max() < vocab
    assert ngram.ranges(vocab, 24).sum() <= max(vocab, 24)


def test_the_hash_of_a_token_depends_on_those_before_it() -> None:
    a, b = np.array([5, 1, 2, 9]), np.array([6, 1, 2, 9])
    one, other = (ngram.rows(stream, 10**6, 24 * 4, 0, 4).reshape(4, 3, 8) for stream in (a, b))
    same = (one == other).all(2)
    assert same[3].tolist() == [True, True, False], "its 4-gram reaches back to what differs"
    assert same[2].tolist() == [True, False, False]
