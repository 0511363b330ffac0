"""A task in a process of its own: its answers, line by line, and how it ended."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suite.worker.process import Process, ended

Spec = dict[str, Any]

_MOST_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task sent before it ended.

    Attributes:
        lines: whole answers, in order.
        death: how it ended, if not by itself: in words, with the last line it printed.
        signal: the number of the signal that ended it, if one did. timed_out: whether its time was over.
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
    process = Process("suite.claims.task_main", threads, arguments=(task,))
    try:
        with contextlib.suppress(BrokenPipeError):
            process.send(json.dumps(spec).encode() + b"\n")
        received, in_time = _received(process, limit_s, cancelled or threading.Event())
        code = process.exit_code() if in_time else None
    finally:
        process.kill()
    lines = tuple(_parsed(received))
    if not in_time:
        return Answer(lines, f"not done after {limit_s:.0f} s", timed_out=True)
    if code is None:
        return Answer(lines, "closed its pipe and did not end", timed_out=True)
    if code == 0:
        return Answer(lines)
    last = process.last_line()
    if code > 0:
        return Answer(lines, last or ended(code))
    return Answer(lines, ended(code) + (f"; it said: {last}" if last else ""), signal=-code)


def _received(process: Process, limit_s: float, cancelled: threading.Event) -> tuple[bytes, bool]:
    """All it answered, and whether it was done before its time was over."""
    received, end = bytearray(), time.monotonic() + limit_s
    for piece in process.pieces():
        received += piece
        if time.monotonic() >= end or len(received) >= _MOST_BYTES or cancelled.is_set():
            return bytes(received), False
    return bytes(received), True


def _parsed(received: bytes) -> Iterator[Any]:
    for line in received.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            yield json.loads(line)
