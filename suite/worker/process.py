"""One worker process as its parent holds it: the pipes to it, what it printed, and how it ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import psutil

from suite.records.record import Record, Status, from_json
from suite.worker.messages import ANSWER, EXIT_PIPE, EXIT_TAMPERED, STATUS_BYTES, Job, StatusPage, Step

MAX_MESSAGE_BYTES = 2**28
POLL_S = 0.25
SETUP_S = 300.0
"""Limit of a step that is the suite's own: building a large table."""
SPINS = 20_000
"""How often an idle OpenMP thread looks for work before it sleeps: some 0.5 ms. Its own 300,000 keep
a processor for 8 ms from a thread that was put on the same one."""
_GRACE_S = 2.0
_TAIL_BYTES = 2**14
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended, as its parent saw it."""

    backend: str | None
    status: Status
    reason: str


class Child:
    """One worker process, the pipes to it, and the end of what it printed."""

    def __init__(self, threads: int) -> None:
        jobs, self.jobs = os.pipe()
        self.results, results = os.pipe()
        status = os.memfd_create("status")
        os.ftruncate(status, STATUS_BYTES)
        self.status = StatusPage(status)
        self.status.write(Step(None, "start"))
        command = [
            sys.executable,
            "-m",
            "suite.worker.serve",
            *map(str, (jobs, results, status, os.getpid())),
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(jobs, results, status),
            env=environ_of(threads),
            start_new_session=True,
        )
        for fd in (jobs, results, status):
            os.close(fd)
        self.tail: deque[bytes] = deque(maxlen=8)
        threading.Thread(target=self._drain, daemon=True).start()

    def ask(self, job: Job, timeout_s: float, memory_bytes: int) -> list[Record] | Death:
        """Give it a job and wait for its records, or for what became of it."""
        try:
            os.write(self.jobs, job.to_line())
        except OSError:
            return self._death("crashed", self._ended())
        received = bytearray()
        seen, since = self.status.read()[0], time.monotonic()
        while True:
            if select.select([self.results], [], [], POLL_S)[0]:
                part = os.read(self.results, 2**20)
                received += part
                if not part:
                    return self._death(*self._judged())
                if self.status.read()[1].name != ANSWER or len(received) > MAX_MESSAGE_BYTES:
                    return self._death("crashed", "wrote into the pipe of its worker")
                if _is_whole(received):
                    records = _parsed(received)
                    return records or self._death("crashed", "its worker's answer is no answer")
            elif self.process.poll() is not None:  # a process that it left behind may hold the pipe open
                return self._death(*self._judged())
            count, step = self.status.read()
            if count != seen:
                seen, since = count, time.monotonic()
            limit = timeout_s if step.backend else max(timeout_s, SETUP_S)
            if time.monotonic() - since > limit:
                return self._death("timed_out", f"took longer than {limit:g} s")
            resident = self._resident()
            if resident > memory_bytes:
                return self._outgrown(resident, f"{memory_bytes / 1e9:.1f} GB")

    def kill(self) -> None:
        """End the process and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_S)
        for fd in (self.jobs, self.results):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _judged(self) -> tuple[Status, str]:
        """What the end of its pipe says: a death, or a pipe closed under a living process."""
        try:
            code = self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return "crashed", "closed the pipe of its worker"
        if code == EXIT_TAMPERED:
            return "wrong", "the operands are not what they were"
        if code == -signal.SIGKILL:
            return (
                "out_of_memory",
                "ended by SIGKILL, not by the suite: most likely the system ran out of memory",
            )
        return "crashed", "closed the pipe of its worker" if code == EXIT_PIPE else self._ended()

    def _ended(self) -> str:
        code = self.process.poll()
        if code is None:
            return "stopped answering"
        if code < 0:
            return f"ended by signal {-code} ({signal.Signals(-code).name})"
        return f"exited with code {code} and no result"

    def _death(self, status: Status, what: str) -> Death:
        _, step = self.status.read()
        self.kill()
        said = _last_line(b"".join(self.tail))
        reason = f"{what}, in: {step.name}" + (f"; it said: {said}" if said else "")
        return Death(step.backend, status, reason)

    def _outgrown(self, resident: int, limit: str) -> Death:
        """The death of a worker that grew too large, by whoever made it grow most."""
        _, step = self.status.read()
        death = self._death("out_of_memory", f"worker grew over {limit} and was ended")
        if step.grown_bytes > resident - step.resident_bytes:
            whose = step.grower or "the suite"
            reason = f"{death.reason}; {whose} had grown it by {step.grown_bytes / 1e9:.1f} GB"
            return Death(step.grower, death.status, reason)
        return death

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _drain(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as printed:
            while part := os.read(printed.fileno(), 2**16):
                self.tail.append(part[-_TAIL_BYTES:])


def environ_of(threads: int) -> dict[str, str]:
    """The variables a measuring process is started with."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {
        **os.environ,
        **{name: str(threads) for name in names},
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
        "PYTHONFAULTHANDLER": "1",
        "CUDA_MODULE_LOADING": "EAGER",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def _is_whole(received: bytearray) -> bool:
    return received.endswith(b"\n") and received.rfind(b"\nend ", 0, -1) == received.rfind(b"\n", 0, -1) != -1


def _parsed(received: bytearray) -> list[Record]:
    """The records of a whole message; none if it is not one."""
    *lines, last, _ = bytes(received).split(b"\n")
    if last != b"end %d" % len(lines):
        return []
    try:
        return [from_json(Record, line) for line in lines]
    except ValueError:
        return []


def _last_line(printed: bytes) -> str:
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line or "error" in line]
    fatal = [line for line in lines if line.startswith("Fatal")]  # of the interpreter; its stack comes after
    text = (fatal or errors or lines or [""])[-1]
    return "".join(c for c in text if c.isprintable())[:200]
