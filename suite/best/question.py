"""Question: the case that is asked for, the runs it is asked of, and the command that would measure it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from suite.analysis.folders import Given, expand
from suite.cases.case import AXES, Case
from suite.cases.operations import registry
from suite.cases.presets import MODELS, models_of
from suite.command import BadRequest
from suite.records.record import Environment
from suite.records.store import Run, StoreError

RESULTS = "results"
TOLD = ("vocab", "dim", "dtype", "batch", "distribution", "cache")
"""Axes that the command for a case always tells."""
CHOOSING = ("model", "preset", "indices", *(axis.replace("_", "-") for axis in AXES))
"""Options of suite.run that put other cases in the place of the default ones."""


def case_of(model: str | None = None, **axes: object) -> Case:
    """The case of a published model's table, or of a vocab and a dim, with these axes; None is not given.

    Where no variant is given, it is the operation's first.

    Raises:
        BadRequest: neither a table nor a batch can be told from it, or no case can have such a value.
    """
    given: dict[str, Any] = {name: value for name, value in axes.items() if value is not None}
    if unknown := sorted(set(given) - set(AXES)):
        raise BadRequest(f"{unknown[0]}: no axis of a case; there are {', '.join(AXES)}")
    if model is not None:
        if model not in MODELS:
            raise BadRequest(f"model {model}: unknown; there are {', '.join(MODELS)}")
        given = dict(zip(("vocab", "dim", "dtype"), MODELS[model], strict=True)) | given
    if not {"vocab", "dim"} <= set(given):
        raise BadRequest("table: not told; give --model NAME, or --vocab N and --dim N")
    try:
        kind = registry.named(given.get("operation", "lookup"))
        if "batch" not in given:
            what = "ids in one lookup" if given.get("operation", "lookup") == "lookup" else f"{kind.counts}s"
            raise BadRequest(f"batch: not told; give the number of {what} with --batch N")
        return Case(**{"variant": kind.variants[0], **given})
    except (TypeError, ValueError) as error:
        raise BadRequest(str(error)) from None


def folders(given: tuple[Given, ...]) -> tuple[Path, ...]:
    """The runs that are asked: those given, else the newest of the default cases in results/.

    Raises:
        BadRequest: there is none.
    """
    if given:
        return expand(given)
    for home in (Path(RESULTS), Path(__file__).resolve().parents[2] / RESULTS):
        runs = sorted(_of_default_cases(home), key=lambda run: run.environment.created)
        if runs:
            return (runs[-1].path,)
    raise BadRequest(
        f"{RESULTS}/: holds no run of the default cases; give a run, or make one: python -m suite.run"
    )


def _of_default_cases(home: Path) -> Iterator[Run]:
    for path in sorted(home.glob("*/environment.json")):
        try:
            run = Run.open(path.parent)
        except StoreError:
            continue
        if _is_default(run.environment):
            yield run


def _is_default(where: Environment) -> bool:
    options = {word.partition("=")[0].removeprefix("--") for word in where.argv if word.startswith("--")}
    return where.settings.get("preset", "default") == "default" and not options & set(CHOOSING)


def command(case: Case, device: str) -> str:
    """The command that measures a case."""
    models = models_of(case)
    table = (
        f"--model {models[0]}" if models else f"--vocab {case.vocab} --dim {case.dim} --dtype {case.dtype}"
    )
    kind, _, file = case.distribution.partition(":")
    name = file.rpartition("@")[0] or file  # without the digest of what it holds
    words = ["python -m suite.run", table, f"--batch {case.batch}"]
    words.append(f"--indices {shlex.quote(name)}" if kind == "file" else f"--distribution {kind}")
    words.append(f"--cache {case.cache}")
    for axis in fields(Case):
        value = getattr(case, axis.name)
        if axis.name not in TOLD and value != axis.default:
            words.append(f"--{axis.name.replace('_', '-')} {value}")
    words += [f"--gpu {device.partition(':')[2]}"] if device != "cpu" else []
    return " ".join(words)
