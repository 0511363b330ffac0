"""Runs made up for the page."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import get_args

from suite.cases.case import Case
from suite.records.record import Status
from suite.records.store import Run
from tests.support import fabricate

CASES = tuple(
    Case(vocab, dim, dtype, batch, distribution=law, cache=cache)
    for vocab, dim, dtype in ((50257, 768, "float32"), (128256, 4096, "bfloat16"))
    for batch, law, cache in ((1, "uniform", "cold"), (512, "uniform", "cold"), (512, "zipf", "hot"))
)
GPU = replace(
    fabricate.ENVIRONMENT,
    devices=("cuda:0", "cpu"),
    gpu={"name": "A GPU", "theoretical_peak_bytes_per_s": 3.35e12},
    machine="b" * 16,
)
FAILURES = tuple(status for status in get_args(Status) if status != "ok")
EVIL = (
    "<script>window.evil=1</script>",
    "</script><script>window.evil=2</script>",
    "\"><img src=x onerror='window.evil=3'><b class=evil>",
    "=HYPERLINK(\"http://example.invalid\",'a')",
    "javascript:window.evil=4",
    "{{ 7 * 7 }}\u2028\u2029\x1b[31m\x00\ud800 ${window.evil=5} &lt;i class=evil&gt;",
    "__proto__",
)


def gpu_run(path: Path) -> None:
    """A GPU and the reference beside it: three clocks, energy in part, every kind of failure."""
    run, draw = Run.create(path, GPU), random.Random(0)
    for number, case in enumerate(CASES):
        known = {"clock": "kernel", "device": "cuda:0"}
        seconds = 2e-6 + case.payload_bytes / 2.5e12
        made = [
            fabricate.record("copy_torch", case, seconds * 0.8, draw, f"m{number}", role="ceiling", **known)
        ]
        for name, factor in (("torch_embedding", 1.5), ("cupy_rawkernel", 1.0), ("triton_gather", 1.001)):
            one = fabricate.record(name, case, seconds * factor, draw, f"m{number}", **known)
            short = {"energy_j": None, "energy_j_missing": "the window is too short"}
            seen = {"joules_per_gb": 0.1 * factor, "mean_power_w": 300.0} if case.batch > 1 else short
            made.append(replace(one, telemetry=seen, converged=number > 0))
        for k, status in enumerate(FAILURES):
            why = f"{status} on purpose"
            made.append(
                fabricate.failure(f"odd_{k}", case, f"m{number}", status=status, reason=why, device="cuda:0")
            )
        run.append(made)
        run.append(fabricate.measurement(case, number + 100, speed={"numpy_take": 1.0}))


def counted_run(path: Path) -> None:
    """A GPU whose counters were read."""
    run, draw = Run.create(path, GPU), random.Random(0)
    known = {"clock": "kernel", "device": "cuda:0"}
    for number, case in enumerate(CASES):
        copy = fabricate.record("copy_torch", case, 1e-5, draw, f"m{number}", role="ceiling", **known)
        one = fabricate.record("cupy_rawkernel", case, 2e-5, draw, f"m{number}", **known)
        run.append([copy, replace(one, telemetry=fabricate.counted(case, 2e-5, dram=0.5))])


def tied_run(path: Path) -> None:
    """Three tables at one batch; ``b`` is slower on the first, and can't be told from ``a`` on the others."""
    run = Run.create(path, fabricate.ENVIRONMENT)
    for number, vocab in enumerate((1000, 2000, 3000)):
        speed = {"a": 1.0, "b": 1.001 if number else 2.0}
        run.append(fabricate.measurement(Case(vocab, 64, batch=512), number, speed))


def divided_run(path: Path) -> None:
    """Each of three backends wins one of three tables; ``long_…`` stays near, ``absent`` lacks one."""
    run = Run.create(path, replace(fabricate.ENVIRONMENT, settings={"precision": 0.01}))
    names = ("a", "b", "long_name_of_a_backend_x", "absent")
    for number, times in enumerate(((1.0, 2.0, 1.2, 1.1), (2.0, 1.0, 1.4, 1.1), (2.0, 3.0, 1.0, 1.1))):
        for batch in (16, 512):
            speed = dict(zip(names[: 4 if number else 3], times, strict=False))
            case = Case(1000 * (number + 1), 64, batch=batch)
            run.append(fabricate.measurement(case, 10 * number + batch, speed, converged=False))


SLOW = ((0.0, 0.96), (5.76, 6.72), (11.52, 12.48), (13.0, 13.2))
"""Seconds of ``slow_run`` in which the machine was slow: the first case of each pass, and a while."""


def slow_run(path: Path) -> None:
    """Three passes on a machine that was slow for a while."""
    known = replace(fabricate.ENVIRONMENT, full_speed_s={"1": fabricate.METER_S})
    fabricate.passes(path, CASES, slowness=fabricate.slow_between(*SLOW), environment=known)


def environments_run(path: Path) -> None:
    """Backends of two Python environments that took turns; they are slower in the second."""
    both = {"base": 1.0, "head": 1.25}
    facts = {name: {"python": f"{name}/bin/python", "version": "3.13.1"} for name in both}
    where = replace(fabricate.ENVIRONMENT, environments=facts)
    fabricate.passes(path, CASES, environments=both, environment=where)


def evil_run(path: Path) -> None:
    """Every text that a file can hold is hostile."""
    facts = {text: text for text in EVIL}
    environment = replace(
        fabricate.ENVIRONMENT, argv=EVIL, commit=EVIL[1], packages=facts, cpu={**facts, "model": EVIL[0]}
    )
    environment = replace(environment, environments={EVIL[0]: facts, EVIL[1]: facts}, full_speed_s=facts)
    run = Run.create(path, replace(environment, gpu={"name": EVIL[2]}, created=EVIL[1], machine=EVIL[0]))
    case = replace(CASES[0], distribution="file:" + EVIL[2])
    speed = {text: 1.0 + k for k, text in enumerate(EVIL)}
    made = fabricate.measurement(case, speed=speed, device="cuda" + EVIL[0], environment=EVIL[1])
    run.append(fabricate.metered(made))
    run.append(
        replace(fabricate.failure(text, CASES[1], "m1", status="crashed", reason=text), environment=EVIL[1])
        for text in EVIL
    )
