"""A table learned from text, and not from its words shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from suite.claims.meaning import (
    corpus,
    learned,
)
from tests.support.meaning import TWO, sentences


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(learned, "BATCH", 256)
    monkeypatch.setattr(learned, "DRAWN", 2**14)
    monkeypatch.setattr(learned, "SUBSAMPLE", 1.0)  # of so few words each is frequent
    yield


def test_like_pairs_are_those_between_the_same_words() -> None:
    text = sentences(12, 4000, 0)
    pairs = [(text.names[a], text.names[b]) for a, b in corpus.like_pairs(text)]
    assert {(f"a{k}", f"b{k}") for k in range(12)} <= set(pairs)
    assert corpus.like_pairs(text, least=10**6) == []
    of_three = corpus.like_pairs(sentences(12, 4000, 0, alike=3))
    paired = [word for pair in of_three for word in pair]
    assert len(of_three) >= 12 and len(set(paired)) == len(paired), "each is the other's nearest"


@pytest.mark.usefixtures("small")
@pytest.mark.long
def test_a_table_learns_from_text_and_not_from_its_words_shuffled() -> None:
    text = sentences(12, 4000, 0)
    pairs = [(4 * k, 4 * k + 1) for k in range(12)]
    found = learned.finding_on(text, pairs, steps=200, seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    assert found.notes[0].startswith("1 of 49 rows still have every bit"), "never is never read"
    steps = [row[0] for row in found.tables[0].rows]
    assert steps[0] == 0 and steps[-1] == 200 and all(a < b for a, b in pairwise(steps))


@pytest.mark.usefixtures("small")
def test_too_short_a_training_is_not_taken_for_learning() -> None:
    text = sentences(12, 4000, 0)
    found = learned.finding_on(text, [(4 * k, 4 * k + 1) for k in range(12)], steps=1, seed=0, backends=TWO)
    assert found.verdict == "FALSE"


@pytest.mark.usefixtures("small")
def test_the_same_seed_gives_the_same_bits() -> None:
    stream = sentences(12, 500, 0).learnt
    one, again, other = (learned.train(stream, 49, 20, seed) for seed in (7, 7, 8))
    assert [at for at, _ in one] == [0, 1, 2, 5, 10, 20]
    for (_, a), (_, b), (_, c) in zip(one, again, other, strict=True):
        assert (a.view(np.int32) == b.view(np.int32)).all()
        assert (a != c).any()
    assert all((before != after).any() for (_, before), (_, after) in pairwise(one))


def test_steps_follow_from_the_time_given_alone() -> None:
    assert learned.steps_for(60) == 60 * learned.STEPS_PER_S
    assert learned.steps_for(0) == learned.FEWEST_STEPS


def test_the_score_is_one_half_for_noise_and_one_for_pairs_that_coincide() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 16)).astype(np.float32)
    pairs = [(k, 200 + k) for k in range(200)]
    noise = learned.score(rows, pairs).nearer
    assert noise.low < 0.5 < noise.high and noise.high - noise.low < 0.1
    rows[200:] = rows[:200]
    same = learned.score(rows, pairs)
    assert same.nearer.value == 1 and round(same.like, 5) == 1 and abs(same.other) < 0.1
    with pytest.raises(ValueError, match="fewer than two pairs"):
        learned.score(rows, pairs[:1])
