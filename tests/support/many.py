"""Runs of very many machines and records, made up in memory: what a page of them must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case, Sweep
from suite.records.record import Environment, Memory
from tests.support import fabricate

BACKENDS = tuple(f"backend_{k}" for k in range(9))
ROUNDS = 12
SWEEP = Sweep(
    vocab=tuple(50_000 + 1_000 * k for k in range(10)),
    dim=(16, 64, 128, 256, 512, 768, 1024, 4096),
    batch=(1, 16, 17, 512, 4096, 8192, 65536),
    distribution=("uniform", "zipf"),
    cache=("cold", "hot"),
)
"""80 tables and 2,240 cases: as many records as 20,000 and a few more."""


def results(runs: int = 30) -> Results:
    """So many runs, each of a machine of its own, of 20,160 records; some fail, some are not measured."""
    outcomes: list[Outcome] = []
    environments: dict[str, Environment] = {}
    for number in range(runs):
        draw, run = np.random.default_rng(number), f"2026-11-{number + 1:02d}-node{number}"
        environments[run] = replace(
            fabricate.ENVIRONMENT,
            machine=f"{number:016x}",
            created=f"2026-11-{number + 1:02d}T12:00:00+00:00",
            cpu={"model": f"Processor {number}"},
        )
        for case in SWEEP:
            outcomes += _of_case(run, case, draw)
    return Results(environments, tuple(outcomes), ())


def _of_case(run: str, case: Case, draw: np.random.Generator) -> list[Outcome]:
    seconds = 1e-6 + case.payload_bytes / 2e10 * draw.lognormal(0, 0.3, len(BACKENDS))
    rounds = (seconds[:, None] * draw.lognormal(0, 0.01, (len(BACKENDS), ROUNDS))).tolist()
    failed = draw.random(len(BACKENDS)) < 0.01
    return [
        _outcome(run, name, case, None if bad else tuple(of))
        for name, of, bad in zip(BACKENDS, rounds, failed, strict=True)
    ]


def _outcome(run: str, backend: str, case: Case, medians: tuple[float, ...] | None) -> Outcome:
    return Outcome(
        run=run,
        backend=backend,
        device="cpu",
        case=case,
        status="ok" if medians else "out_of_memory",
        reason=None if medians else "too large",
        measurements=("m",),
        clock="call" if medians else None,
        converged=True if medians else None,
        traffic=None,
        memory=Memory(),
        telemetry={},
        method=5,
        medians={"call": medians} if medians else {},
        samples=5 * ROUNDS if medians else 0,
        autocorrelation=None,
        calls_per_sample=1 if medians else None,
        held=None,
        passes=(ROUNDS,) if medians else (),
    )
