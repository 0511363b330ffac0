"""Records with a meter's readings, and runs of several passes, made up: what the tests of full speed read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.cases.case import Case
from suite.records.record import Environment, Record
from suite.records.store import Run
from tests.support import fabricate

FULL_S = 15e-6
"""What the meter reads at full speed."""
TURN_S = 0.02


def metered(
    records: Iterable[Record], slow: Sequence[bool], began_s: float = 0.0, slowed: float = 1.4, **meter: Any
) -> list[Record]:
    """The records of one measurement as of a machine that is slower in some rounds, as its meter shows.

    Args:
        slow: for each round. began_s: when the first turn began. slowed: how many times longer all takes.
        meter: ``threads``, 1 unless given, and ``full_s``, what it reads at full speed.
    """
    contenders = list(records)
    return [
        _metered(one, place, len(contenders), slow, began_s, slowed, **meter)
        for place, one in enumerate(contenders)
    ]


def _metered(
    one: Record,
    place: int,
    contenders: int,
    slow: Sequence[bool],
    began_s: float,
    slowed: float,
    threads: int = 1,
    full_s: float = FULL_S,
) -> Record:
    if one.samples is None:
        return one
    factors = [slowed if flag else 1.0 for flag in slow]
    rounds = zip(one.samples.call_s, factors, strict=True)
    samples = replace(
        one.samples,
        call_s=tuple(tuple(second * factor for second in of) for of, factor in rounds),
        began_s=tuple(began_s + (k * contenders + place) * TURN_S for k in range(len(slow))),
        meter_s=tuple((full_s * factor, full_s * factor) for factor in factors),
        meter_threads=threads,
    )
    return replace(one, samples=samples)


def measurement(
    case: Case,
    speed: Mapping[str, float],
    passes: Sequence[float] = (1.0, 1.0, 1.0),
    slow: Sequence[Sequence[bool]] | None = None,
    seed: int = 0,
    slowed: float = 1.4,
    **changes: Any,
) -> list[Record]:
    """The records of one case over several passes.

    Args:
        passes: how many times longer all but the copy takes in each pass. slow: in each pass, for each round
            whether the machine is slow; without it there is no meter. changes: of each record.
    """
    made: list[Record] = []
    shape = {"noise": 0.0, **changes.pop("shape", {})}
    for number, factor in enumerate(passes, 1):
        own = {name: of * factor for name, of in speed.items()}
        records = fabricate.measurement(
            case, 1000 * number + seed, own, seed, shape=shape, pass_number=number, **changes
        )
        made += records if slow is None else metered(records, slow[number - 1], 100.0 * number, slowed)
    return made


def run(
    path: Path,
    cases: Iterable[Case],
    speed: Mapping[str, float],
    environment: Environment = fabricate.ENVIRONMENT,
    seed: int = 0,
    **options: Any,
) -> Run:
    """A run of several passes on disk."""
    made = Run.create(path, environment)
    for number, case in enumerate(cases):
        made.append(measurement(case, speed, seed=seed + number, **options))
    return made
