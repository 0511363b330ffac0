"""One rank that dies, hangs, raises or lies costs its way: it is named, and no process is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from suite.ranks.agent import End, at_fault
from suite.ranks.job import EXCHANGE, LOOKUP, Notes
from suite.worker.process import KILLED

ROOT = Path(__file__).resolve().parents[2]
WAY = '''"""A way that is right but for what one of its ranks does."""

import os, time
from backends.ranks.masked_all_reduce_bits import MaskedAllReduceBits


class Bad(MaskedAllReduceBits):
    sharding = "row"

    def prepare(self, part, ids, place):
        inner, lying = (super(Bad, self).prepare(rows, ids, place) for rows in (part, part * 0))
        calls = []

        def call(phase):
            calls.append(1)
            if place.rank == 1 and len(calls) >= {at}:
                {does}
            return inner(phase)

        return call
'''


def run(folder: Path, *words: str, ranks: int = 2) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    """A run over ranks of one small table, and its results."""
    out = folder / "results.json"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    table = ["--vocab", "999", "--dim", "16", "--batch", "64", "--limit", "1s", "--timeout", "15s"]
    done = subprocess.run(
        [*torchrun, "-m", "suite.ranks", *table, "--out", str(out), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done, json.loads(out.read_text())["results"] if out.exists() else []


def way(folder: Path, name: str, does: str, at: int) -> str:
    path = folder / f"{name}.py"
    path.write_text(WAY.format(does=does, at=at))
    return str(path)


def left() -> list[str]:
    """Workers that are still there."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "suite.ranks.worker" in words:
            found.append(" ".join(words))
    return found


BAD = {
    "dies": ("os.kill(os.getpid(), 11)", "crashed", "rank 1: ended by signal 11 (SIGSEGV), in: "),
    "hangs": ("time.sleep(600)", "timed_out", "rank 1: took longer than 15 s, in: "),
    "raises": ("raise ValueError('no luck')", "error", "rank 1: ValueError: no luck, in: "),
    "writes": ("part[:] = 0", "crashed", "rank 1: ended by signal 11 (SIGSEGV), in: "),
    "lies": ("return lying(phase)", "wrong", "on ranks 0, 1: row "),
}


@pytest.mark.long
@pytest.mark.parametrize("at", [2, 9], ids=["checked", "timed"])
def test_the_rank_is_named_and_the_others_go_on(at: int, tmp_path: Path) -> None:
    bad = [way(tmp_path, name, does, at) for name, (does, _, _) in BAD.items()]
    done, results = run(tmp_path, "--way", "masked_all_reduce_bits", *bad, "all_to_all")
    found = {Path(r["way"]["name"]).stem: r for r in results}
    for name, (_, status, says) in BAD.items():
        assert found[name]["status"] == status and found[name]["reason"].startswith(says), done.stderr
        assert name == "lies" or found[name]["of_ranks"] == []
    assert found["lies"]["reason"].endswith("all of them held by rank 1")
    assert found["masked_all_reduce_bits"]["status"] == found["all_to_all"]["status"] == "ok"
    assert done.returncode == 1 and not left()


@pytest.mark.long
def test_a_sum_that_loses_the_sign_of_zeros_is_told_so(tmp_path: Path) -> None:
    words = ("--dtype", "bfloat16", "--vocab", "20000", "--dim", "64", "--timeout", "60s")
    done, results = run(tmp_path, *words, "--sharding", "row", ranks=3)
    said = {r["way"]["name"]: (r["status"], r["reason"]) for r in results}
    inexact = ("inexact", "returns 0.0 for -0.0: a sum with the zeros of other ranks")
    assert said["masked_all_reduce"] == said["dtensor_row"] == inexact, done.stderr
    assert said["masked_all_reduce_bits"] == ("ok", None)
    assert said["all_to_all"] == ("unsupported", "a batch of 64 does not divide by the ranks")
    assert all(len(r["of_ranks"]) == 3 for r in results if r["status"] in ("ok", "inexact"))
    assert "busiest rank 1." in done.stdout and "3 ranks on 1 host, gloo" in done.stdout


def test_who_died_is_at_fault_whatever_the_others_saw() -> None:
    lost = End(0, "error", "connection closed by peer", 9, EXCHANGE, "a")
    died = End(1, "crashed", KILLED, 9, LOOKUP, "a")
    assert at_fault([lost, died]) is died
    assert at_fault([End(0, "timed_out", steps=9), died]) is died


def test_who_is_furthest_behind_is_at_fault_of_a_standstill() -> None:
    waits = End(0, "timed_out", steps=9, phase=EXCHANGE, way="a")
    hangs = End(1, "stopped", steps=9, phase=LOOKUP, way="a")
    behind = End(2, "stopped", steps=8, phase=EXCHANGE, way="a")
    assert at_fault([waits, hangs]) is hangs
    assert at_fault([waits, hangs, behind]) is behind


def test_who_raised_outside_an_exchange_is_at_fault() -> None:
    lost = End(0, "error", "connection closed by peer", 9, EXCHANGE, "a")
    raised = End(1, "error", "no luck", 9, LOOKUP, "a")
    assert at_fault([lost, raised]) is raised
    assert at_fault([lost, End(1, "done", steps=20)]) is lost


def test_a_note_is_read_by_another_and_a_torn_one_is_none() -> None:
    fd = os.memfd_create("notes")
    os.ftruncate(fd, 4096)
    notes, reader = Notes(fd), Notes(fd)
    assert reader.read().step == "start"
    notes.begin("a", "time")
    notes.phase("exchange")
    read = reader.read()
    assert (read.steps, read.phase, read.way, read.step) == (1, EXCHANGE, "a", "time")
    notes.begin("b", "check")
    assert reader.read().phase == 0
    notes.memory[32] = 0
    assert reader.read().way is None
