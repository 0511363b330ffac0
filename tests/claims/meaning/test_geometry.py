"""The claims about geometry on planted tables, and on GloVe where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from suite.claims.finding import Finding
from suite.claims.meaning import (
    geometry,
    glove,
    real_rows,
)
from tests.support.meaning import TWO, needs, planted


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def test_a_planted_table_has_its_queen() -> None:
    found = by_name(geometry.findings_on(*planted(), seed=0, backends=TWO))
    assert tuple(found) == ("near-means-similar", "king-queen", "same-rows")
    royal = found["king-queen"]
    assert royal.verdict == "TRUE"
    assert royal.tables[0].rows[0][0] == "queen"
    assert royal.number.startswith("queen is no. 1, or no. 1 with king")
    assert str(royal.tables[1].rows[-1][4]).startswith("0 %"), "random numbers solve nothing"
    assert found["same-rows"].verdict == "TRUE"
    assert len(found["same-rows"].tables[0].rows) == len(TWO) * len(real_rows.LAYOUTS)


def test_where_the_relation_drowns_the_answer_is_there_once_the_inputs_are_left_out() -> None:
    found = by_name(geometry.findings_on(*planted(noise=0.15, added=0.15), seed=0, backends=TWO))
    royal = found["king-queen"]
    assert royal.verdict == "IT DEPENDS"
    assert [row[0] for row in royal.tables[0].rows[:2]] == ["king", "queen"]
    assert royal.number.startswith("queen is no. 2, or no. 1 with king")


def test_random_numbers_hold_no_meaning() -> None:
    names, table = planted()
    noise = np.random.default_rng(3).standard_normal(table.shape, np.float32)
    found = by_name(geometry.findings_on(names, noise, seed=0, backends=TWO))
    assert found["king-queen"].verdict == "FALSE"
    assert found["near-means-similar"].verdict == "FALSE"
    assert found["same-rows"].verdict == "TRUE"


def test_ranks_do_not_count_the_words_left_out() -> None:
    table = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], np.float32)
    names = ["a", "b", "c", "d"]
    space = glove.space(names, table, dict(zip(names, table, strict=True)))
    query = np.array([1, 0], np.float32)
    assert space.ranks([query] * 40, ["c"] * 40, [()] * 40) == [3] * 40
    assert space.ranks([query, query], ["c", "d"], [("a", "b"), ("a",)]) == [1, 3]
    assert [name for name, _ in space.nearest(query, 2, ("a",))] == ["b", "c"]


def test_a_table_without_queen_is_refused_and_its_other_words_may_lack() -> None:
    names, table = planted()
    at = names.index("queen")
    with pytest.raises(ValueError, match="it has no queen"):
        geometry.findings_on([*names[:at], "quern", *names[at + 1 :]], table, seed=0, backends=TWO)
    lima = names.index("lima")
    fewer = geometry.findings_on([*names[:lima], "lime", *names[lima + 1 :]], table, seed=0, backends=TWO)
    assert any("all words of 98 of 100 analogies" in note for note in by_name(fewer)["king-queen"].notes)


def test_glove_puts_queen_second_and_first_without_the_inputs() -> None:
    needs(*glove.PACKAGES)
    names, table = glove.read()
    assert table.shape == (400000, 50) and table.flags.c_contiguous
    found = by_name(geometry.findings_on(names, table, seed=0, backends=TWO))
    royal = found["king-queen"]
    assert royal.verdict == "IT DEPENDS"
    assert royal.tables[0].rows[:2] == (("king", 0.886), ("queen", 0.861))
    assert royal.number.startswith("queen is no. 2, or no. 1 with king, man and woman excluded; of 100")
    assert found["near-means-similar"].verdict == "IT DEPENDS"
    assert found["same-rows"].verdict == "TRUE"
