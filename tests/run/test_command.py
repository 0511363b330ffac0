"""suite.run as a command: where a run goes, and whole runs."""

from __future__ import annotations

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from suite.cases.case import Case
from suite.machine import lock, software
from suite.records.store import Run
from suite.run.__main__ import _folder, main
from suite.run.options import Request
from tests.support import ROOT, fabricate
from tests.support.commands import NUMPY_ALONE, SMALL, command, complaint, nothing_left, records_of, refused

NOBODY = 65534

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.parametrize(
    "argv", [["--backend", "numpy_tak"], ["--vocab", "0"], ["--precision", "1"], ["--frobnicate"]]
)
def test_the_real_command_refuses_in_one_line(argv: list[str], elsewhere: Path) -> None:
    done = command(*argv, cwd=elsewhere)
    assert done.returncode == 2
    assert done.stdout == ""
    complaint(done.stderr)
    assert nothing_left(elsewhere)


def test_an_out_that_is_taken_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("keep me")
    file = tmp_path / "file"
    file.write_text("keep me")
    for out, says in {
        full: "not empty",
        file: "give ",
        file / "below": "can't be written",
        Path("/proc/nowhere/run"): "can't be written",
    }.items():
        said = refused(capsys, [*SMALL, "--out", str(out)])
        assert said.startswith(str(out))
        assert says in said
        assert "--out" in said
    assert [path.name for path in full.iterdir()] == ["letter.txt"]
    assert file.read_text() == "keep me"


def test_an_out_that_may_not_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    refused(capsys, [*SMALL, "--out", "/proc/nowhere/run"])  # imports what another user might not read
    user = os.geteuid()
    try:
        if user == 0:  # who may write everywhere
            os.seteuid(NOBODY)
        assert "can't be written" in refused(capsys, [*SMALL, "--out", str(locked / "run")])
    finally:
        os.seteuid(user)
        locked.chmod(0o755)


def test_a_resume_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "environment.json").write_text('{"schema": 1, "created": NaN}')
    (broken / "records.jsonl").write_text("")
    for folder in (tmp_path / "nowhere", empty, file, broken):
        said = refused(capsys, [*SMALL, "--resume", str(folder)])
        assert said.startswith(str(folder))
    assert nothing_left(empty)


def test_runs_that_begin_at_one_moment_have_a_folder_each(elsewhere: Path) -> None:
    start = threading.Barrier(16)

    def made(_: int) -> Path:
        start.wait()
        return _folder(fabricate.ENVIRONMENT, None)

    with ThreadPoolExecutor(16) as pool:
        folders = set(pool.map(made, range(16)))
    assert len(folders) == 16 and all(folder.is_dir() for folder in folders)


def test_a_commit_that_is_not_known_is_said(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(place: Path) -> str:
        raise software._NoCommitError("git refuses it: another's checkout")

    monkeypatch.setattr(software, "_commit", refuses)
    assert main([*SMALL, "--out", "r"]) == 0
    assert "run: its commit is unknown: git refuses it: another's checkout" in capsys.readouterr().err
    assert Run.open(elsewhere / "r").environment.commit == "unknown"


def test_where_results_cannot_be_made_it_is_said(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "results").symlink_to("nothing")
    assert "can't be written" in refused(capsys, [*SMALL])
    (elsewhere / "results").unlink()
    (elsewhere / "results").write_text("")
    assert "can't be written" in refused(capsys, [*SMALL])


def test_a_host_that_is_measured_on_is_waited_for_or_refused(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.VARIABLE, str(elsewhere))
    monkeypatch.setattr("suite.run.__main__._measure", lambda *_: 0)
    with lock.held(None, None):
        who = f"process {os.getpid()} of "
        assert refused(capsys, [*SMALL, "--no-wait"]).startswith(f"host: busy, measuring for {who}")
        assert main([*SMALL, "--dry-run"]) == 0, "who measures nothing waits for nothing"
        start = threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGINT])
        start.start()
        assert main([*SMALL]) == 130
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"run: waits for {who}") and said[0].endswith(
        ", which is measuring on this host"
    )
    assert main([*SMALL]) == 0


def test_a_run_is_resumed_with_the_options_it_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, run = fabricate.ENVIRONMENT, tmp_path / "a run"
    alone = [["--resume", str(run)], [f"--resume={run}", "--insist"]]
    began = replace(where, argv=("--vocab", "7", "--dim=3", "--batch", "2", "--out", "/x", "--seed=5"))
    Run.create(run, began)
    seen: list[Request] = []
    monkeypatch.setattr("suite.run.__main__._carry_out", lambda request, *_: seen.append(request) or 0)
    for argv in (*alone, ["--resume", str(run), "--batch", "4"]):
        assert main(argv) == 0
    own, insisting, other = seen
    assert (own.seed, str(*own.cases), own.resume) == (5, str(Case(7, 3, batch=2)), str(run))
    assert insisting.insist and insisting.cases == own.cases
    assert other.seed != 5, "who gives options gives all of them"
    Run.create(tmp_path / "b", replace(where, argv=("--backend", "mine.py", "--batch", "4")))
    said = refused(capsys, ["--resume", str(tmp_path / "b")])
    assert "its own options no longer do" in said and said.rstrip().endswith("--backend mine.py --batch 4")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tables, one of them larger than memory, with ids and a backend of the user's own."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "meine ids 漢字.txt").write_text("1 2 3 4 5")
    plugin = folder / "ein Ordner" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text((ROOT / "backends" / "numpy_take.py").read_text())
    out = folder / "läufe" / "a b"
    argv = ["--vocab", "4000000000,100", "--dim", "4096", "--batch", "4", "--backend", str(plugin)]
    argv += [
        "--indices",
        "meine ids 漢字.txt",
        "--time-budget",
        "2s",
        "--precision",
        "20%",
        "--passes",
        "1",
        "--out",
        str(out),
    ]
    done = command(*argv, cwd=folder, **NUMPY_ALONE)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert str(out) in done.stdout
    return out


@pytest.mark.slow
def test_the_whole_of_an_error_is_in_the_runs_folder(elsewhere: Path) -> None:
    (elsewhere / "mine.py").write_text(
        (ROOT / "backends" / "numpy_take.py").read_text().replace("def prepare(", "def prepared(")
    )
    argv = [*SMALL[:-1], "mine.py", "numpy_take", "--passes", "1", "--time-budget", "1s", "--out", "run"]
    done = command(*argv, cwd=elsewhere, **NUMPY_ALONE)
    assert done.returncode == 1
    kept = (elsewhere / "run" / "errors" / "mine.txt").read_text()
    assert "Traceback (most recent call last)" in kept and "abstract" in kept
    assert f"all of it: {elsewhere / 'run' / 'errors' / 'mine.txt'}" in done.stderr
    assert done.stdout.splitlines()[-1] == "errors:  run/errors/mine.txt"


def test_what_disturbs_a_run_is_said_and_written_down(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from suite.run import __main__ as run
    from suite.run.launch import Launch
    from suite.run.options import parse
    from suite.run.schedule import tasks_of

    request = parse([*SMALL, "--precision", "0.01%"])
    launch = Launch(request, tasks_of(request), None, ("others keep 1.4 of 2 processors busy",))
    run._warn(launch)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("run: --precision 0.01%: seldom reached; ")
    assert said[1].startswith("run: others keep 1.4 of 2 processors busy: expect wide intervals")
    assert launch.environment([]).settings["disturbed"] == "others keep 1.4 of 2 processors busy"


def test_a_table_larger_than_memory_is_recorded_and_the_run_goes_on(whole_run: Path) -> None:
    found = {(r["case"]["vocab"], r["role"]): r for r in records_of(whole_run)}
    large = found[4_000_000_000, "backend"]
    assert large["status"] == "out_of_memory"
    assert large["samples"] is None
    assert re.search(r"needs \d+\.\d GB on cpu, \d+\.\d GB are free", large["reason"])
    assert float(large["reason"].split()[1]) > 65_000, "4e9 rows of 16 KiB"
    assert found[100, "backend"]["status"] == "ok"
    assert found[100, "ceiling"]["status"] == "ok"


def test_paths_with_spaces_and_letters_of_all_kinds_work(whole_run: Path) -> None:
    records = records_of(whole_run)
    assert {r["backend"] for r in records if r["role"] == "backend"} == {"mine"}
    assert all(r["case"]["distribution"].startswith("file:meine_ids_") for r in records)


def test_a_run_without_a_result_exits_1_and_says_so_in_a_line(elsewhere: Path) -> None:
    argv = ["--vocab", "4000000000", "--dim", "4096", "--batch", "4", "--backend", "numpy_take"]
    done = command(*argv, "--passes", "1", "--out", "run", cwd=elsewhere, **NUMPY_ALONE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "run: no case completed; the reasons are above"
    assert "out_of_memory" in done.stdout
