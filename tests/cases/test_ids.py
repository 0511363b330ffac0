"""Ids by distribution, batches apart, and ids from a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.cases import ids
from suite.cases.case import Case
from suite.cases.dtypes import INDEX_BYTES

Ints = npt.NDArray[Any]


def drawn(law: str, batch: int, vocab: int = 128256, turn: int = 0, seed: int = 0, **more: Any) -> Ints:
    return ids.draw(Case(vocab, 8, batch=batch, distribution=law, **more), turn, seed)


@pytest.mark.parametrize(("vocab", "exponent"), [(1000, 1.0), (1000, 1.2), (5003, 0.7), (7, 2.0)])
def test_zipf_is_the_exact_bounded_law(vocab: int, exponent: float) -> None:
    draws = 200_000
    counts = np.bincount(drawn(f"zipf-{exponent}", draws, vocab), minlength=vocab)
    weights = np.arange(1, vocab + 1) ** -exponent
    right = draws * weights / weights.sum()
    found = np.sort(counts)[::-1]
    # By rank of the law, not of the count: find the rank of every id through the step that strews them.
    ranked = counts[np.arange(vocab) * ids._coprime(vocab, 0.3819660113) % vocab]
    chi_square = float((((ranked - right) ** 2) / right).sum())
    assert abs(chi_square - (vocab - 1)) < 5 * math.sqrt(2 * (vocab - 1)) + 5
    assert found[0] == pytest.approx(right[0], rel=0.03)


def test_zipf_without_an_exponent_is_the_first_power() -> None:
    for left, right in (("zipf", "zipf-1"), ("zipf", "zipf-1.0")):
        assert np.array_equal(drawn(left, 4096), drawn(right, 4096))
    assert not np.array_equal(drawn("zipf", 4096), drawn("zipf-1.05", 4096))


def test_frequent_ids_are_strewn_over_the_table() -> None:
    found, counts = np.unique(drawn("zipf", 65536), return_counts=True)
    top = np.sort(found[np.argsort(counts)[-64:]])
    assert np.diff(top).max() < 128256 / 8, "no eighth of the table without one"
    assert np.diff(top).min() > 64, "no two of them side by side"


@pytest.mark.parametrize(
    ("law", "batch", "percent"),
    [
        ("zipf", 512, 68),
        ("zipf", 8192, 46),
        ("zipf", 65536, 29),
        ("uniform", 512, 99.8),
        ("uniform", 8192, 97),
        ("uniform", 65536, 78),
    ],
)
def test_distinct_fractions_at_the_size_of_a_language_model_are_these(
    law: str, batch: int, percent: float
) -> None:
    """The expectation is exact: a row is missed with (1 - p) ** batch."""
    vocab = 128256
    chances = 1 / np.arange(1, vocab + 1) if law == "zipf" else np.ones(vocab)
    missed = batch * np.log1p(-chances / chances.sum())
    expected = float(-np.expm1(missed).sum()) / batch
    found = float(np.mean([len(np.unique(drawn(law, batch, turn=turn))) for turn in range(30)])) / batch
    assert found == pytest.approx(expected, abs=0.01)
    assert 100 * found == pytest.approx(percent, abs=1)


def test_meta_2022_has_the_published_shares() -> None:
    """Of a batch with as many ids a row as the published: rows by how often the law looks them up."""
    vocab = 300_000
    batch = round(ids.META_IDS_A_ROW * vocab)
    counts = np.bincount(drawn("meta-2022", batch, vocab), minlength=vocab)
    by_rank = counts[np.arange(vocab) * ids._coprime(vocab, 0.3819660113) % vocab][::-1]
    start = 0.0
    for most, of_ids, of_rows in ids.META_2022[:7]:
        assert of_rows is not None
        some = by_rank[round(start * vocab) : round((start + of_rows) * vocab)]
        start += of_rows
        assert some.sum() / batch == pytest.approx(of_ids, rel=0.03)
        assert most / 2 - 0.1 < some.mean() <= most + 0.1, "as often as its class says"
    rest = 1 - sum(of_ids for _, of_ids, _ in ids.META_2022[:7])
    assert by_rank[round(start * vocab) :].sum() / batch == pytest.approx(rest, abs=0.005)
    assert counts.max() > 32_768 and np.sort(counts)[-4:].sum() / batch == pytest.approx(0.076, abs=0.005)
    one = np.bincount(drawn("meta-2022", 1000, 1)), drawn("meta-2022", 1000, 5)
    assert one[0][0] == 1000 and set(one[1]) <= set(range(5))


def test_uniform_is_uniform() -> None:
    counts = np.bincount(drawn("uniform", 300_000, 1000), minlength=1000)
    chi_square = float(((counts - 300) ** 2 / 300).sum())
    assert abs(chi_square - 999) < 5 * math.sqrt(2 * 999)


def test_sorted_and_equal_are_what_they_say() -> None:
    assert np.all(np.diff(drawn("sorted", 5000)) >= 0)
    assert len(np.unique(drawn("sorted", 5000))) > 4800
    assert len(np.unique(drawn("equal", 5000))) == 1
    assert len({int(drawn("equal", 5, turn=turn)[0]) for turn in range(20)}) > 15


def test_text_comes_in_windows_that_follow_each_other() -> None:
    windows = [drawn("text", 512, turn=turn) for turn in range(8)]
    assert np.array_equal(np.concatenate(windows), drawn("text", 8 * 512))
    assert 0.02 < len(np.unique(drawn("text", 65536))) / 65536 < 0.2, "text repeats itself"
    stream = ids._text(False)
    wrapped = drawn("text", len(stream) + 100)
    assert np.array_equal(wrapped[:100], wrapped[-100:]), "and begins again at its end"


def test_shuffled_text_has_the_tokens_and_not_the_order() -> None:
    length = len(ids._text(False))
    text, shuffled = drawn("text", length), drawn("text-shuffled", length)
    assert np.array_equal(np.sort(text), np.sort(shuffled))
    assert not np.array_equal(text, shuffled)
    short = [len(np.unique(drawn(law, 512))) for law in ("text", "text-shuffled")]
    assert short[0] < short[1], "a page repeats its words more than a draw from all pages"


def test_text_fits_a_smaller_vocab() -> None:
    assert drawn("text", 10_000, vocab=1000).max() < 1000


@pytest.mark.parametrize("law", ["uniform", "zipf", "zipf-0.8", "text", "text-shuffled", "sorted", "equal"])
@pytest.mark.parametrize("index_dtype", INDEX_BYTES)
def test_the_same_arguments_give_the_same_ids(law: str, index_dtype: str) -> None:
    one = drawn(law, 777, 5000, turn=3, seed=9, index_dtype=index_dtype)
    assert one.dtype == index_dtype
    assert one.shape == (777,)
    assert one.min() >= 0
    assert one.max() < 5000
    assert np.array_equal(one, drawn(law, 777, 5000, turn=3, seed=9, index_dtype=index_dtype))
    assert not np.array_equal(one, drawn(law, 777, 5000, turn=4, seed=9, index_dtype=index_dtype))
    if not law.startswith("text"):
        assert not np.array_equal(one, drawn(law, 777, 5000, turn=3, seed=10, index_dtype=index_dtype))


@pytest.mark.parametrize("vocab", [1, 2, 3])
@pytest.mark.parametrize("law", ["uniform", "zipf", "text", "sorted", "equal"])
def test_the_smallest_tables_have_ids(law: str, vocab: int) -> None:
    assert set(drawn(law, 50, vocab)) <= set(range(vocab))
    for batch in ids.draw_apart(Case(vocab, 1, batch=4, distribution=law), 3, 0):
        assert set(batch) <= set(range(vocab))


@pytest.mark.parametrize(
    ("distribution", "digest"),
    [
        *(("uniform", "f336b5ae"), ("zipf", "b2490182"), ("text", "5242903f"), ("text-shuffled", "478f6f8f")),
        *(("meta-2022", "ecab0955"), ("sorted", "0642e56e"), ("equal", "13726533"), ("ngram", "b4e638d3")),
        *(("ngram-3", "b4eed1ca"), ("ngram-shuffled", "90fdf537"), ("ngram-3-shuffled", "aeec10fc")),
    ],
)
def test_ids_of_a_seed_are_those_of_every_version(distribution: str, digest: str) -> None:
    """Else one case would be of other ids in the next run: a change here changes the method."""
    case = Case(1_000_003, 64, "float32", 4096, "int64", distribution)
    assert ids.digest(ids.draw(case, 1, 7)) == digest


@given(vocab=st.integers(1, 10**7), share=st.floats(0.01, 0.99))
def test_a_step_visits_every_row(vocab: int, share: float) -> None:
    assert math.gcd(ids._coprime(vocab, share), vocab) == 1


@settings(max_examples=80, deadline=None)
@given(
    vocab=st.integers(1, 3000),
    batch=st.integers(1, 400),
    turns=st.integers(1, 12),
    law=st.sampled_from(["uniform", "zipf", "text", "sorted", "equal"]),
    seed=st.integers(0, 5),
)
def test_batches_apart_keep_their_law_and_share_no_row(
    vocab: int, batch: int, turns: int, law: str, seed: int
) -> None:
    case = Case(vocab, 8, batch=batch, distribution=law)
    apart = ids.draw_apart(case, turns, seed)
    assert len(apart) == turns
    seen: set[int] = set()
    used = 0
    for turn, rows in enumerate(apart):
        law_says = ids.draw(case, turn, seed)
        assert np.array_equal(ranks(rows), ranks(law_says)), "order and repeats are those of the law"
        distinct = set(rows.tolist())
        assert distinct <= set(range(vocab))
        used += len(distinct)
        if used <= vocab:
            assert not distinct & seen, "a row of an earlier turn while there were fresh ones"
        seen |= distinct


def ranks(batch: Ints) -> Ints:
    return np.unique(batch, return_inverse=True)[1]


def test_batches_apart_are_strewn_over_the_table() -> None:
    rows = np.unique(ids.draw_apart(Case(1_000_000, 8, batch=1000), 4, 0)[2])
    assert np.diff(rows).max() < 1_000_000 / 100
    assert rows.min() < 10_000
    assert rows.max() > 990_000


def test_ids_of_a_table_beyond_31_bits_lie_in_it() -> None:
    vocab = 2**33 + 1
    case = Case(vocab, 1, "int8", batch=64)
    first, second = ids.draw_apart(case, 2, 0)
    assert first.min() >= 0
    assert max(first.max(), second.max()) < vocab
    assert max(first.max(), second.max()) > 2**32
    assert not set(first.tolist()) & set(second.tolist())
    edges = ids.draw_edges(case, 0)
    assert (edges[0], edges[-1]) == (vocab - 1, 0)


def test_edges_hold_the_last_row_and_the_first() -> None:
    assert list(ids.draw_edges(Case(500, 8, batch=1), 3)) == [499]
    assert list(ids.draw_edges(Case(500, 8, batch=2), 3)) == [499, 0]


def test_ids_are_read_from_text_and_npy(tmp_path: Path) -> None:
    text = tmp_path / "token ids é.txt"
    text.write_text("3 1\n\t4\r\n1 5\n")
    assert ids.read_file(str(text)).tolist() == [3, 1, 4, 1, 5]
    for dtype in ("uint8", "int16", ">i4", "uint64", "int64"):
        array = tmp_path / "ids.npy"
        np.save(array, np.array([[3, 1], [4, 1]], dtype))
        found = ids.read_file(str(array))
        assert found.dtype == np.int64
        assert found.tolist() == [3, 1, 4, 1]
    np.save(tmp_path / "fortran.npy", np.asfortranarray([[3, 1], [4, 1]]))
    assert ids.read_file(str(tmp_path / "fortran.npy")).tolist() == [3, 1, 4, 1]
    case = Case(10, 4, batch=3, distribution="file:x", index_dtype="int32")
    windows = [ids.draw(case, turn, 0, ids.read_file(str(text))).tolist() for turn in range(3)]
    assert windows == [[3, 1, 4], [1, 5, 3], [1, 4, 1]], "in order, and again from the start"


def test_ids_that_no_table_of_this_size_has_are_named() -> None:
    assert ids.out_of_range(np.array([0, 99]), 100) is None
    for bad in ([0, 100], [-1, 5]):
        reason = ids.out_of_range(np.array(bad), 100)
        assert reason is not None
        assert "0 to 99" in reason


def test_the_classes_of_meta_2022_double_and_have_all_ids() -> None:
    ends = [most for most, _, _ in ids.META_2022]
    assert ends == [2**k for k in range(16)] + [2**17]
    assert sum(share for _, share, _ in ids.META_2022) == pytest.approx(1, abs=0.0025), "rounded as published"


def test_the_text_is_the_one_that_the_suite_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    ids.check_text()
    other = ids._text(False).copy()
    other[-1] ^= 1
    monkeypatch.setattr(ids, "_text", lambda shuffled: other)
    with pytest.raises(
        ValueError, match="holds other ids than the suite ships; restore it from the checkout"
    ):
        ids.check_text()
