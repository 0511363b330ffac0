"""argv to a request: everything a user can get wrong is caught here, before anything heavy is imported."""

from __future__ import annotations

import argparse
import difflib
import itertools
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from backends import Choice, UnknownBackend, choose, describe, is_path, names
from suite.cases.case import (
    AXES,
    CACHES,
    DISTRIBUTIONS,
    MAX_OFFSET,
    PLACEMENTS,
    PLACES,
    Case,
    Sweep,
    plan,
)
from suite.cases.dtypes import DTYPE_BYTES, INDEX_BYTES
from suite.cases.operations import registry
from suite.cases.presets import MODELS, PRESETS, SCALED, model_sweep, scaled, scaling
from suite.cases.shard import Shard
from suite.command import BadRequest, list_of, named, named_path_of, path_of, seconds_of, whole_of
from suite.machine.cgroup import memory_bytes
from suite.machine.threads import number_of_threads
from suite.records.device import KINDS, Device
from suite.run.files.tables import FOLDER
from suite.text import folded, plain
from suite.worker.budget import MOST_PASSES

Group = argparse._ArgumentGroup
LISTS = frozenset(f"--{axis.replace('_', '-')}" for axis in (*AXES, "model"))
"""Options whose values stand between commas."""
ALIASES = {
    "fp32": "float32",
    "f32": "float32",
    "float": "float32",
    "fp16": "float16",
    "f16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp8": "float8_e4m3fn",
    "float8": "float8_e4m3fn",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "long": "int64",
}
"""What others call the types."""
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
    debug: bool = False
    profile: bool = False
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

    def backends_on(self, device: Device, case: Case) -> tuple[Choice, ...]:
        """Those asked for by name, or else all that run on a device, of a case's operation and placement.

        Beside a GPU the CPU has those of the named that no GPU runs, else the reference only.
        """
        beside = not device.is_gpu and self.gpu is not None
        if beside and not self.backends:
            return (choose(case.kind.reference),)
        # An entry point says nothing of its devices without being imported: it may run on each.
        known = {b: describe(b) for b in self.backends or map(choose, names())}
        kinds = {b: d.devices or KINDS for b, d in known.items() if d.operation == case.operation}
        if not self.backends:
            kinds = {b: on for b, on in kinds.items() if known[b].takes(case.placement, case.operation)}
        return tuple(b for b, on in kinds.items() if device.kind in on and not (beside and "cuda" in on))


def parse(argv: Sequence[str]) -> Request:
    """The request in argv.

    Raises:
        BadRequest: for a value nobody can use, in one line.
        SystemExit: after ``--help`` (0).
    """
    parser = _parser()
    given, left = parser.parse_known_args(argv)
    if left:
        options = [o for action in parser._actions for o in action.option_strings]
        raise BadRequest(plain(_meant(left, argv, options, LISTS)))
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
    given.backends = _backends(dict.fromkeys(itertools.chain(*map(_apart, given.backend or ()))))
    if given.operation is None and given.backends and not given.preset:
        given.operation = tuple(dict.fromkeys(describe(one).operation for one in given.backends))
    given.cases = _cases(given)
    given.environments = _environments(given.environment or ())
    given.preset = given.preset or "default"
    given.passes = given.passes or (1 if given.preset == "smoke" else PASSES)
    return Request(**{field.name: getattr(given, field.name) for field in fields(Request)})


OTHERS = {
    "--device": "give --gpu 0 for a GPU; without it the CPU is measured",
    "--cpu": "leave it out; the CPU is measured unless --gpu is given",
    "--cuda": "give --gpu 0",
    "--output": "give --out DIR",
    "--models": "give --model NAME,…",
    "--backends": "give --backend NAME …",
    "--quick": "give --preset smoke",
}
"""Options of other tools, and what stands for them here."""


def _meant(left: Sequence[str], argv: Sequence[str], options: Collection[str], lists: Collection[str]) -> str:
    """What is wrong with the words that were left, and what to do, in one line.

    Args:
        left: words of argv that no option took. options: all there are. lists: those of values and commas.
    """
    first = left[0]
    option, _, value = first.partition("=")
    if option in OTHERS:
        return f"{first}: no such option; {OTHERS[option]}"
    if first.startswith("-"):
        near = difflib.get_close_matches(option, options, n=1)
        hint = f"did you mean {near[0]}{'=' + value if value else ''}?" if near else "see --help"
        return f"{first}: no such option; {hint}"
    before = _option_before(argv, first)
    if before in lists:
        at = argv.index(before)
        values = [argv[at + 1]] if at + 1 < len(argv) else []
        values += [word for word in left if not word.startswith("-")]
        return f"{before} {' '.join(values)}: several values take commas; write {before} {','.join(values)}"
    for of, known in (("preset", PRESETS), ("model", MODELS), ("backend", names())):
        if first in known:
            return f"{first}: a {of}; write --{of} {first}"
    return f"{first}: no option takes it; see --help"


def _option_before(argv: Sequence[str], word: str) -> str | None:
    """The nearest option before a word."""
    before = [one for one in argv[: argv.index(word)] if one.startswith("--")] if word in argv else []
    return before[-1] if before and "=" not in before[-1] else None


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


def _apart(source: str) -> list[str]:
    """The backends of one word: several names may stand between commas."""
    words = source.split(",")
    return words if len(words) > 1 and not any(map(is_path, words)) else [source]


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
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_cases(parser.add_argument_group("what is looked up"))
    _add_backends(parser.add_argument_group("by whom, and where"))
    _add_settings(parser.add_argument_group("how it is measured"))
    return parser


EXAMPLES = """examples:
  python -m suite.run                          the CPU, in under 5 minutes
  python -m suite.run --gpu 0                  that GPU, NumPy beside it
  python -m suite.run --preset smoke           whether all runs and is right
  python -m suite.run --model llama-3-8b --batch 1,8k
  python -m suite.run --vocab 1000000 --dim 64 --dtype fp16 --batch 512
  python -m suite.run --indices ids.txt --vocab 50257 --dim 768
  python -m suite.run --backend mine.py torch_embedding
  python -m suite.run --backend mine.py --debug    one case, whole traceback
"""


def _epilog() -> str:
    columns = shutil.get_terminal_size().columns - 2
    return EXAMPLES + "\n" + folded(f"models: {', '.join(MODELS)}", columns, 2)


def _add_cases(group: Group) -> None:
    add, replaced = group.add_argument, "comma-separated; takes the place of the preset's"
    add("--preset", type=named("preset", PRESETS), help=f"{', '.join(PRESETS)} (default: default)")
    add("--model", type=list_of(named("model", MODELS)), metavar="NAME,…", help="published token tables")
    for axis in ("vocab", "dim"):
        add(f"--{axis}", type=list_of(whole_of(axis, 1, 2**40)), metavar="N,…", help=replaced)
    add("--batch", type=list_of(_batch), metavar="N,…", help=f"{replaced}; 8k is 8192")
    for axis, known in (("dtype", DTYPE_BYTES), ("index-dtype", INDEX_BYTES), ("cache", CACHES)):
        values = list_of(named(axis.replace("-", " "), known, ALIASES))
        add(f"--{axis}", type=values, metavar=f"{axis[0].upper()},…", help=", ".join(known))
    add("--distribution", type=list_of(str), metavar="D,…", help=f"{', '.join(DISTRIBUTIONS)}, zipf-EXPONENT")
    add("--operation", type=list_of(_operation), metavar="O,…", help=", ".join(registry.NAMES))
    add("--variant", type=list_of(str), metavar="V,…", help="kinds of an operation (default: those it names)")
    places = f"on a CPU {', '.join(PLACEMENTS['cpu'])}; on a GPU {', '.join(PLACEMENTS['cuda'])}"
    add("--placement", type=list_of(_placement), metavar="P,…", help=places)
    offset = "bytes by which the table lies off its alignment (default: 0)"
    add("--offset", type=list_of(whole_of("offset", 0, MAX_OFFSET)), metavar="B,…", help=offset)
    indices = "ids of your own: whole numbers in text, .npy, .npz or .safetensors; of bags with offsets"
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
    beside = "measure on this GPU, the reference beside it; without it no GPU is used (default: the CPU)"
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
    debug = "one backend, the first case, in this process: whatever it raises is shown whole"
    add("--debug", action="store_true", help=debug)
    marked = "the same for a profiler: one launch in an NVTX range; prints the ncu, nsys or perf command"
    add("--profile", action="store_true", help=marked)
    shard = "only this part of the plan, by whole tables: 2/4; suite.merge puts parts together"
    add("--shard", type=_shard, metavar="I/N", help=shard)
    add("--no-wait", dest="wait", action="store_false", help="refuse where another run measures on this host")
    add("--dry-run", action="store_true", help="print the plan and end")


def _batch(text: str) -> int:
    """A number of ids; 8k is 8192, as people write batches."""
    whole = whole_of("batch", 1, 2**40)
    thousands = re.fullmatch(r"([0-9]{1,7})[kK]", text)
    return whole(str(1024 * int(thousands[1]))) if thousands else whole(text)


def _operation(text: str) -> str:
    """An operation of this tree, or of a package, which is looked for only where this tree has none."""
    return text if text in registry.NAMES else named("operation", registry.known())(text)


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
