"""The words of the meaning claims."""

from __future__ import annotations

from suite.claims.meaning import (
    lexicon,
)


def test_the_analogies_are_100_of_ten_kinds_and_king_is_in_none() -> None:
    found = lexicon.analogies()
    assert len(found) == len(set(found)) == 100
    assert {sum(one.kind == kind for one in found) for kind in {one.kind for one in found}} == {10}
    assert not {"king", "queen"} & {word for one in found for word in one[1:]}
    assert all(len({one.a, one.b, one.c, one.d}) == 4 for one in found)
    assert lexicon.analogies()[0] == ("country to capital", "norway", "oslo", "peru", "lima")


def test_no_word_is_in_two_groups_and_every_triple_has_three() -> None:
    grouped = [word for text in lexicon.GROUPS.values() for word in text.split()]
    assert len(grouped) == len(set(grouped)) == 95
    assert len(lexicon.LIKE_AND_OPPOSITE) == 40
    assert all(len(set(triple)) == 3 for triple in lexicon.LIKE_AND_OPPOSITE)


def test_a_word_stands_once_in_each_of_its_sentences() -> None:
    for sense in lexicon.SENSES:
        assert len(sense.in_first) == len(sense.in_second) == 8
        for sentence in (*sense.in_first, *sense.in_second):
            assert sentence.lower().split().count(sense.word) + sentence.lower().count(f"{sense.word}.") == 1
