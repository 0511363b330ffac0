"""argv to a request: everything a user can get wrong is caught here, before anything heavy is imported."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends import Description, UnknownBackend, describe, names
from suite.cases.case import (
    AXES,
    CACHES,
    DISTRIBUTIONS,
    DTYPE_BYTES,
    INDEX_BYTES,
    MAX_OFFSET,
    Case,
    Sweep,
    plan,
)
from suite.cases.presets import MODELS, PRESETS, model_sweep
from suite.command import BadRequest, list_of, named, path_of, seconds_of, whole_of

SUSTAIN_S = 1.2


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do; values only."""

    preset: str
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    gpu: int | None
    out: str | None
    resume: str | None
    ids_file: str | None
    precision: float
    time_budget_s: float | None
    timeout_s: float
    threads: int
    sustain_s: float
    seed: int
    dry_run: bool
    list_backends: bool
    processes: int = 1

    def backends_on(self, device: str) -> tuple[str, ...]:
        """Those asked for by name, or else all that run on ``cpu`` or ``cuda:N``.

        Beside a GPU the CPU has those of the named that no GPU runs, else the reference only.
        """
        kind, beside = device.partition(":")[0], device == "cpu" and self.gpu is not None
        if beside and not self.backends:
            return ("numpy_take",)
        on = {which: _devices(describe(which)) for which in self.backends or names()}
        return tuple(w for w, where in on.items() if kind in where and not (beside and "cuda" in where))


def _devices(description: Description) -> tuple[str, ...]:
    return description.devices or ("cpu", "cuda")


def parse(argv: Sequence[str]) -> Request:
    """The request in argv.

    Raises:
        BadRequest: for a value nobody can use, in one line.
        SystemExit: after ``--help`` (0) and after argparse's own one-line complaint (2).
    """
    given = _parser().parse_args(argv)
    for one, other in (("model", "preset"), ("indices", "distribution"), ("resume", "out")):
        if getattr(given, one) and getattr(given, other):
            raise BadRequest(f"--{one}: given together with --{other}; give one of them")
    if any(law.startswith("file:") for law in given.distribution or ()):
        raise BadRequest("--distribution: names a file; give it with --indices FILE")
    if given.sustain is not None and given.sustain >= given.timeout:
        raise BadRequest("--sustain: takes as long as --timeout allows one step; give a longer --timeout")
    sweeps: tuple[Sweep, ...] = PRESETS[given.preset or "default"]
    if given.model:
        sweeps = tuple(model_sweep(name) for name in given.model)
    axes = {axis: getattr(given, axis) for axis in AXES}
    if given.indices:
        axes["distribution"] = (f"file:{_plain_name(given.indices)}",)
    if given.vocab and given.dim and not given.preset and not given.model:
        # The user's own table: the other axes start from one point, not from a preset's many.
        sweeps = (Sweep(given.vocab, given.dim),)
    try:
        cases = plan(sweeps, **axes)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    backends = tuple(dict.fromkeys(given.backend or ()))
    _check_backends(backends)
    return Request(
        preset=given.preset or "default",
        cases=cases,
        backends=backends,
        gpu=given.gpu,
        out=given.out,
        resume=given.resume,
        ids_file=given.indices,
        precision=given.precision,
        time_budget_s=given.time_budget,
        timeout_s=given.timeout,
        threads=given.threads or len(os.sched_getaffinity(0)),
        sustain_s=min(SUSTAIN_S, given.timeout / 2) if given.sustain is None else given.sustain,
        seed=given.seed,
        dry_run=given.dry_run,
        list_backends=given.list,
        processes=given.processes,
    )


def _check_backends(backends: Iterable[str]) -> None:
    """Each must say in its file what it is, in words, and have a name of its own."""
    known: set[str] = set()
    for which in backends:
        try:
            one = describe(which)
            " ".join((*one.devices, *one.dtypes, *one.packages))
        except UnknownBackend as error:
            text = str(error)
            raise BadRequest(text if ";" in text else f"{text}; see backends/README.md") from None
        except (OSError, TypeError, MemoryError, RecursionError) as error:
            why = str(error) or type(error).__name__
            raise BadRequest(f"{which}: not a backend's file ({why}); see backends/README.md") from None
        if one.name in known:
            raise BadRequest(f"{which}: another backend named {one.name} was given; rename the file")
        known.add(one.name)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise BadRequest(f"{message}; see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m suite.run",
        description="Measure embedding lookup: how fast, in which framework, how far from the limit.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    one = "measure on this GPU, the reference beside it"
    add("--gpu", type=whole_of("gpu", 0, 1023), metavar="N", help=one)
    add("--backend", type=path_of, action="extend", nargs="+", metavar="NAME|FILE", help="only these")
    add("--preset", type=named("preset", PRESETS), help=f"{', '.join(PRESETS)} (default: default)")
    add("--model", type=list_of(named("model", MODELS)), metavar="NAME,…", help="published token tables")
    size = "comma-separated; takes the place of the preset's"
    for axis in ("vocab", "dim", "batch"):
        add(f"--{axis}", type=list_of(whole_of(axis, 1, 2**40)), metavar="N,…", help=size)
    add("--dtype", type=list_of(named("dtype", DTYPE_BYTES)), metavar="T,…", help=", ".join(DTYPE_BYTES))
    ints = ", ".join(INDEX_BYTES)
    add("--index-dtype", type=list_of(named("index dtype", INDEX_BYTES)), metavar="T,…", help=ints)
    laws = f"{', '.join(DISTRIBUTIONS)}, zipf-EXPONENT"
    add("--distribution", type=list_of(str), metavar="D,…", help=laws)
    add("--cache", type=list_of(named("cache", CACHES)), metavar="C,…", help=", ".join(CACHES))
    off = "bytes by which the table lies off its alignment (default: 0)"
    add("--offset", type=list_of(whole_of("offset", 0, MAX_OFFSET)), metavar="B,…", help=off)
    ids = "ids of your own: whole numbers in text, or an .npy of integers"
    add("--indices", type=path_of, metavar="FILE", help=ids)
    folder = "the run's folder (default: results/<date>-<device>-<commit>)"
    add("--out", type=path_of, metavar="DIR", help=folder)
    add("--resume", type=path_of, metavar="DIR", help="go on with a run that was cut short")
    add("--precision", type=_fraction, default=0.01, metavar="P%", help="interval to reach (default: 1%%)")
    add("--time-budget", type=seconds_of, metavar="T", help="end within this time: 90s, 8m, 2h")
    add("--timeout", type=seconds_of, default=60.0, metavar="T", help="limit of one step (default: 60s)")
    phase = f"phase for energy counters; 0 for none (default: {SUSTAIN_S:g})"
    add("--sustain", type=_seconds, metavar="S", help=phase)
    add("--threads", type=whole_of("threads", 1, 4096), metavar="N", help="threads a library may use")
    more = "measure every case in so many processes, one after another (default: 1)"
    add("--processes", type=whole_of("processes", 1, 100), default=1, metavar="K", help=more)
    seed = whole_of("seed", 0, 2**32 - 1)
    add("--seed", type=seed, default=0, metavar="N", help="of ids and orders (default: 0)")
    add("--dry-run", action="store_true", help="print the plan and end")
    add("--list", action="store_true", help="print the backends and end")
    return parser


def _fraction(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%?)", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0.0001 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"precision {text!r} is not between 0.01% and 50%")
    return value


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"seconds {text!r} are not between 0 and 9999")
    return float(text)


def _plain_name(path: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(path))[:60]  # noqa: PTH119
    return stem.lstrip("._-") or "ids"
