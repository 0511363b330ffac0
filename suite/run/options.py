"""argv to a request: everything a user can get wrong is caught here, before anything heavy is imported."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from backends import Choice, UnknownBackend, choose, describe, names
from suite.cases.case import (
    AXES,
    CACHES,
    DISTRIBUTIONS,
    DTYPE_BYTES,
    INDEX_BYTES,
    MAX_OFFSET,
    PLACEMENTS,
    PLACES,
    Case,
    Sweep,
    plan,
)
from suite.cases.presets import MODELS, PRESETS, SCALED, model_sweep, scaled, scaling
from suite.cases.shard import Shard
from suite.command import BadRequest, list_of, named, named_path_of, path_of, seconds_of, whole_of
from suite.machine.cgroup import memory_bytes
from suite.machine.threads import number_of_threads
from suite.records.device import KINDS, Device
from suite.run.files.tables import FOLDER
from suite.text import plain
from suite.worker.budget import MOST_PASSES

Group = argparse._ArgumentGroup
SUSTAIN_S = 1.2
PASSES = 3


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do; values only."""

    preset: str
    cases: tuple[Case, ...]
    backends: tuple[Choice, ...]
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
    passes: int = PASSES
    environments: tuple[tuple[str, str], ...] = ()
    insist: bool = False
    tables: str = FOLDER
    keep_tables: bool = False
    scaled: str | None = None
    sustain_given: bool = False
    anyway: bool = False
    shard: Shard | None = None
    wait: bool = True

    @property
    def interpreters(self) -> Mapping[str | None, str]:
        """The Python of each environment; where none was given, this one, by no name."""
        return dict(self.environments) or {None: sys.executable}

    def backends_on(self, device: Device, placement: str = "memory") -> tuple[Choice, ...]:
        """Those asked for by name, or else all that run on a device, with tables of this placement.

        Beside a GPU the CPU has those of the named that no GPU runs, else the reference only.
        """
        beside = not device.is_gpu and self.gpu is not None
        if beside and not self.backends:
            return (choose("numpy_take"),)
        # An entry point says nothing of its devices without being imported: it may run on each.
        known = {b: describe(b) for b in self.backends or map(choose, names())}
        kinds = {b: d.devices or KINDS for b, d in known.items() if self.backends or d.takes(placement)}
        return tuple(b for b, on in kinds.items() if device.kind in on and not (beside and "cuda" in on))


def parse(argv: Sequence[str]) -> Request:
    """The request in argv.

    Raises:
        BadRequest: for a value nobody can use, in one line.
        SystemExit: after ``--help`` (0).
    """
    given = _parser().parse_args(argv)
    for one, other in (("model", "preset"), ("ids_file", "distribution"), ("resume", "out")):
        if getattr(given, one) and getattr(given, other):
            flag = "indices" if one == "ids_file" else one
            raise BadRequest(f"--{flag}: given together with --{other}; give one of them")
    if given.anyway and not given.resume:
        raise BadRequest("--anyway: is about a run that was begun; give it with --resume RUN")
    if any(distribution.startswith("file:") for distribution in given.distribution or ()):
        raise BadRequest("--distribution: names a file; give it with --indices FILE")
    given.sustain_given = given.sustain_s is not None
    if given.sustain_s is None:
        given.sustain_s = min(SUSTAIN_S, given.timeout_s / 2)
    elif given.sustain_s >= given.timeout_s:
        raise BadRequest("--sustain: takes as long as --timeout allows one step; give a longer --timeout")
    if given.gpu is None and (of_gpus := [p for p in given.placement or () if p not in PLACEMENTS["cpu"]]):
        raise BadRequest(f"--placement {of_gpus[0]}: is read by a GPU; give --gpu N")
    given.threads = given.threads or _threads()
    given.cases = _cases(given)
    given.backends = _backends(dict.fromkeys(given.backend or ()))
    given.environments = _environments(given.environment or ())
    given.preset = given.preset or "default"
    given.passes = given.passes or (1 if given.preset == "smoke" else PASSES)
    return Request(**{field.name: getattr(given, field.name) for field in fields(Request)})


def without_option(name: str, argv: Sequence[str]) -> list[str]:
    """The words of a command less an option and its value."""
    left = [word for word in argv if not word.startswith(f"{name}=")]
    while name in left:
        at = left.index(name)
        del left[at : at + 2]
    return left


def _threads() -> int:
    try:
        return number_of_threads()
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _cases(given: argparse.Namespace) -> tuple[Case, ...]:
    axes = {axis: getattr(given, axis) for axis in AXES}
    if given.ids_file:
        axes["distribution"] = (f"file:{_plain_name(given.ids_file)}",)
    if given.model:
        sweeps: tuple[Sweep, ...] = tuple(model_sweep(name) for name in given.model)
    elif given.vocab and given.dim and not given.preset:
        # The user's own table: the other axes start from one point, not from a preset's many.
        sweeps = (Sweep(given.vocab, given.dim),)
    else:
        sweeps = PRESETS[given.preset or "default"]
    given.scaled = None
    if given.preset in SCALED and not given.vocab and not given.model:
        published, sweeps = sweeps, scaled(sweeps, memory_bytes())
        given.scaled = scaling(published, sweeps)
    try:
        return plan(sweeps, **axes)
    except ValueError as error:
        raise BadRequest(str(error)) from None


def _backends(sources: Iterable[str]) -> tuple[Choice, ...]:
    """The backends asked for; each must say in its file what it is, in words, and have a name of its own."""
    choices: dict[str, Choice] = {}
    for source in sources:
        try:
            choice = choose(source)
            description = describe(choice)
            " ".join((*description.devices, *description.dtypes, *description.packages))
        except UnknownBackend as error:
            text = plain(str(error))
            raise BadRequest(text if ";" in text else f"{text}; see backends/README.md") from None
        except (OSError, TypeError, MemoryError, RecursionError) as error:
            why = str(error) or type(error).__name__
            raise BadRequest(f"{source}: not a backend's file ({why}); see backends/README.md") from None
        if choice.name in choices:
            raise BadRequest(f"{source}: another backend named {choice.name} was given; give NAME=FILE")
        choices[choice.name] = choice
    return tuple(choices.values())


def _environments(words: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Name and interpreter of the environments that take turns: none, or two or more."""
    found: dict[str, str] = {}
    for word in words:
        name, _, given = word.partition("=")
        python = shutil.which(given) if given else None
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", name) or not given:
            raise BadRequest(f"--environment {word}: not NAME=PYTHON; name an interpreter, base=PATH/python")
        if name in found:
            raise BadRequest(f"--environment {name}: given twice; give each a name of its own")
        if python is None:
            raise BadRequest(f"--environment {name}: {given} is no interpreter; give the path of a python")
        found[name] = python
    if len(found) == 1:
        raise BadRequest(f"--environment {name}: has none to take turns with; give two or more")
    return tuple(found.items())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise BadRequest(f"{message}; see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m suite.run",
        description="Measure embedding lookup: how fast, in which framework, how far from the limit.",
        allow_abbrev=False,
    )
    _add_cases(parser.add_argument_group("what is looked up"))
    _add_backends(parser.add_argument_group("by whom, and where"))
    _add_settings(parser.add_argument_group("how it is measured"))
    return parser


def _add_cases(group: Group) -> None:
    add, replaced = group.add_argument, "comma-separated; takes the place of the preset's"
    add("--preset", type=named("preset", PRESETS), help=f"{', '.join(PRESETS)} (default: default)")
    add("--model", type=list_of(named("model", MODELS)), metavar="NAME,…", help="published token tables")
    for axis in ("vocab", "dim", "batch"):
        add(f"--{axis}", type=list_of(whole_of(axis, 1, 2**40)), metavar="N,…", help=replaced)
    for axis, known in (("dtype", DTYPE_BYTES), ("index-dtype", INDEX_BYTES), ("cache", CACHES)):
        values = list_of(named(axis.replace("-", " "), known))
        add(f"--{axis}", type=values, metavar=f"{axis[0].upper()},…", help=", ".join(known))
    add("--distribution", type=list_of(str), metavar="D,…", help=f"{', '.join(DISTRIBUTIONS)}, zipf-EXPONENT")
    places = f"on a CPU {', '.join(PLACEMENTS['cpu'])}; on a GPU {', '.join(PLACEMENTS['cuda'])}"
    add("--placement", type=list_of(_placement), metavar="P,…", help=places)
    offset = "bytes by which the table lies off its alignment (default: 0)"
    add("--offset", type=list_of(whole_of("offset", 0, MAX_OFFSET)), metavar="B,…", help=offset)
    indices = "ids of your own: whole numbers in text, .npy, .npz or .safetensors"
    add("--indices", dest="ids_file", type=path_of, metavar="FILE", help=indices)


def _add_backends(group: Group) -> None:
    add = group.add_argument
    add(
        "--backend",
        type=named_path_of,
        action="extend",
        nargs="+",
        metavar="NAME|FILE|NAME=FILE",
        help="only these",
    )
    beside = "measure on this GPU, the reference beside it"
    add("--gpu", type=whole_of("gpu", 0, 1023), metavar="N", help=beside)
    add("--threads", type=whole_of("threads", 1, 4096), metavar="N", help="threads a library may use")
    turns = "measure in this virtual environment too; two or more take turns"
    add("--environment", type=named_path_of, action="append", metavar="NAME=PYTHON", help=turns)
    add("--list", dest="list_backends", action="store_true", help="print the backends and end")


def _add_settings(group: Group) -> None:
    add = group.add_argument
    add("--precision", type=_fraction, default=0.05, metavar="P%", help="interval to reach (default: 5%%)")
    budget = "end within this time: 90s, 8m, 2h"
    add("--time-budget", dest="time_budget_s", type=seconds_of, metavar="T", help=budget)
    timeout = "limit of one step (default: 60s)"
    add("--timeout", dest="timeout_s", type=seconds_of, default=60.0, metavar="T", help=timeout)
    sustain = f"phase for energy counters; 0 for none (default: {SUSTAIN_S:g})"
    add("--sustain", dest="sustain_s", type=_seconds, metavar="S", help=sustain)
    passes = f"times that all cases are gone over, with new processes (default: {PASSES}, smoke 1)"
    add("--passes", type=whole_of("passes", 1, MOST_PASSES), metavar="N", help=passes)
    insist = "measure on what timed out or crashed in two cases, which is left out of the others"
    add("--insist", action="store_true", help=insist)
    anyway = "with --resume: in another environment than it began in, beside which its records are kept"
    add("--anyway", action="store_true", help=anyway)
    seed = "of ids and orders (default: 0)"
    tables = f"folder of table files, for the placement file (default: {FOLDER})"
    add("--tables", type=path_of, default=FOLDER, metavar="DIR", help=tables)
    add("--keep-tables", action="store_true", help="leave them there, to be used again")
    add("--seed", type=whole_of("seed", 0, 2**32 - 1), default=0, metavar="N", help=seed)
    folder = "the run's folder (default: results/<date>-<device>-<commit>)"
    add("--out", type=path_of, metavar="DIR", help=folder)
    add("--resume", type=path_of, metavar="DIR", help="go on with a run that was cut short")
    shard = "only this part of the plan, by whole tables: 2/4; suite.merge puts parts together"
    add("--shard", type=_shard, metavar="I/N", help=shard)
    add("--no-wait", dest="wait", action="store_false", help="refuse where another run measures on this host")
    add("--dry-run", action="store_true", help="print the plan and end")


def _placement(text: str) -> str:
    """A placement; a GPU's own memory may be called ``device``."""
    return "memory" if text == "device" else named("placement", PLACES)(text)


def _fraction(text: str) -> float:
    number = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%?)", text)
    value = float(number[1]) / (100 if number[2] else 1) if number else 0.0
    if not 0.0001 <= value <= 0.5:
        raise argparse.ArgumentTypeError(f"precision {text!r} is not between 0.01% and 50%")
    return value


def _shard(text: str) -> Shard:
    try:
        return Shard.read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"seconds {text!r} are not between 0 and 9999")
    return float(text)


def _plain_name(path: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(path))[:60]  # noqa: PTH119
    return stem.lstrip("._-") or "ids"
