"""How long a turn is, and how many lookups make a sample of it: plain numbers in and out."""

from __future__ import annotations

import math

import numpy as np

TURN_S = 0.02
"""Length of a turn's samples: the machine drifts, so turns that are to be compared must be close together."""
SETTLE_S = 0.002
"""Length of a turn's first calls, set apart: threads of the turn before still spin, its own must wake up, and
what another streamed past the caches must come back into them."""
SAMPLES = 64
"""So many samples a turn; of short lookups a sample is the mean of several."""
SHORTEST_QUEUED_S = 20e-6
"""On a GPU a sample is no shorter: events resolve 0.5 µs."""


def lookups_per_sample(
    estimate_s: float, turn_s: float, slots: int, hot: bool, swept: bool, queued: int
) -> int:
    """So many that a turn has no more samples than it should, each lookup as cold as one alone.

    Args:
        estimate_s: time of a lookup. turn_s: length of a turn.
        slots: batches that take turns. hot: whether they are one, again and again.
        swept: whether caches are swept before a turn, which then is one pass over the slots.
        queued: how many lookups a GPU's queue takes; 0 without one.
    """
    shortest_s = max(turn_s / SAMPLES, SHORTEST_QUEUED_S if queued else 0.0)
    count = math.ceil(shortest_s / estimate_s)
    if queued:
        count = min(count, queued)
    if hot:
        return count
    return min(count, max(1, slots // SAMPLES) if swept else slots)


def sizes(
    estimate_s: float, turn_s: float, repeat: int, slots: int, swept: bool, rng: np.random.Generator
) -> tuple[int, int]:
    """Settling calls and timed calls of a turn; its end, where checks happen, is not foreseeable."""
    settle = max(1, round(SETTLE_S / estimate_s))
    if estimate_s < SETTLE_S:  # of long ones, one call more would be time that gives no sample
        settle += int(rng.integers(0, 2))
    samples = min(SAMPLES, max(2, round(turn_s / estimate_s / repeat)))
    samples += int(rng.integers(0, max(2, samples // 8)))
    if not swept:
        return settle, samples * repeat
    # One pass over the slots is all that a sweep buys.
    settle = min(settle, slots // 8)
    spare = int(rng.integers(0, 1 + -(-slots // 8)))
    count = max(1, min(samples * repeat, slots - settle - spare))
    return settle, max(count // repeat * repeat, min(count, repeat))
