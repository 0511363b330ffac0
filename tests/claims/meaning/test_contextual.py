"""Senses told apart by an encoder that looks around, and not by the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from suite.claims.meaning import (
    contextual,
    encoder,
    lexicon,
)
from tests.support.meaning import DIM, TWO, needs, save

SENSE = lexicon.Senses(
    "bank",
    "river",
    "money",
    tuple(f"the bank of the river {n}" for n in "abcd"),
    tuple(f"money in this bank now {n}" for n in "abcd"),
)


def test_an_encoder_that_looks_around_tells_senses_apart(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    found = contextual.finding_on(encoder.read(tmp_path), [SENSE], seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    lines = found.tables[0].rows
    assert [line[1] for line in lines] == ["table row", "with position", "layer 1", "layer 2"]
    assert lines[0][2:] == (1.0, 1.0, 1.0, None, None), "of rows that are all one none is the nearest"
    assert all(isinstance(line[4], float) and line[4] < 1 for line in lines[1:])


def test_what_is_followed_is_the_word(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    model = encoder.read(tmp_path)
    looked_up = [(ids, model.table[ids]) for ids in map(model.ids, (*SENSE.in_first, *SENSE.in_second))]
    depths = contextual.occurrences(model, SENSE, looked_up)
    assert [depth.shape for depth in depths] == [(8, DIM)] * 4
    assert (depths[0] == model.table[model.pieces["bank"]]).all()
    ids, rows = looked_up[5]
    assert (depths[3][5] == model.run(rows)[2][ids.index(model.pieces["bank"])]).all()


def test_an_encoder_that_does_not_look_around_does_not(tmp_path: Path) -> None:
    save(tmp_path, "the bank of river money in this now a b c d")
    model = encoder.read(tmp_path)
    for name, weight in model.weights.items():
        if "attention.output.dense" in name or "position" in name:
            weight[...] = 0
    assert contextual.finding_on(model, [SENSE], seed=0, backends=TWO).verdict == "FALSE"


def test_a_word_of_several_pieces_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "the ban ##k of river money in this now a b c d")
    with pytest.raises(ValueError, match="'bank' is not one word piece"):
        contextual.finding_on(encoder.read(tmp_path), [SENSE], seed=0, backends=TWO)


def test_vectors_in_two_heaps_are_apart_and_one_heap_is_not() -> None:
    rng = np.random.default_rng(0)
    first = [True] * 8 + [False] * 8
    heaps = rng.standard_normal((2, 32)).repeat(8, 0) * 3 + rng.standard_normal((16, 32))
    two = contextual.apart(heaps.astype(np.float32), first, seed=0)
    assert two.gap.low > 0.3 and two.nearest.value == 1 and two.within > two.between
    one = contextual.apart((3 + rng.standard_normal((16, 32))).astype(np.float32), first, seed=0)
    assert one.gap.low < 0 < one.gap.high


def test_minilm_tells_the_senses_apart() -> None:
    needs(*encoder.PACKAGES)
    found = contextual.finding_on(encoder.read(), lexicon.SENSES, seed=0, backends=TWO)
    assert found.verdict == "TRUE", found.why
    assert len(found.tables[0].rows) == len(lexicon.SENSES) * 8
