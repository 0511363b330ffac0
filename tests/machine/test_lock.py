"""One run at a time on a host's processors, and on a GPU; a lock goes with its process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.machine import lock
from suite.records.store import Run
from tests.support import ROOT, fabricate

ONE, OTHER = "1111-11", "2222-22"
HOLD = """
import sys
from suite.machine import lock
with lock.held(sys.argv[1] or None, None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(lock.VARIABLE, str(tmp_path))
    yield tmp_path


def other(gpu: str = "") -> subprocess.Popen[str]:
    """Another process, once it has its lock."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, gpu], stdin=-1, stdout=-1, text=True, cwd=ROOT, env=os.environ
    )
    assert child.stdout and child.stdout.readline() == "held\n"
    return child


@pytest.mark.parametrize(("theirs", "ours", "together"), [
    ("", None, False),
    ("", ONE, False),
    (ONE, None, False),
    (ONE, ONE, False),
    (ONE, OTHER, True),
])  # fmt: skip
def test_runs_go_on_together_only_on_different_gpus(
    folder: Path, theirs: str, ours: str | None, together: bool
) -> None:
    with other(theirs) as child:
        if together:
            with lock.held(ours, None) as held:
                assert held.most == 2
        else:
            with pytest.raises(lock.Busy, match=rf"process {child.pid} of \w+ on \S+, since [\d: -]+ UTC"):
                lock.held(ours, None).__enter__()
        child.kill()
    with lock.held(ours, None) as held:
        assert held.most == 1, "death releases it"


def test_a_run_waits_and_says_for_whom(folder: Path) -> None:
    child, said = other(), list[str]()

    def waits(who: str) -> None:
        said.append(who)
        threading.Timer(0.3, child.send_signal, [signal.SIGKILL]).start()

    with lock.held(None, waits):
        assert child.wait(5) == -signal.SIGKILL
    (who,) = said
    assert who.startswith(f"process {child.pid} of ")
    assert child.stdin and child.stdout
    child.stdin.close()
    child.stdout.close()


def test_more_runs_are_counted_and_written_down(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run.create(tmp_path_factory.mktemp("run"), fabricate.ENVIRONMENT)
    with lock.held(ONE, None) as held:
        run = held.noted(run)
        assert run.environment.system[lock.RUNS_AT_ONCE] == 1
        with other(OTHER) as child:
            run = held.noted(run)
            child.kill()
        run = held.noted(run)
    assert Run.open(run.path).environment.system[lock.RUNS_AT_ONCE] == 2, "also those that have ended since"
    assert Run.open(run.path).environment.system.items() >= fabricate.ENVIRONMENT.system.items()


def test_each_user_may_lock_the_file(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        with lock.held(None, None):
            pass
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    file.chmod(0o444)  # as another's, who made it otherwise
    with lock.held(None, None), pytest.raises(lock.Busy):
        lock.held(None, None).__enter__()


def test_what_is_no_file_is_left_alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    victim = tmp_path_factory.mktemp("victim") / "file"
    victim.write_text("keep me")
    place = folder / "embedding-lookup-suite.cpu.lock"
    for make in (lambda: place.symlink_to(victim), lambda: os.mkfifo(place), place.mkdir):
        make()
        with lock.held(None, None) as held:
            assert held.folders == () and held.most is None, "it can't be known"
        place.rmdir() if place.is_dir() else place.unlink()
    assert victim.read_text() == "keep me"


def test_one_shared_folder_of_several_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers do that share only one, or where one may only be read."""
    shared, own, another = (tmp_path / name for name in ("shared", "own", "another"))
    for each in (shared, own, another):
        each.mkdir()
    monkeypatch.delenv(lock.VARIABLE)
    monkeypatch.setattr(lock, "FOLDERS", (own, tmp_path / "missing", shared))
    with lock.held(None, None) as held:
        assert held.folders == (own, shared)
        monkeypatch.setattr(lock, "FOLDERS", (another, shared))
        with pytest.raises(lock.Busy):
            lock.held(None, None).__enter__()
        assert list(another.iterdir()), "it was taken there, and given back"
    with lock.held(None, None):
        pass


def test_a_file_that_was_deleted_is_made_anew(folder: Path) -> None:
    def waits(_: str) -> None:
        (folder / "embedding-lookup-suite.cpu.lock").unlink()
        child.kill()

    with other() as child, lock.held(None, waits), pytest.raises(lock.Busy):
        lock.held(None, None).__enter__()


def test_what_another_wrote_there_is_shown_as_a_line(folder: Path) -> None:
    with other():
        place = folder / "embedding-lookup-suite.cpu.lock"
        for text, shown in (
            (b"\x1b[31m red \n next" + b"\xff" * 9000, "[31m red next"),
            (b"", "does not say"),
        ):
            place.write_bytes(text)
            with pytest.raises(lock.Busy) as busy:
                lock.held(None, None).__enter__()
            assert shown in str(busy.value) and str(busy.value).isprintable() and len(str(busy.value)) <= 200
