"""Inputs of a run are known by what is in them: ids, backends' files, the suite's own code."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Choice, UnknownBackend, choose, load
from suite.cases import ids
from suite.cases.case import Case
from suite.command import BadRequest
from suite.compare.__main__ import main as compare
from suite.engine.measure import Settings
from suite.machine.software import code_digest
from suite.records.device import CPU
from suite.records.record import Record
from suite.records.store import Run
from suite.run import passes
from suite.run.__main__ import main
from suite.run.inputs import digests, with_ids
from suite.run.options import Request, parse
from suite.worker.messages import STATUS_BYTES, Job, StatusPage
from suite.worker.serve import Worker
from tests.run.test_passes import Crew, gone_over
from tests.support import fabricate
from tests.support.commands import NUMPY_ALONE, SMALL, command, records_of, refused

pytestmark = pytest.mark.usefixtures("elsewhere")
MINE = """from backends.base import Backend

FACTOR = 1


class Mine(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        import numpy as np

        return lambda: np.take(table, indices, 0, out)
"""


def written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def of(path: str | Path, *more: str) -> Request:
    return with_ids(parse([*SMALL, "--indices", str(path), *more]))[0]


def distribution(path: str | Path) -> str:
    return of(path).cases[0].distribution


def performed(job: Job, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """What a new worker answers that has no room for a table: it gets that far with the right ids alone."""
    monkeypatch.setattr("suite.worker.devices.Tables.shortage", lambda *_: "no room")
    fd = os.memfd_create("status")
    os.ftruncate(fd, STATUS_BYTES)
    try:
        return Worker(StatusPage(fd), fd, fd).perform(job)
    finally:
        os.close(fd)


def job(case: Case, path: str | None = None, backend: str | Choice = "numpy_take") -> Job:
    choice = choose(backend) if isinstance(backend, str) else backend
    return Job(case, CPU, (choice,), "m", Settings(), path)


# --- ids ------------------------------------------------------------------------------------------------


def test_two_files_of_one_name_are_two_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = written(tmp_path / "a/trace.txt", "1 2 3 4"), written(tmp_path / "b/trace.txt", "7 7 7 7")
    assert distribution(a) != distribution(b)
    assert distribution(a).startswith("file:trace.txt@")
    for path in (a, b):
        assert main([*SMALL, "--indices", path, "--dry-run"]) == 0
        assert distribution(path) in capsys.readouterr().out


def test_names_that_are_alike_once_cut_or_cleaned_are_told_apart(tmp_path: Path) -> None:
    long = "table_0000_rows_50000_pooling_1_batch_65536_of_2021_indices_"
    names = (f"{long}1.txt", f"{long}2.txt", "x y.txt", "x_y.txt", "漢字.txt", "字漢.txt")
    found = {distribution(written(tmp_path / name, f"{k} 3")) for k, name in enumerate(names)}
    assert len(found) == len(names)


def test_the_same_ids_are_one_case_however_the_file_holds_them(tmp_path: Path) -> None:
    """A trace saved again is the same trace: an archive has the hour in it, a text its comments."""
    plain = distribution(written(tmp_path / "a/ids.txt", "3 1 4"))
    for folder, text in (("b", "# saved again\n3,1,4\n"), ("c", "ids\n3.0\n1.0\n4.0")):
        assert distribution(written(tmp_path / folder / "ids.txt", text)) == plain
    for dtype in (np.int32, np.uint64, ">i8"):
        np.save(tmp_path / "ids.npy", np.array([3, 1, 4], dtype))
        assert distribution(tmp_path / "ids.npy").rpartition("@")[2] == plain.rpartition("@")[2]
    assert distribution(written(tmp_path / "d/ids.txt", "1 3 4")) != plain, "in another order they are others"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_is_known_by_what_it_leads_to(tmp_path: Path, link: Any) -> None:
    target = written(tmp_path / "target", "1 2 3")
    link(target, tmp_path / "ids.txt")
    before = distribution(tmp_path / "ids.txt")
    Path(target).write_text("4 5 6")
    assert distribution(tmp_path / "ids.txt") != before


def edited(path: str) -> None:
    Path(path).write_text("9 9 9 9")


def replaced(path: str) -> None:
    Path(f"{path}.new").write_text("9 9 9 9")
    Path(f"{path}.new").replace(path)


def kept_its_time(path: str) -> None:
    times = Path(path).stat()
    Path(path).write_text("1 2 3 5")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def gone(path: str) -> None:
    Path(path).unlink()


def no_ids(path: str) -> None:
    Path(path).write_text("one two")


@pytest.mark.parametrize("change", [edited, replaced, kept_its_time, gone, no_ids])
def test_a_file_that_changed_since_the_run_began_is_its_cases_error(
    change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker that was replaced, or the next pass, reads it anew."""
    path = written(tmp_path / "ids.txt", "1 2 3 4")
    case = of(path).cases[0]
    assert [r.status for r in performed(job(case, path), monkeypatch)] == ["out_of_memory"]
    change(path)
    (record,) = performed(job(case, path), monkeypatch)
    assert (record.status, record.backend) == ("error", "numpy_take")
    assert record.reason is not None and record.reason.startswith("ids.txt") and "\n" not in record.reason
    assert str(tmp_path) not in record.reason, "what is published names no folder"
    if change not in (gone, no_ids):
        assert record.reason == "ids.txt: holds other ids than when the run began; start a new run with it"


def test_a_case_of_earlier_versions_has_ids_without_a_digest(tmp_path: Path) -> None:
    path = written(tmp_path / "ids.txt", "1 2 3 4")
    case = replace(parse(list(SMALL)).cases[0], distribution="file:ids.txt")
    given, lengths = ids.of_file(case, path)
    assert (given.tolist(), lengths) == ([1, 2, 3, 4], None)


@pytest.mark.parametrize("distribution", ["text-shuffled", "ngram-3"])
def test_the_ids_shipped_are_those_that_are_recorded(
    monkeypatch: pytest.MonkeyPatch, distribution: str
) -> None:
    case = parse([*SMALL, "--distribution", distribution]).cases[0]
    assert digests([case], [])["ids text"] == ids.TEXT_DIGEST
    assert [r.status for r in performed(job(case), monkeypatch)] == ["out_of_memory"]
    monkeypatch.setattr(ids, "_text", lambda shuffled: np.arange(9))
    (record,) = performed(job(case), monkeypatch)
    assert (record.status, str(record.reason).partition(":")[0]) == ("error", "text_ids.npz")
    assert "ids text" not in digests([Case(10, 4)], [])


# --- backends -------------------------------------------------------------------------------------------


def test_a_backends_file_that_changed_is_not_loaded(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "mine.py", MINE))
    choice = choose(str(path))
    assert load(choice).__name__ == "Mine"
    path.write_text(MINE.replace("FACTOR = 1", "FACTOR = 2"))
    for _ in range(2):
        with pytest.raises(UnknownBackend, match=r"^mine: its file is not what it was when the run began; "):
            load(choice)
    path.unlink()
    with pytest.raises(UnknownBackend, match="not what it was"):
        load(choice)


def test_a_file_that_is_replaced_while_it_is_loaded_is_not_what_it_was(tmp_path: Path) -> None:
    path = Path(
        written(tmp_path / "mine.py", f"{MINE}\nfrom pathlib import Path\nPath(__file__).write_text('')\n")
    )
    with pytest.raises(UnknownBackend, match="not what it was"):
        load(str(path))


def test_of_two_texts_of_one_size_and_second_the_one_on_disk_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled code that Python keeps beside a file is told by the file's size and second alone."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = Path(written(tmp_path / "mine.py", MINE))
    for factor in (1, 2, 3):
        path.write_text(MINE.replace("FACTOR = 1", f"FACTOR = {factor}"))
        os.utime(path, (1.7e9, 1.7e9))
        assert factor == sys.modules[load(str(path)).__module__].FACTOR


@pytest.mark.parametrize("beside", ["near.py", "near/__init__.py", "near/inner.py"])
def test_what_a_backend_imports_from_beside_it_is_part_of_it(tmp_path: Path, beside: str) -> None:
    path = written(tmp_path / "mine.py", MINE.replace("FACTOR = 1", "from near import FACTOR"))
    written(tmp_path / "near/__init__.py", "FACTOR = 1") if "/" in beside else None
    near = Path(written(tmp_path / beside, "FACTOR = 1"))
    before = choose(path)
    near.write_text("FACTOR = 2")
    assert choose(path).digest != before.digest
    with pytest.raises(UnknownBackend, match="not what it was"):
        load(before)
    written(tmp_path / "far.py", "FACTOR = 3")
    assert choose(path) == choose(path)


def test_files_that_import_each_other_or_do_not_parse_have_a_digest(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.py", "import near\nimport mine\nimport backends\n")
    written(tmp_path / "near.py", "import mine\nimport broken\n")
    broken = Path(written(tmp_path / "broken.py", "def f(:\n"))
    before = choose(path).digest
    broken.write_text("def g(:\n")
    assert choose(path).digest not in (None, before)


def test_the_code_of_the_suite_is_told_apart_committed_or_not(tmp_path: Path) -> None:
    assert code_digest() == code_digest()
    for name in ("suite/a.py", "backends/__init__.py", "backends/base.py", "suite/engine/b.py"):
        written(tmp_path / name, "A = 1\n")
    seen = {code_digest(tmp_path)}
    written(tmp_path / "suite/a.py", "A = 2\n")
    seen.add(code_digest(tmp_path))
    (tmp_path / "suite/a.py").rename(tmp_path / "suite/b.py")
    seen.add(code_digest(tmp_path))
    written(tmp_path / "suite/engine/b.py", "A = 2\n")
    seen.add(code_digest(tmp_path))
    assert len(seen) == 4
    written(tmp_path / "suite/report/a.py", "shows, and measures nothing")
    written(tmp_path / "backends/mine.py", "has a digest of its own")
    written(tmp_path / "suite/__pycache__/a.cpython-313.pyc", "anything")
    assert code_digest(tmp_path) in seen


# --- whole runs -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("changed", [pytest.param("mine.py", marks=pytest.mark.long), "trace.txt"])
def test_a_file_that_changes_between_passes_is_an_error_in_the_second(
    changed: str, tmp_path: Path, elsewhere: Path
) -> None:
    """The backend itself does it, when it has been loaded and the ids were read."""
    meddles = f"""
        from pathlib import Path

        file = Path({str(tmp_path / changed)!r})
        file.write_text(file.read_text() + "\\n# 9\\n" if "mine" in file.name else "9 9 9 9")
        return lambda"""
    mine = written(tmp_path / "mine.py", MINE.replace("\n        return lambda", meddles))
    ids_file = written(tmp_path / "trace.txt", "1 2 3 4")
    argv = [
        *SMALL[:-1],
        mine,
        "--indices",
        ids_file,
        "--passes",
        "2",
        "--precision",
        "50%",
        "--sustain",
        "0",
    ]
    done = command(*argv, "--out", "r", cwd=elsewhere, **NUMPY_ALONE)
    assert done.returncode == 1 and "no case completed" in done.stderr, done.stderr
    first, second = (r for r in records_of(elsewhere / "r") if r["role"] == "backend")
    assert (first["status"], second["status"], second["pass_number"]) == ("ok", "error", 2)
    assert changed.partition(".")[0] in second["reason"] and "when the run began" in second["reason"]
    assert "in pass 2: " in done.stdout


def test_no_worker_is_started_with_other_code_than_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an edit, or a pull, during a run."""
    crew = Crew()
    run = Run.create(tmp_path / "r", replace(fabricate.ENVIRONMENT, digests={"suite": code_digest()}))
    gone_over(run, crew, "--passes", "1")
    asked = len(crew.asked)
    monkeypatch.setattr(passes, "code_digest", lambda: "another")
    with pytest.raises(
        BadRequest, match="code is not what it was when the run began; restore it and --resume"
    ):
        gone_over(run, crew, "--passes", "2")
    assert set(crew.asked[asked:]) == {"new"}


@pytest.mark.slow
def test_two_runs_of_two_files_of_one_name_are_not_mixed(
    tmp_path: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of two files of one name have no case in common; one is not gone on with in the other's."""
    a, b = written(tmp_path / "a/trace.txt", "1 2 3 4"), written(tmp_path / "b/trace.txt", "7 7 7 7")
    mine = written(tmp_path / "mine.py", MINE)
    shared = [*SMALL, "--passes", "1", "--time-budget", "2s", "--sustain", "0"]
    for path, out in ((a, "ra"), (b, "rb")):
        done = command(
            *shared, "--backend", mine, "--indices", path, "--out", out, cwd=elsewhere, **NUMPY_ALONE
        )
        assert done.returncode == 0, done.stderr
    capsys.readouterr()
    assert compare(["ra", "rb"]) == 2
    assert "no case that both completed" in capsys.readouterr().err
    before = (elsewhere / "ra/records.jsonl").read_bytes()
    again = [*shared, "--backend", mine, "--resume", "ra"]
    said = refused(capsys, [*again, "--indices", b])
    assert said.startswith("ra: begun with ids trace.txt of digest ") and said.count("\n") == 1
    shutil.copy(b, a)
    assert "ids trace.txt" in refused(capsys, [*again, "--indices", a])
    written(tmp_path / "a/trace.txt", "1 2 3 4")
    written(tmp_path / "mine.py", MINE.replace("FACTOR = 1", "FACTOR = 2"))
    assert "ra: begun with backend mine " in refused(capsys, [*again, "--indices", a])
    assert (elsewhere / "ra/records.jsonl").read_bytes() == before
    assert {r["case"]["distribution"] for r in records_of(elsewhere / "ra")} == {distribution(a)}
