"""Runs with a table in a file: what is said before, what becomes of the file, and of one that is spoiled."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suite.cases.case import Case
from suite.command import BadRequest
from suite.engine.placement import table_file
from suite.machine import filesystem
from suite.machine.filesystem import FileSystem
from suite.records.record import Record
from suite.records.store import Run
from suite.run.files import tables
from suite.run.options import parse
from suite.run.schedule import tasks_of
from tests.support import ROOT
from tests.support.commands import NUMPY_ALONE, command, refused

TABLE = ("--vocab", "3000", "--dim", "64", "--batch", "17", "--threads", "1")
BRIEF = (
    *TABLE,
    "--placement",
    "file",
    "--passes",
    "1",
    "--time-budget",
    "1s",
    "--sustain",
    "0",
    "--out",
    "run",
)
SMALL = Case(3000, 64, "float32", 17, placement="file")
NEEDED = "tables: ext4 on vda, 9.0 GB free; 0.0 GB of table files are built in it and removed at the end"

HEAD = '''"""Does something to the table's file, then looks rows up in its mapping."""

import os
import numpy as np
from backends.base import Backend


class Spoils(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        def lookup():
            %s
            return np.take(table, indices, axis=0, out=out, mode="clip")
        return lookup
'''
TRUNCATES = HEAD % "os.truncate(table.filename, 0)"
CHANGES = HEAD % "os.pwrite(os.open(table.filename, os.O_RDWR), bytes(table.nbytes), 0)"


def records_of(path: Path) -> dict[str, list[Record]]:
    found, spoiled = Run.open(path).records()
    assert not spoiled
    by_backend: dict[str, list[Record]] = {}
    for record in found:
        by_backend.setdefault(record.backend, []).append(record)
    return by_backend


def test_a_run_on_a_file_says_what_it_read_and_leaves_no_file(elsewhere: Path) -> None:
    words = (*BRIEF, "--cache", "cold,hot", "--backend", "numpy_take")
    done = command(*words, cwd=elsewhere, **NUMPY_ALONE)
    assert done.returncode == 0, done.stderr
    assert "of table files are built in it and removed at the end" in done.stderr
    assert not (elsewhere / "tables").exists()
    cold, hot = records_of(elsewhere / "run")["numpy_take"]
    assert (cold.status, cold.case.cache, hot.status, hot.case.cache) == ("ok", "cold", "ok", "hot")
    assert cold.telemetry["file_resident_fraction_before"] == 0.0
    assert hot.telemetry["file_resident_fraction_before"] == 1.0
    assert cold.telemetry["file_system"] == filesystem.filesystem(elsewhere).kind
    assert cold.memory.table_bytes is None and "it lies in a file" in (cold.memory.reason or "")
    assert {len(turn) for turn in cold.samples.call_s} == {1}, "after one lookup nothing is cold"  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_file_that_is_to_be_kept_is_used_again_and_not_removed(elsewhere: Path) -> None:
    words = (*BRIEF[:-1], "one", "--backend", "numpy_take", "--tables", "here", "--keep-tables")
    assert command(*words, cwd=elsewhere, **NUMPY_ALONE).returncode == 0
    (file,) = (elsewhere / "here").iterdir()
    made = file.stat().st_ino
    words = (*BRIEF[:-1], "two", "--backend", "numpy_take", "--tables", "here")
    done = command(*words, cwd=elsewhere, **NUMPY_ALONE)
    assert done.returncode == 0 and "used again" in done.stderr
    assert file.stat().st_ino == made, "who did not make it does not remove it"


@pytest.mark.slow
def test_a_file_found_with_other_rows_is_built_anew_and_nobodys_fault(elsewhere: Path) -> None:
    """As one that changed since an earlier pass, in all rows but those that its name has a digest of."""
    table = table_file.mapped("tables", SMALL, protected=False)
    path, rows = table_file.path_of("tables", SMALL), np.arange(SMALL.vocab)
    right, known = path.read_bytes(), np.unique(np.linspace(0, SMALL.vocab - 1, 256).astype(int))
    table[np.setdiff1d(rows, known)] ^= -1
    assert table_file.fits(path, SMALL) and path.read_bytes() != right
    words = (*BRIEF, "--cache", "hot", "--backend", "numpy_take")
    done = command(*words, cwd=elsewhere, **NUMPY_ALONE)
    (record,) = records_of(elsewhere / "run")["numpy_take"]
    assert (record.status, done.returncode) == ("ok", 0), record.reason
    assert path.read_bytes() == right


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status", "says"),
    [(TRUNCATES, "crashed", "SIGBUS"), (CHANGES, "wrong", "the operands are not what they were")],
)
def test_a_file_spoiled_under_a_run_costs_who_spoils_it(
    elsewhere: Path, source: str, status: str, says: str
) -> None:
    (elsewhere / "spoils.py").write_text(source)
    words = (*BRIEF, "--cache", "hot", "--backend", "numpy_take", "spoils.py")
    done = command(*words, cwd=elsewhere, **NUMPY_ALONE)
    records = records_of(elsewhere / "run")
    assert [record.status for record in records["spoils"]] == [status], records["spoils"][0].reason
    assert says in str(records["spoils"][0].reason)
    assert [record.status for record in records["numpy_take"]] == ["ok"], done.stderr
    assert not (elsewhere / "tables").exists()


def test_a_folder_in_memory_is_said_and_never_cold(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm on this machine")
    place = Path("/dev/shm") / f"tables-{os.getpid()}"
    words = (*BRIEF, "--cache", "cold,hot", "--backend", "numpy_take", "--tables", str(place))
    done = command(*words, cwd=elsewhere, **NUMPY_ALONE)
    assert "cold is not measured, as tmpfs keeps its files in memory" in done.stderr
    cold, hot = records_of(elsewhere / "run")["numpy_take"]
    assert (cold.status, hot.status) == ("unsupported", "ok")
    assert (cold.reason or "").startswith("cold: tmpfs keeps its files in memory")
    assert hot.telemetry["file_device"] is None
    assert not place.exists()


def test_no_space_is_a_line_before_anything_is_written(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(filesystem, "filesystem", lambda _: FileSystem("ext4", "vda", 10**6))
    said = refused(capsys, ["--preset", "placements", "--backend", "numpy_take"])
    assert said.startswith("tables: 19.2 GB of table files do not fit, 0.0 GB are free; give another folder")
    assert not list(elsewhere.iterdir())


def test_a_folder_that_can_not_be_written_is_a_line(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "file").write_text("")
    said = refused(capsys, [*BRIEF, "--backend", "numpy_take", "--tables", "file/below"])
    assert "give another folder for table files with --tables" in said
    assert {path.name for path in elsewhere.iterdir()} == {"file"}


def test_what_is_needed_is_said_before_anything_is_built(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "filesystem", lambda _: FileSystem("ext4", "vda", 9 * 10**9))
    with tables.table_files("tables", False, [SMALL, SMALL]) as said:
        assert said == NEEDED
        table_file.mapped("tables", SMALL)
        (elsewhere / "tables" / f"{table_file.path_of('.', SMALL).name}.77.part").write_text(
            "of a dead worker"
        )
        (elsewhere / "tables" / "another's").write_text("")
    assert [path.name for path in (elsewhere / "tables").iterdir()] == ["another's"]
    with tables.table_files("tables", False, [Case(10, 4)]) as said:
        assert said is None


def test_files_are_removed_where_the_run_ends_early(elsewhere: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tables.table_files("tables", False, [SMALL]):
        table_file.mapped("tables", SMALL)
        raise KeyboardInterrupt
    assert not list(elsewhere.iterdir())


HOLD = """
import sys
from suite.run.files import tables
from tests.run.test_tables import SMALL
with tables.table_files("tables", False, [SMALL]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_runs_that_share_a_folder_do_not_share_a_file(elsewhere: Path) -> None:
    """As on two machines that share a disk: one's check inverts rows of it, and its end removes it."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=-1,
        stdout=-1,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with child:
        assert child.stdout and child.stdin and child.stdout.readline() == "held\n"
        busy = (
            f"^{table_file.path_of('tables', SMALL)}: in use by process {child.pid} of .*; wait for its end"
        )
        with pytest.raises(BadRequest, match=busy), tables.table_files("tables", False, [SMALL]):
            pass
        other = replace(SMALL, vocab=SMALL.vocab + 1)
        with tables.table_files("tables", False, [other]):
            table_file.mapped("tables", other)
        assert [path.suffix for path in (elsewhere / "tables").iterdir()] == [".lock"], "the other run's"
        child.stdin.close()
    assert not list(elsewhere.iterdir())
    with tables.table_files("tables", False, [SMALL]) as said:
        assert said


def test_a_placement_that_only_a_gpu_has_needs_one(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, [*TABLE, "--placement", "memory,pinned"])
    assert said == "--placement pinned: is read by a GPU; give --gpu N\n"


def test_a_backend_of_files_refuses_memory_and_is_left_out_where_unasked(elsewhere: Path) -> None:
    tasks = tasks_of(parse([*TABLE, "--placement", "memory,file"]))
    memory, file = ([backend.name for backend in task.backends] for task in tasks)
    assert "numba_pread" not in memory and "numba_pread" in file
    done = command(*TABLE, "--placement", "memory,file", "--dry-run", cwd=elsewhere)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("of tables in file only: ")]
    assert "numba_pread" in line
    words = (*TABLE, "--passes", "1", "--time-budget", "1s", "--out", "run", "--backend", "numba_pread")
    assert command(*words, cwd=elsewhere).returncode == 1
    (record,) = records_of(elsewhere / "run")["numba_pread"]
    assert (record.status, record.reason) == ("unsupported", "reads tables of placement file only")


def test_the_folder_of_no_run_is_a_bad_request_as_any() -> None:
    with pytest.raises(BadRequest), tables.table_files("/proc/none", False, [SMALL]):
        pass
