"""Claims of nvml_facts.py that take time: energy, power, GPM, utilisation, the effect of polling."""

from __future__ import annotations

import itertools
import random
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from suite import stats
from suite.telemetry.nvml.fields import _value
from suite.telemetry.nvml.figures import SHORTEST_ENERGY_S
from suite.telemetry.nvml.gpm import Gpm
from suite.telemetry.reading import Reading
from tests.tools.nvml_bench import (
    DIFFERS,
    HOLDS,
    OPEN,
    Bench,
    Missing,
    Series,
    changes,
    passed,
    spelled,
    value_of,
    watch,
)

INSTANT_POWER_FIELD = 186
NEAR = 0.05
POLLED_HZ = (0, 1, 10, 100)
ROUNDS = 8
Found = tuple[str, str]
"""The measurement in words, and the verdict."""


def peak_bytes_per_s(bench: Bench) -> float:
    """Two transfers a clock at the memory's maximum clock, times the bus width."""
    return float(value_of(bench.gpu.identity()["theoretical_peak_bytes_per_s"]))


# --- energy and power -------------------------------------------------------------------------------------


def _energy(bench: Bench) -> tuple[Series, float]:
    with bench.load():
        time.sleep(1.5 * bench.pace)
        series = watch(lambda: bench.ask("nvmlDeviceGetTotalEnergyConsumption"), 3 * bench.pace, 0.001)
        power_w = bench.ask("nvmlDeviceGetPowerUsage") / 1000
    stepped = changes(series)
    if len(stepped) < 3:
        raise Missing(f"the counter changed {len(stepped)} times in {3 * bench.pace:g} s")
    return stepped, power_w


def energy_unit(bench: Bench) -> Found:
    """The counter's rate against the power that NVML reports under the same load."""
    steps, power_w = bench.once("energy", _energy)
    (first_s, first), (last_s, last) = steps[0], steps[-1]
    per_s = (last - first) / (last_s - first_s)
    seen = f"{per_s:.0f} units a second while {power_w:.0f} W were reported"
    return seen, HOLDS if abs(per_s / 1000 / power_w - 1) < 0.25 else DIFFERS


def energy_interval(bench: Bench) -> Found:
    """How long the counter stays at one value."""
    steps, _ = bench.once("energy", _energy)
    gaps_ms = [1e3 * (b[0] - a[0]) for a, b in itertools.pairwise(steps)]
    middle = statistics.median(gaps_ms)
    seen = f"{middle:.0f} ms at the median, {min(gaps_ms):.0f} to {max(gaps_ms):.0f}, of {len(gaps_ms)}"
    return seen, HOLDS if 2 * max(gaps_ms) <= 1e3 * SHORTEST_ENERGY_S else DIFFERS


def field(bench: Bench, number: int) -> Reading[Any]:
    """One field value."""
    answer = bench.calls.ask("nvmlDeviceGetFieldValues", value_of(bench.handle), [number])
    return Reading(None, answer.reason) if answer.value is None else _value(answer.value[0])


def power(read: Callable[[Bench], float], half_s: tuple[float, float]) -> Callable[[Bench], Found]:
    """From idle to constant copies: when the reading has risen by half, and by nine tenths.

    Args:
        half_s: seconds between which it must have risen by half for the claim to hold.
    """

    def step(bench: Bench) -> Found:
        read(bench)  # if it is refused, that takes no time
        bench.burst()
        time.sleep(2 * bench.pace)
        idle = statistics.median(value for _, value in watch(lambda: read(bench), 0.2 * bench.pace, 0.02))
        with bench.load():
            began_s = time.perf_counter()
            series = watch(lambda: read(bench), 3 * bench.pace, 0.02)
        half, most = (passed(series, began_s, idle, share) for share in (0.5, 0.9))
        if half is None or most is None:
            return f"no visible step: {idle:.0f} W idle, {series[-1][1]:.0f} W under load", OPEN
        seen = f"{idle:.0f} to {series[-1][1]:.0f} W, half of it after {half:.2f} s, 90 % after {most:.2f} s"
        return seen, HOLDS if half_s[0] <= half <= half_s[1] else DIFFERS

    return step


def power_w(bench: Bench) -> float:
    return float(bench.ask("nvmlDeviceGetPowerUsage")) / 1000


def instant_power_w(bench: Bench) -> float:
    return float(value_of(field(bench, INSTANT_POWER_FIELD))) / 1000


# --- memory bandwidth -------------------------------------------------------------------------------------


def gpm_over(seconds: float) -> Callable[[Bench], Found]:
    """GPM's DRAM figure against the bytes of a copy, three times over ``seconds``."""

    def compare(bench: Bench) -> Found:
        peak = peak_bytes_per_s(bench)
        ratios = [_gpm_ratio(bench, max(0.11, seconds * bench.pace), peak) for _ in range(3)]
        seen = f"{spelled(ratios, '{:.3f}')} of the copy's bytes"
        if all(ratio < 1 - NEAR for ratio in ratios) or all(ratio > 1 + NEAR for ratio in ratios):
            seen += f"; all on one side, so perhaps not of {peak / 1e9:.0f} GB/s"
        return seen, HOLDS if all(abs(ratio - 1) <= NEAR for ratio in ratios) else DIFFERS

    return compare


def _gpm_ratio(bench: Bench, seconds: float, peak: float) -> float:
    sampler = Gpm(bench.calls, value_of(bench.handle), None)
    if sampler.problem:
        raise Missing(sampler.problem)
    bench.burst()
    try:
        sampler.take()
        moved = bench.rate(seconds, bench.burst)
        sampler.take()
        share = value_of(sampler.figures()["dram_utilisation_fraction"])
    finally:
        sampler.free()
    return float(share) * peak / moved


def utilisation(bench: Bench) -> Found:
    """NVML's memory utilisation against bandwidth, for copies without gaps, with gaps and in pieces."""
    source, target = bench.pair
    piece = min(2**18, len(source))

    def pieces() -> int:
        for start in range(0, len(source) - piece + 1, piece):
            target[start : start + piece].copy_(source[start : start + piece])
        bench.arrays.synchronize()
        return 2 * (len(source) // piece) * piece

    bench.ask("nvmlDeviceGetUtilizationRates")  # if it is refused, that takes no time
    loads = {
        "without gaps": (bench.burst, 0.0),
        "half gaps": (bench.burst, 1.0),
        "nine tenths gaps": (bench.burst, 9.0),
        "in pieces of 256 KiB": (pieces, 0.0),
    }
    best, worst, seen = None, 0.0, []
    for name, (burst, gaps) in loads.items():
        moved = bench.rate(1.5 * bench.pace, burst, gaps)
        reported = bench.ask("nvmlDeviceGetUtilizationRates").memory / 100
        best = best or moved
        worst = max(worst, abs(reported - moved / best))
        seen.append(f"{name} {moved / 1e9:.0f} GB/s ({moved / best:.0%}) reported as {reported:.0%}")
    return "; ".join(seen), HOLDS if worst > 0.15 else DIFFERS


# --- polling ----------------------------------------------------------------------------------------------


def polled(hz: int) -> Callable[[Bench], Found]:
    """Times of a short lookup while a thread reads the suite's counters at ``hz``, against no such thread."""

    def compare(bench: Bench) -> Found:
        rounds = bench.once("polling", _polling)
        kernel, enqueue = (stats.ratio(rounds[hz][k], rounds[0][k]) for k in (0, 1))
        late = _late(rounds[hz][1]) / _late(rounds[0][1])
        seen = ", ".join(
            f"{name} {one.value:.3f}x ({one.low:.3f} to {one.high:.3f})"
            for name, one in (("kernel", kernel), ("enqueue", enqueue))
        )
        base = 1e6 * stats.median(rounds[0][0]).value
        verdicts = [stats.verdict(one, stats.ASSUMED_NOISE_FLOOR) for one in (kernel, enqueue)]
        verdict = HOLDS if "SLOWER" in verdicts else OPEN if "UNCLEAR" in verdicts else "not seen"
        return f"{seen} of {base:.1f} µs; the slowest hundredth of enqueue times {late:.2f}x", verdict

    return compare


def _late(rounds: list[list[float]]) -> float:
    samples = sorted(sample for one in rounds for sample in one)
    return samples[int(0.99 * (len(samples) - 1))]


def _polling(bench: Bench) -> dict[int, tuple[list[list[float]], list[list[float]]]]:
    """Rounds of kernel and enqueue times by polling frequency, in turns."""
    value_of(bench.gpu.counters().sm_clock_hz)
    torch, place = bench.arrays.torch, bench.arrays.place
    table = torch.zeros((100_000, 64), device=place)
    out = torch.zeros((512, 64), device=place)
    ids = torch.arange(0, 512 * 97, 97, device=place)
    draw, found = random.Random(0), {hz: ([], []) for hz in POLLED_HZ}

    def lookup() -> Any:
        return torch.index_select(table, 0, ids, out=out)

    bench.clock.turn([lookup] * 64, [lookup] * 64, 4)
    for _ in range(ROUNDS):
        for hz in draw.sample(POLLED_HZ, len(POLLED_HZ)):
            kernel, enqueue = [], []
            with Poller(bench, hz):
                end = time.perf_counter() + bench.pace
                while not kernel or time.perf_counter() < end:
                    turn = bench.clock.turn([lookup] * 8, [lookup] * 256, 4)
                    kernel += turn.kernel_s
                    enqueue += turn.enqueue_s
            found[hz][0].append(kernel)
            found[hz][1].append(enqueue)
    if bench.gpu.unavailable:
        raise Missing(bench.gpu.unavailable)
    return found


class Poller:
    """A thread that reads the suite's counters ``hz`` times a second; none if that is 0."""

    def __init__(self, bench: Bench, hz: int) -> None:
        self.bench, self.hz, self.done = bench, hz, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while True:
            self.bench.gpu.counters()
            if self.done.wait(1 / self.hz):
                return

    def __enter__(self) -> None:
        if self.hz:
            self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.done.set()
        if self.hz:
            self.thread.join()
