"""Spoiled runs and files of ids, given to everything that reads them, for as long as is asked.

Each input is a valid one of which something was changed: a field retyped, doubled, dropped or nested, a
number made huge or NaN, a line torn, bytes replaced. The commands may show what is left or refuse in one
line each; a traceback, a warning, a line that is none of the suite's, or a standstill is a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import suite
from suite.cases import ids
from suite.compare.__main__ import main as compare
from suite.machine import lock
from suite.merge.__main__ import main as merge
from suite.records.record import to_json
from suite.records.store import Run, StoreError
from suite.report import export
from suite.report.__main__ import main as report
from suite.run.__main__ import main as run_command
from suite.run.launch import Launch
from suite.run.options import parse
from suite.run.passes import Passes
from suite.run.schedule import tasks_of
from tests.support import fabricate

STANDSTILL_S = 30
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400),
    *(0.0, -0.0, 1e-320, 1e308, -1e308, 0.5, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "-",
        "\x00",
        "\x1b[31m",
        "\ud800",
        "é" * 300,
        "=1+1",
        "../..",
        "cuda:0",
        "cpu",
        "file:x",
        "x\ny",
    ),
    *([], {}, [[]], [[0.0]], [[], [1.0]], {"": None}, {"a": {"b": 1}}),
)
COMPARED = (
    [],
    ["--fail-on", "slower"],
    ["--only", "changed"],
    ["--markdown", "-"],
    ["--normalized"],
    ["--relative-to", "torch_embedding"],
)
EXPORTS = tuple(export.FORMATS)
PARQUET = importlib.util.find_spec("pyarrow") is not None
PLAN = ("--vocab", "50257", "--dim", "768", "--batch", "1,2", "--passes", "2", "--threads", "1")
"""Of the runs that are gone on with; nothing of them is measured."""


class Fault(AssertionError):
    """Something came out that is neither a result nor a refusal."""


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a tree of JSON."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(tree: Any, draw: random.Random) -> Any:
    """The tree with something in it changed."""
    *before, last = draw.choice(list(places(tree)))
    holder = tree
    for key in before:
        holder = holder[key]
    value = holder[last]
    how = draw.randrange(8)
    if how == 0:
        del holder[last]
    elif how == 1:
        holder[last] = [value]
    elif how == 2:
        holder[last] = {str(last): value}
    elif how == 3 and isinstance(holder, list):
        holder[last:last] = [value] * draw.choice([1, 2, 100])
    elif how == 3:
        holder[draw.choice(["new", "", "schema", "é", f"{last}_"])] = value
    elif how == 4 and isinstance(value, int | float):
        holder[last] = value * draw.choice([-1, 0, 1e-12, 0.5, 2, 1000, 2**40, 1e300])
    elif how == 5 and isinstance(value, str):
        at = draw.randrange(len(value) + 1)
        holder[last] = value[:at] + draw.choice(["\x00", "=", ",", "\u202e", "x" * 999]) + value[at:]
    elif how == 6:
        holder[last] = json.loads(json.dumps(tree[draw.choice(list(tree))]))
    else:
        holder[last] = draw.choice(ODD)
    return json.loads(json.dumps(tree))  # nothing of it stands in two places


def spoiled(line: bytes, draw: random.Random) -> bytes:
    """The bytes with some of them changed."""
    at, to = sorted(draw.randrange(len(line) + 1) for _ in range(2))
    how = draw.randrange(8)
    if how == 0:
        return line[:at]
    if how == 1:
        return line[:at] + line[to:]
    if how == 2:
        return line[:at] + bytes(draw.randrange(256) for _ in range(draw.choice([1, 2, 8]))) + line[at:]
    if how == 3:
        return line.decode("utf-8", "replace").encode(
            draw.choice(["utf-16", "utf-8-sig", "cp037"]), "replace"
        )
    if how == 4:
        return line[:1] + line[1:at] + b"," + line[1:]  # keys that stand twice
    if how == 5:
        depth = draw.choice([2, 100, 5000, 100_000])
        return line[:at] + draw.choice([b"[", b'{"a":']) * depth + line[at:]
    if how == 6:
        return line.replace(b":", b":" + draw.choice([b"NaN", b"1e999", b"-", b"0" * 5000, b"9" * 5000]), 1)
    return line[:at] + line[at:to] * draw.choice([2, 50]) + line[to:]


def spoil(line: bytes, draw: random.Random) -> bytes:
    """One to three changes of a line of JSON, in its tree or in its bytes."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError):
            tree = None
        if isinstance(tree, dict) and tree and draw.random() < 0.75:
            line = json.dumps(changed(tree, draw), ensure_ascii=draw.random() < 0.9).encode(
                "utf-8", "replace"
            )
        else:
            line = spoiled(line, draw)
    return line


def valid(folder: Path) -> tuple[bytes, list[bytes]]:
    """The environment and the records of a run of two passes, with a failure and a meter, in this folder."""
    run = fabricate.passes(folder, fabricate.CASES[:2], count=2)
    run.append([fabricate.failure("broken", fabricate.CASES[0], "m0")])
    plain = fabricate.measurement(fabricate.CASES[1])
    environment = (folder / "environment.json").read_bytes()
    return environment, [to_json(record).encode() for record in [*run.records()[0], *plain]]


class Inputs:
    """Makes and tries inputs in a folder of its own: a valid run stands beside the spoiled one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "spoiled"
        self.environment, self.lines = valid(folder / "valid")
        part = Run.create(self.run, fabricate.ENVIRONMENT).gone_on(fabricate.ENVIRONMENT)
        part.append(fabricate.measurement(fabricate.CASES[0]))
        self.later = (self.run / "environment-2.json").read_bytes()
        self.lines_later = (self.run / "records.jsonl").read_bytes().splitlines()
        request = parse([*PLAN, "--backend", *fabricate.SPEED])
        here = Launch(request, tasks_of(request), None).environment((*PLAN, "--backend", *fabricate.SPEED))
        begun = Run.create(folder / "begun", here)
        self.begun = (begun.path / "environment.json").read_bytes()

    def _spoil_run(self, environment: bytes, draw: random.Random) -> None:
        """Write a run with spoiled lines, a spoiled environment, or a spoiled second one; or with none."""
        lines, later = list(self.lines), self.later
        file = self.run / "environment-2.json"
        file.unlink(missing_ok=True)
        if draw.random() < 0.4:
            lines += self.lines_later
            if draw.random() < 0.9:
                file.write_bytes(spoil(later, draw) if draw.random() < 0.3 else later)
        if draw.random() < 0.3:
            environment = spoil(environment, draw)
        for place in draw.sample(range(len(lines)), draw.choice([0, 1, 2, len(lines)])):
            lines[place] = spoil(lines[place], draw)
        (self.run / "environment.json").write_bytes(environment)
        (self.run / "records.jsonl").write_bytes(b"\n".join(lines))

    def try_run(self, draw: random.Random) -> None:
        """A spoiled run, to the report or to a comparison."""
        self._spoil_run(self.environment, draw)
        outcome_of(*self._command(draw))

    def try_resume(self, draw: random.Random) -> None:
        """A spoiled run of this machine, gone on with as far as nothing is measured."""
        self._spoil_run(self.begun, draw)
        own = [] if draw.random() < 0.3 else [*PLAN, "--backend", *fabricate.SPEED]
        beside = draw.choice([[], ["--anyway"], ["--insist"], ["--insist", "--anyway"]])
        with mock.patch.object(Passes, "measure", lambda passes: None):
            outcome_of(run_command, ["--resume", str(self.run), *own, *beside])

    def try_table(self, draw: random.Random) -> None:
        """A spoiled run, read as a table."""
        self._spoil_run(self.environment, draw)
        read = draw.choice([suite.load, suite.samples])
        given = draw.choice([[self.run], [self.run, self.folder / "valid"]])
        try:
            with limited(), warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                table = read(given)
        except StoreError as error:
            said = str(error).splitlines()
        else:
            said = [str(one.message) for one in warned]
            if any(one.category is not UserWarning for one in warned) or not len(table):
                raise Fault(f"a table of {len(table)} rows, warned {said}")
        if not all(": " in line and line.isprintable() for line in said):
            raise Fault(f"a table is refused or noted with {said!r}")

    def _command(self, draw: random.Random) -> tuple[Callable[[Sequence[str]], int], list[str]]:
        run, good = str(self.run), str(self.folder / "valid")
        kind = draw.randrange(5)
        if kind == 0:
            pair = draw.choice([(run, good), (good, run), (run, run), (f"{run}@1", f"{run}@2")])
            return compare, [*pair, *draw.choice(COMPARED)]
        if kind == 1:
            format_name = draw.choice(EXPORTS)
            return report, [run, "--export", f"{format_name}={self.folder / 'export'}-{format_name}"]
        if kind == 2:
            pages = draw.choice([("--html", "page.html"), ("--site", "site")])
            return report, [run, good, pages[0], str(self.folder / pages[1])]
        if kind == 3:
            shutil.rmtree(self.folder / "merged", ignore_errors=True)
            return merge, [run, *draw.choice([[], [good]]), "--out", str(self.folder / "merged")]
        files = ["--csv", str(self.folder / "a.csv"), "--markdown", str(self.folder / "a.md")]
        files += ["--parquet", str(self.folder / "a.parquet")] if PARQUET else []
        return report, [run, *files, *draw.choice([[], ["--baseline", "torch_embedding"]])]

    def try_ids(self, draw: random.Random) -> None:
        """A spoiled file of ids, read."""
        numbers = [draw.randrange(2 ** draw.choice([1, 16, 40, 63])) for _ in range(draw.randrange(1, 50))]
        values = np.array(numbers).astype(draw.choice(["i8", "u8", "f8", "i2", "i4", "?"]))
        name, content = draw.choice([*written(values), ("ids.txt", " ".join(map(str, numbers)).encode())])
        if draw.random() < 0.1:
            name = draw.choice(["ids.txt", "ids.npy", "ids.npz", "ids.safetensors", "ids.parquet", "ids"])
        path = self.folder / name
        path.write_bytes(spoiled(content, draw))
        try:
            with limited(), warnings.catch_warnings():
                warnings.simplefilter("error")
                found = ids.read_file(str(path))
        except ValueError as error:
            if not str(error).startswith(f"{path}:") or "\n" in str(error):
                raise Fault(f"ids refused with {error!r}") from error
            return
        if found.ndim != 1 or found.dtype != np.int64 or not found.size:
            raise Fault(f"ids read as {found.dtype} {found.shape}")

    def try_one(self, draw: random.Random) -> None:
        """One input."""
        draw.choice([self.try_run, self.try_run, self.try_table, self.try_resume, self.try_ids])(draw)


def written(values: Any) -> Iterator[tuple[str, bytes]]:
    """Name and content of files that hold an array, in each format there is a library for."""
    one, archive, columns = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(one, values)
    np.savez(archive, indices=values, offsets=values)
    yield from (("ids.npy", one.getvalue()), ("ids.npz", archive.getvalue()))
    if importlib.util.find_spec("safetensors"):
        from safetensors.numpy import save

        yield "ids.safetensors", save({"indices": values})
    if PARQUET:
        import pandas as pd

        pd.DataFrame({"indices": values}).to_parquet(columns)
        yield "ids.parquet", columns.getvalue()


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """A standstill is a fault."""

    def late(*_: object) -> None:
        raise Fault(f"took longer than {STANDSTILL_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(STANDSTILL_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome_of(command: Callable[[Sequence[str]], int], argv: list[str]) -> int:
    """The exit code of a command, held to what may come out of one."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace"), io.StringIO()
    with (
        limited(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("error")
        code = command(argv)
    lines = err.getvalue().splitlines()  # refusals, or notes on what is left out
    in_words = all(": " in line and line.isprintable() for line in lines)
    if not in_words or code not in (0, 1, 2) or (code == 2 and not lines):
        raise Fault(f"exit code {code}, said {err.getvalue()[:500]!r}")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Try inputs until the time is over; prints how many, and of every fault the seed and its traceback."""
    parser = argparse.ArgumentParser("python -m tests.tools.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="(default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the first input; they follow each other")
    given = parser.parse_args(arguments)
    end, faults, number = time.monotonic() + 60 * given.minutes, 0, 0
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {lock.VARIABLE: folder}):
        inputs = Inputs(Path(folder))  # which measure nothing, so wait for nobody who does
        for number in itertools.count(1):
            seed = given.seed + number - 1
            try:
                inputs.try_one(random.Random(seed))
            except Exception:
                faults += 1
                print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)
            if time.monotonic() >= end:
                break
    print(f"{number} inputs, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
