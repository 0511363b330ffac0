"""A child process: its answers arrive as they come, its end is put in words, what it started ends too."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from suite.worker.process import KILLED, Process, ended, environ_of

HEAD = "import os, signal, subprocess, sys, time\norders, answers = map(int, sys.argv[1:3])\n"


def started(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Process:
    """A child that does this."""
    (folder / "toy_child.py").write_text(HEAD + body)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Process("toy_child", 1, arguments=("word",))


def test_orders_and_arguments_arrive_and_answers_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "os.write(answers, os.read(orders, 99) + repr((int(sys.argv[3]), sys.argv[4:])).encode())"
    process = started(tmp_path, monkeypatch, body)
    process.send(b"order\n")
    answer = b"".join(process.pieces())
    assert process.exit_code() == 0
    process.kill()
    assert answer == f"order\n({psutil.Process().pid}, ['word'])".encode()


@pytest.mark.parametrize(
    ("body", "code", "last"),
    [
        ("os._exit(3)", 3, ""),
        ("print('one', flush=True)\nprint('\\x1btwo', flush=True)\nos._exit(3)", 3, "two"),
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("print('x: error', flush=True)\nprint('bye')", 0, "x: error"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -11, "Fatal Python error: Segmentation fault"),
    ],
)
def test_the_last_line_that_says_something_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, code: int, last: str
) -> None:
    process = started(tmp_path, monkeypatch, body)
    assert list(filter(None, process.pieces())) == []
    assert process.exit_code() == code
    process.kill()
    assert process.last_line() == last


def test_what_a_child_started_ends_with_it_and_does_not_hold_up_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "os.set_inheritable(answers, True)\n"
        "left = subprocess.Popen(['sleep', '600'], close_fds=False)\n"
        "os.write(answers, b'%d' % left.pid)"
    )
    process = started(tmp_path, monkeypatch, body)
    left = psutil.Process(int(b"".join(process.pieces())))
    assert left.is_running()
    process.kill()
    until = time.monotonic() + 10
    while left.is_running() and left.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_child_that_goes_on_has_no_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = started(tmp_path, monkeypatch, "os.close(answers)\ntime.sleep(600)")
    assert list(filter(None, process.pieces())) == []
    assert process.exit_code(0.1) is None
    process.kill()
    assert process.exit_code() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "stopped answering"),
        (-9, KILLED),
        (-6, "ended by signal 6 (SIGABRT)"),
        (0, "exited with code 0"),
        (5, "exited with code 5"),
    ],
)
def test_an_end_in_words(code: int | None, words: str) -> None:
    assert ended(code) == words


def test_cuda_loads_its_kernels_when_they_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for a user: all at once take seconds of every worker, and memory that no lookup needs."""
    monkeypatch.setenv("CUDA_MODULE_LOADING", "EAGER")
    assert environ_of(1)["CUDA_MODULE_LOADING"] == "LAZY"
