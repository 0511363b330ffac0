"""A task in a process of its own: what it answered, line by line, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, Any

from suite.worker.process import environ_of

Spec = dict[str, Any]

_POLL_S = 0.2
_GRACE_S = 2.0
_TAIL_BYTES = 2**14
_MOST_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task sent before it ended.

    Attributes:
        lines: whole answers, in order.
        death: how it ended, if not by itself: in words, with the last it said.
        signal: the number of the signal that ended it, if one did. timed_out: whether we ended it.
    """

    lines: tuple[Any, ...]
    death: str | None = None
    signal: int | None = None
    timed_out: bool = False


def ask(
    task: str, spec: Spec, limit_s: float, threads: int, cancelled: threading.Event | None = None
) -> Answer:
    """Run a task of ``suite.claims.task_main`` and wait for its end, at most ``limit_s`` seconds.

    Args:
        cancelled: once set, from another thread, the task is ended.
    """
    results, to_child = os.pipe()
    printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, whatever happens
    process = subprocess.Popen(
        [sys.executable, "-m", "suite.claims.task_main", task, str(to_child), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=printed,
        stderr=subprocess.STDOUT,
        pass_fds=(to_child,),
        env=environ_of(threads),
        start_new_session=True,
    )
    os.close(to_child)
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as order:
            order.write(json.dumps(spec).encode())
        received, timed_out = _received(process, results, limit_s, cancelled or threading.Event())
        return _answer(process, received, timed_out, limit_s, printed)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(results)
        printed.close()


def _received(
    process: subprocess.Popen[bytes], results: int, limit_s: float, cancelled: threading.Event
) -> tuple[bytes, bool]:
    """All it wrote, and whether it was still at it when its time was over."""
    received = bytearray()
    end = time.monotonic() + limit_s
    while time.monotonic() < end and len(received) < _MOST_BYTES and not cancelled.is_set():
        if select.select([results], [], [], _POLL_S)[0]:
            part = os.read(results, 2**20)
            if not part:
                return bytes(received), False
            received += part
        elif process.poll() is not None:  # something that it left behind may hold the pipe open
            return bytes(received), False
    return bytes(received), True


def _answer(
    process: subprocess.Popen[bytes], received: bytes, timed_out: bool, limit_s: float, printed: IO[bytes]
) -> Answer:
    lines = []
    for line in received.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    if timed_out:
        return Answer(tuple(lines), f"not done after {limit_s:.0f} s", timed_out=True)
    try:
        code = process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        return Answer(tuple(lines), "closed its pipe and did not end", timed_out=True)
    if code == 0:
        return Answer(tuple(lines))
    said = _last_line(printed)
    if code == -signal.SIGKILL:
        how = "ended by SIGKILL: most likely the system ran out of memory"
    elif code < 0:
        how = f"ended by {signal.Signals(-code).name}"
    else:
        return Answer(tuple(lines), said or f"ended with code {code}")
    return Answer(tuple(lines), how + (f"; it said: {said}" if said else ""), -code)


def _last_line(printed: IO[bytes]) -> str:
    printed.seek(max(0, printed.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines = [line.strip() for line in printed.read().decode("utf-8", "replace").splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("Fatal")]
    text = (fatal or lines or [""])[-1]
    return "".join(c for c in text if c.isprintable())[:200]
