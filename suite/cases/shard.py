"""Shard of a plan: one of so many parts of about equal time, each of whole tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from suite.cases.case import Case
from suite.command import BadRequest
from suite.units import count

MOST = 10_000
LIMIT_S, PASSES = 8.0, 3
"""Of a case its rounds, and passes, where tables are shared out: in whatever time, shards are the same."""
BESIDE_S, BYTE_S, TABLE_BYTE_S = 0.35, 25e-9, 3e-9
"""In a pass: of a case beside its rounds, of a byte of its rows, of a byte of its table; for seven backends,
by when their turns began in results/2026-11-29-amd-epyc-07b45d8."""
COLD_ROW_S, COLD_BYTE_S = 250e-6, 1e-9
"""Of a row that is not in the page cache, as one thread waits for it and for what the kernel reads around it;
of a byte of the table, since no lookup reads more than all of it."""
COLD_CALLS, CONTENDERS, ROUNDS = 6, 8, 3
"""In a pass of such a case: lookups beside the rounds; those that take turns in them, and how often."""


class _Task(Protocol):
    @property
    def case(self) -> Case: ...


T = TypeVar("T", bound=_Task)


@dataclass(frozen=True, slots=True)
class Shard:
    """Which of how many; numbers count from 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """The shard that ``2/4`` stands for.

        Raises:
            ValueError: it stands for none.
        """
        found = re.fullmatch(r"([0-9]{1,5})/([0-9]{1,5})", text)
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of <= MOST:
            raise ValueError(f"shard {text!r}: is none; give I/N with I from 1 to N, N at most {MOST:,}")
        return cls(number, of)

    def part(self, tasks: Sequence[T]) -> list[T]:
        """Its tasks, in their order."""
        return split(tasks, self.of)[self.number - 1]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def cold_s(case: Case) -> float:
    """About how long a lookup in a file takes whose pages are not in the page cache; 0 of other cases."""
    if not case.evicted:
        return 0.0
    return min(COLD_ROW_S * case.ids, COLD_BYTE_S * case.table_bytes)


def weight_s(tasks: Sequence[_Task]) -> float:
    """What tasks weigh when tables are shared out, about the seconds that they take.

    By their cases alone, so that every machine cuts a plan alike; how long a run takes is for its forecast.
    """
    tables = {task.case.table: task.case.table_bytes for task in tasks}
    cold = [cold_s(task.case) for task in tasks]
    rounds_s = sum(max(LIMIT_S, PASSES * ROUNDS * CONTENDERS * one) for one in cold)
    beside_s = sum(BESIDE_S + BYTE_S * task.case.rows_bytes for task in tasks) + COLD_CALLS * sum(cold)
    return rounds_s + PASSES * (beside_s + TABLE_BYTE_S * sum(tables.values()))


def split(tasks: Sequence[T], of: int) -> list[list[T]]:
    """The tasks in so many shards, those of a table together, each in their order.

    The longest table first, each to the shard that has least: at most a third above the best there is
    (Graham 1969, "Bounds on multiprocessing timing anomalies"). Only the cases decide.

    Raises:
        BadRequest: there are fewer tables than shards.
    """
    tables: dict[object, list[T]] = {}
    for task in tasks:
        tables.setdefault(task.case.table, []).append(task)
    if of > len(tables):
        has = f"the plan has {count(len(tables), 'table')}, and a table is not shared out"
        raise BadRequest(f"{count(of, 'shard')}: {has}; give at most {len(tables)}")
    taken, shard_of = [0.0] * of, dict[object, int]()
    for table, own in sorted(tables.items(), key=lambda item: -weight_s(item[1])):
        shard_of[table] = taken.index(min(taken))
        taken[shard_of[table]] += weight_s(own)
    shards: list[list[T]] = [[] for _ in range(of)]
    for task in tasks:
        shards[shard_of[task.case.table]].append(task)
    return shards
