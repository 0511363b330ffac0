"""Shares of a table and of a batch: which rank holds what; pure arithmetic, for any number of ranks."""

from __future__ import annotations

from suite.cases.case import Case

SHARDINGS = ("row", "column")


def each_of(size: int, ranks: int) -> int:
    """How many of ``size`` rows or columns a rank holds, as torch.chunk cuts; the last may hold fewer."""
    return -(-size // ranks)


def held(size: int, ranks: int, rank: int) -> int:
    """How many of them this rank holds."""
    each = each_of(size, ranks)
    return max(0, min(each, size - rank * each))


def refusal(case: Case, sharding: str, ranks: int) -> str | None:
    """Why this table can't be cut for so many ranks; None if it can."""
    size, what = (case.vocab, "row") if sharding == "row" else (case.dim, "column")
    empty = sum(not held(size, ranks, rank) for rank in range(ranks))
    if empty:
        return f"{case.table_text}: {empty} of {ranks} ranks would hold no {what}; use fewer ranks"
    return None


def part_bytes(case: Case, sharding: str, ranks: int) -> int:
    """Bytes of the largest part."""
    if sharding == "row":
        return each_of(case.vocab, ranks) * case.row_bytes
    return case.vocab * each_of(case.dim, ranks) * (case.row_bytes // case.dim)
