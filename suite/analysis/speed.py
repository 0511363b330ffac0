"""Full speed: which turns were taken while the machine ran as fast as it can, by the meter alone.

A processor may change its speed within seconds, by half and more, where another's work shares its core or its
power. The meter, a fixed piece of work timed around every turn, shows it; a sample never decides whether it
counts. What the meter reads, at full speed and else, is printed by python -m tests.tools.full_speed.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from suite.records.record import AS_ON_A_CPU, Environment, Fact, Record, Rounds
from suite.stats import FULL_SPEED_TOLERANCE, low_quantile

SLOWS_THE_METER = 0.25
"""Share of the rounds in which a contender reads slow though all others read fast, from which on it is itself
what slows the meter."""
FEWEST_OF_OTHERS = 6
"""In fewer rounds at the others' full speed that can't be told."""

MOST_FASTER = 1.75
"""A best that was better by more is of another processor: hosts of two kinds, one twice as fast as the other,
can look the same to a virtual machine. A neighbour on the core slows the meter by 1.3 to 1.5."""

FULL_SPEED = 1 / (1 + FULL_SPEED_TOLERANCE)
"""The least speed that is full, relative to the machine's best."""

Key = tuple[str | None, str, str]
"""Of one contender in a measurement: environment, role, name."""
Place = tuple[str, str]
"""(measurement, device): whose contenders took turns."""
References = Mapping[int, float]
"""The meter's reading at full speed in seconds, by its number of threads."""


@dataclass(frozen=True, slots=True)
class Metered:
    """The turns of one contender: when each began, in seconds since the epoch, and what the meter read."""

    began_s: tuple[float, ...]
    meter_s: Rounds
    threads: int

    @classmethod
    def of(cls, record: Record) -> Metered | None:
        """Null of a record without a meter's readings."""
        samples = record.samples
        if samples is None or samples.meter_threads is None or not all(samples.meter_s):
            return None
        whole = len(samples.meter_s) == len(samples.began_s) == len(record.rounds)
        return cls(samples.began_s, samples.meter_s, samples.meter_threads) if whole else None


def key_of(record: Record) -> Key:
    """Which contender of its measurement a record is of."""
    return record.environment, record.role, record.backend


class Moment(NamedTuple):
    """One turn in a run: when it began, and the machine's speed then, 1 being full speed."""

    began_s: float
    speed: float


def references(turns: Iterable[tuple[str, Metered]], known: Mapping[str, Fact]) -> dict[int, float]:
    """What the meter reads at full speed: a low quantile, or less where an earlier run knows of less.

    The quantile is each contender's own and the middle one counts, so that none makes its own measure.

    Args:
        turns: of every record, with the name of its contender. known: by threads, as an environment has it.
    """
    readings: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, metered in turns:
        for one in metered.meter_s:
            readings[metered.threads][name] += one
    found = {
        threads: statistics.median_low(map(low_quantile, by_name.values()))
        for threads, by_name in readings.items()
    }
    for threads, reading in found.items():
        earlier = known.get(str(threads))
        if isinstance(earlier, float) and reading / MOST_FASTER < earlier < reading:
            found[threads] = earlier
    return found


def slowness(turns: Mapping[Key, Metered], full: References) -> dict[Key, list[float]]:
    """How many times slower than at full speed the meter ran around each turn of a measurement.

    Between two turns each has a reading of its own, and the faster counts: a lookup whose threads still spin
    slows the one after it, not the machine.
    """
    order = sorted((began, key, k) for key, of in turns.items() for k, began in enumerate(of.began_s))
    relative = {key: [[s / full[of.threads] for s in one] for one in of.meter_s] for key, of in turns.items()}
    worst = {key: [max(one) for one in of] for key, of in relative.items()}
    for place, (_, key, k) in enumerate(order):
        first, *between, last = relative[key][k] if len(relative[key][k]) > 1 else relative[key][k] * 2
        if place:
            _, other, j = order[place - 1]
            first = min(first, relative[other][j][-1])
        if place + 1 < len(order):
            _, other, j = order[place + 1]
            last = min(last, relative[other][j][0])
        worst[key][k] = max(first, *between, last)
    return worst


def at_full_speed(
    turns: Mapping[Key, Metered], slow: Mapping[Key, Sequence[float]]
) -> dict[Key, tuple[bool, ...]]:
    """For each turn of a measurement, whether the machine was at full speed, from ``slowness``.

    A contender that itself slows the meter is judged by the others that ran on as many threads: it could
    else choose its rounds.
    """
    flags = {key: [one <= 1 + FULL_SPEED_TOLERANCE for one in of] for key, of in slow.items()}
    return {key: tuple(_by_others(key, flags, turns) or own) for key, own in flags.items()}


def _by_others(
    key: Key, flags: Mapping[Key, Sequence[bool]], turns: Mapping[Key, Metered]
) -> Sequence[bool] | None:
    """The flags of the others' rounds, if by them it is itself what slows the meter."""
    peers = [flags[k] for k, of in turns.items() if k != key and of.threads == turns[key].threads]
    if not peers:
        return None
    own = flags[key]
    others = [all(peer[k] for peer in peers if k < len(peer)) for k in range(len(own))]
    slow = sum(other and not mine for other, mine in zip(others, own, strict=True))
    suspect = sum(others) >= FEWEST_OF_OTHERS and slow > SLOWS_THE_METER * sum(others)
    return others if suspect else None


class Judged(NamedTuple):
    """The turns of a run, by the meter.

    Attributes:
        flags: for each turn of each contender of a measurement, whether the machine was at full speed.
        moments: the machine's speed over the run.
        full_speed_s: what the meter reads at full speed.
    """

    flags: Mapping[Place, Mapping[Key, tuple[bool, ...]]]
    moments: tuple[Moment, ...]
    full_speed_s: References


def judge(groups: Mapping[Place, Mapping[Key, Metered]], known: Mapping[str, Fact]) -> Judged:
    """Judge the turns of every measurement of a run.

    Args:
        known: what the meter reads at full speed, as far as earlier runs know.
    """
    full = references(((f"{key}", of) for group in groups.values() for key, of in group.items()), known)
    slow = {place: slowness(group, full) for place, group in groups.items()}
    flags = {place: at_full_speed(group, slow[place]) for place, group in groups.items()}
    turns = ((group[key], slow[place][key]) for place, group in groups.items() for key in group)
    return Judged(flags, moments(turns), full)


def moments(turns: Iterable[tuple[Metered, Sequence[float]]]) -> tuple[Moment, ...]:
    """The machine's speed over a run, in order, from its turns and their slowness."""
    return tuple(
        sorted(
            Moment(began, 1 / slow)
            for of, all_slow in turns
            for began, slow in zip(of.began_s, all_slow, strict=True)
        )
    )


def full_speed_share(moments: Sequence[Moment]) -> float:
    """The share of a run's turns in which the machine was at full speed; nan of none."""
    full = sum(moment.speed >= FULL_SPEED for moment in moments)
    return full / len(moments) if moments else math.nan


Meter = tuple[str, Fact, int]
"""Machine, compiler and method."""
Fullest = Mapping[Meter, Mapping[str, Fact]]
"""What meters read at full speed, by number of threads."""


def meter_of(environment: Environment) -> Meter:
    """What two runs must share for their meters' readings to be comparable: machine, compiler, method."""
    method = AS_ON_A_CPU.get(environment.method, environment.method)
    return environment.machine, environment.packages.get("numba"), method


def fullest(environments: Iterable[Environment]) -> Fullest:
    """By meter, what it reads at the fullest speed that any of these runs knows, by threads."""
    found: dict[Meter, dict[str, Fact]] = defaultdict(dict)
    for environment in environments:
        known = found[meter_of(environment)]
        for threads, reading in environment.full_speed_s.items():
            if isinstance(reading, float) and reading > 0:
                best = known.get(threads)
                known[threads] = min(best, reading) if isinstance(best, float) else reading
    return dict(found)
