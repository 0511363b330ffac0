"""Claims about NVML, tested on a GPU: python -m tests.tools.nvml_facts [--gpu N] [--brief]

One line a claim: the claim, the measurement, and whether the claim holds; or why it can't be measured. It
takes under three minutes; claims not begun by then are left out and their lines say so. Nothing else should
run on the GPU. --brief makes everything as short as possible, to test the script: its figures mean nothing.
Exits with 0 whatever the verdicts are, with 1 if a line failed by an error of the script.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from suite.machine.cuda_device import probe
from suite.telemetry.nvml.calls import Calls
from suite.telemetry.nvml.fields import _RENUMBERED, _release
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading
from tests.tools import nvml_over_time as over_time
from tests.tools.nvml_bench import DIFFERS, HOLDS, LIMIT_S, NOT_KNOWN, OPEN, Bench, Fact, Missing, value_of

TIME_S = 140.0
BROKE, MEASURED = "BROKE", "measured"
OLD_FIELDS, NEW_FIELDS = (251, 252, 253), (269, 270, 271)
MANY = 30
_MEMORY_V2 = 0x02000028


# --- memory -----------------------------------------------------------------------------------------------


def reserved(bench: Bench) -> tuple[str, str]:
    """Which parts add up to the total."""
    two, one = bench.ask("nvmlDeviceGetMemoryInfo", _MEMORY_V2), bench.ask("nvmlDeviceGetMemoryInfo")
    parts = f"v2 {two.used} used, {two.reserved} reserved, {two.free} free of {two.total}; v1 {one.used} used"
    if two.reserved == 0:
        return f"{parts}: nothing is reserved", OPEN
    slack = two.reserved / 2
    if abs(two.used + two.reserved + two.free - two.total) < slack:
        return f"{parts}: v2 excludes it", HOLDS
    if abs(two.used + two.free - two.total) < slack:
        return f"{parts}: v2 includes it", DIFFERS
    return f"{parts}: no parts add up to the total", OPEN


def cuda_memory(bench: Bench) -> tuple[str, str]:
    """CUDA's free bytes beside NVML's."""
    free, total = bench.arrays.torch.cuda.mem_get_info(bench.arrays.device)
    two = bench.ask("nvmlDeviceGetMemoryInfo", _MEMORY_V2)
    seen = f"CUDA {free} free of {total}, NVML {two.free} of {two.total}"
    return seen, HOLDS if abs(free - two.free) <= 2**26 else DIFFERS


# --- which figures are reported ---------------------------------------------------------------------------


def throttle_fields(bench: Bench) -> tuple[str, str]:
    """Which field numbers this driver answers, and the values."""
    driver = value_of(bench.calls.ask("nvmlSystemGetDriverVersion"))
    fields = {number: over_time.field(bench, number) for number in (74, 76, *OLD_FIELDS, *NEW_FIELDS)}
    reasons = {field.reason for field in fields.values()}
    if len(reasons) == 1 and None not in reasons:
        raise Missing(*reasons)
    seen = ", ".join(f"{number}: {field.reason or field.value}" for number, field in fields.items())
    new = _release(driver) >= _RENUMBERED
    used = (74, 76, *(NEW_FIELDS if new else ()))
    verdict = HOLDS if all(fields[number].reason is None for number in used) else DIFFERS
    return f"driver {driver}; {seen}", verdict


def memory_temperature(bench: Bench) -> tuple[str, str]:
    """Temperature of the memory, beside that of the GPU."""
    counters = bench.gpu.counters()
    return f"{value_of(counters.memory_temperature_c)} °C, GPU {counters.temperature_c.value} °C", HOLDS


def gpm(bench: Bench) -> tuple[str, str]:
    """Whether GPM is offered, and permitted."""
    moved = value_of(bench.gpu.dram_bytes_per_s())
    capability = bench.gpu.identity()["compute_capability"].value
    return f"reported, {moved / 1e9:.1f} GB/s when idle, compute capability {capability}", HOLDS


def peak(bench: Bench) -> tuple[str, str]:
    """The fastest of copies of three sizes against clock x width."""
    theory = over_time.peak_bytes_per_s(bench)
    source, target = bench.pair
    rates = []
    for part in (16, 4, 1):
        size = len(source) // part
        a, b = source[:size], target[:size]
        turn = bench.clock.turn([lambda a=a, b=b: b.copy_(a)] * 2, [lambda a=a, b=b: b.copy_(a)] * 16, 1)
        rates.append(2 * size / statistics.median(turn.kernel_s))
    share = max(rates) / theory
    bits = bench.gpu.identity()["bus_width_bits"].value
    seen = f"{theory / 1e9:.0f} GB/s of {bits} bits; copies {max(rates) / 1e9:.0f} GB/s, {share:.1%}"
    return seen, HOLDS if 0.7 <= share <= 1 else DIFFERS


Question = tuple[str, str, Callable[[Bench], tuple[str, str]]]
QUESTIONS: tuple[Question, ...] = (
    ("memory v2", "`used` excludes `reserved` (sources disagree)", reserved),
    ("memory and CUDA", "CUDA's free bytes are NVML's, within 64 MiB", cuda_memory),
    ("energy, unit", "a counter of mJ: its rate is the power", over_time.energy_unit),
    ("energy, interval", "advances about every 0.1 s, so 0.3 s are two steps", over_time.energy_interval),
    (
        "power",
        "an average over 1 s (GA100: instant): half a step after 0.5 s",
        over_time.power(over_time.power_w, (0.3, 0.7)),
    ),
    (
        "power, field 186",
        "instant: half a step within 0.2 s",
        over_time.power(over_time.instant_power_w, (0.0, 0.2)),
    ),
    ("throttle fields", "ns by 74, 76; 269 to 271 from driver 580.82, 251 to 253 before", throttle_fields),
    ("memory temperature", "reported by field 82 where there is a sensor", memory_temperature),
    ("GPM", "offered from compute capability 9.0 on; may be refused in a VM", gpm),
    *(
        (
            f"GPM over {seconds:g} s",
            "its DRAM figure is the copy's bytes, within 5 %, over more than 0.1 s",
            over_time.gpm_over(seconds),
        )
        for seconds in (0.11, 0.3, 1.0, 2.0)
    ),
    ("peak", "2 x clock x width / 8, of which a copy reaches 70 to 100 %", peak),
    ("utilization.memory", "a share of time, not of bandwidth", over_time.utilisation),
    *(
        (f"polling at {hz} Hz", "a thread that polls delays launches", over_time.polled(hz))
        for hz in over_time.POLLED_HZ
        if hz
    ),
)


def facts(bench: Bench, questions: Sequence[Question] = QUESTIONS, time_s: float = TIME_S) -> Iterator[Fact]:
    """A line for every question: its figure, or the reason why there is none."""
    end = time.monotonic() + time_s
    for subject, claimed, ask in questions:
        try:
            if time.monotonic() > end:
                raise Missing(f"not begun within {time_s:g} s")
            yield Fact(subject, claimed, *ask(bench))
        except Missing as error:
            yield Fact(subject, claimed, f"nothing: {error}", NOT_KNOWN)
        except Exception as error:  # an error of this script must not lose the other lines
            yield Fact(subject, claimed, f"nothing: {type(error).__name__}: {error}", BROKE)


# --- what the suite's calls cost --------------------------------------------------------------------------


class Timed(Calls):
    """Calls that record how long each took, and the last reason of each function."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(limit_s)
        self.took_s: defaultdict[str, list[float]] = defaultdict(list)
        self.reasons: dict[str, str | None] = {}

    def ask(self, function: str, *arguments: Any) -> Reading[Any]:
        began = time.perf_counter()
        answer = super().ask(function, *arguments)
        self.took_s[function].append(time.perf_counter() - began)
        self.reasons[function] = answer.reason
        return answer


def costs(bench: Bench) -> Iterator[Fact]:
    """A line for all counters, and one for each call of NVML that the suite makes."""
    with mock.patch("suite.telemetry.nvml.gpu.Calls", Timed):
        gpu = Gpu.open(bench.which, limit_s=LIMIT_S)
    whole_ms: list[float] = []
    for _ in range(MANY if gpu.unavailable is None else 1):
        began = time.perf_counter()
        gpu.counters()
        whole_ms.append(1e3 * (time.perf_counter() - began))
        gpu.identity()
        gpu.memory()
    gpu.sustained(lambda: 1, 0.12)  # GPM's
    gpu.close()
    claimed = "some milliseconds for reading all counters"
    if gpu.unavailable != "closed":
        yield Fact("cost of the counters", claimed, f"nothing: {gpu.unavailable}", NOT_KNOWN)
        return
    seen = f"{statistics.median(whole_ms):.2f} ms at the median, {max(whole_ms):.2f} ms at most"
    yield Fact("cost of the counters", claimed, seen, HOLDS if statistics.median(whole_ms) < 10 else DIFFERS)
    calls = gpu._calls
    for function, took_s in calls.took_s.items():
        middle, most = 1e6 * statistics.median(took_s), 1e6 * max(took_s)
        why = f" ({calls.reasons[function]})" if calls.reasons[function] else ""
        seen = f"{middle:.0f} µs at the median, {most:.0f} µs at most, of {len(took_s)}{why}"
        yield Fact(function, "no figure", seen, MEASURED)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--gpu", type=int, default=0, metavar="N", help="the GPU's number in torch (default: 0)"
    )
    parser.add_argument("--brief", action="store_true", help="as short as possible, to test the script")
    request = parser.parse_args(argv)
    device = probe(request.gpu)
    bench = Bench(request.gpu, device, 0.05 if request.brief else 1.0)
    name = bench.gpu.identity()["name"]
    print(f"GPU {request.gpu}: torch sees {device if isinstance(device, str) else device.name}", end="; ")
    print(f"NVML sees {name.value or f'none ({name.reason})'}", flush=True)
    verdicts: Counter[str] = Counter()
    for lines in (facts(bench), costs(bench)):
        for line in lines:
            print(line, flush=True)
            verdicts[line.verdict] += 1
    print(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    return 1 if verdicts[BROKE] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
