"""Which rank holds what, for any number of ranks."""

import pytest
import torch

from suite.cases.case import Case
from suite.ranks import split

RANKS = (1, 2, 3, 8, 64, 1000)


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("size", [1, 7, 64, 65, 1000, 50257])
def test_parts_are_those_of_torch_and_cover_all_once(size: int, ranks: int) -> None:
    held = [split.held(size, ranks, rank) for rank in range(ranks)]
    theirs = [len(chunk) for chunk in torch.arange(size).chunk(ranks)]
    assert held == theirs + [0] * (ranks - len(theirs))
    assert sum(held) == size


def test_a_rank_without_a_row_is_refused_in_a_line() -> None:
    case = Case(65, 8, batch=64)
    assert split.refusal(case, "row", 64) == "65x8 float32: 31 of 64 ranks would hold no row; use fewer ranks"
    said = "65x8 float32: 56 of 64 ranks would hold no column; use fewer ranks"
    assert split.refusal(case, "column", 64) == said
    assert split.refusal(case, "row", 13) is None


def test_bytes_are_those_of_the_largest_part() -> None:
    case = Case(10, 6, "bfloat16")
    assert split.part_bytes(case, "row", 3) == 4 * 6 * 2
    assert split.part_bytes(case, "column", 4) == 10 * 2 * 2
