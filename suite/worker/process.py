"""Child processes: started each in its own group, read within limits, ended with all that they started."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psutil

from suite.machine import variables
from suite.machine.interpreter import options_of, stated
from suite.records.record import Record, Status, from_json
from suite.worker.messages import (
    ANSWER,
    EXIT_LOST,
    EXIT_PIPE,
    EXIT_TAMPERED,
    GO,
    STATUS_BYTES,
    STOP,
    WAIT,
    Job,
    StatusPage,
    Step,
)

MAX_MESSAGE_BYTES = 2**28
POLL_S = 0.25
SETUP_S = 300.0
"""Limit of a step that is the suite's own: building a large table."""
SPINS = 20_000
"""How often an idle OpenMP thread looks for work before it sleeps: some 0.5 ms. Its own 300,000 keep
a processor for 8 ms from a thread that was put on the same one."""
KILLED = "ended by SIGKILL, not by the suite: most likely the system ran out of memory"
_START = Step(None, "start")
_GRACE_S = 2.0
_DRAIN_S = 0.2
_TAIL_BYTES = 2**14
_PR_SET_PDEATHSIG = 1


class Process:
    """A module run as a child, the pipes to it and from it, and the end of what it printed.

    Its arguments are the file descriptors it inherits, then its parent's id, then ``arguments``.

    Args:
        module: run with ``python -m``.
        threads: how many each library may use.
        inherited: further descriptors the child gets, after the one it reads orders from and the one it
            writes answers to.
        python: the interpreter, where it is another than this one.
    """

    def __init__(
        self,
        module: str,
        threads: int,
        inherited: Sequence[int] = (),
        arguments: Sequence[str] = (),
        python: str = sys.executable,
    ) -> None:
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        given = (orders, answers, *inherited)
        # Where a standard descriptor was free a pipe may have got it, and the child has its own there.
        passed = [fd if fd > 2 else fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in given]
        self._process = subprocess.Popen(
            [python, *options_of(python), "-m", module, *map(str, passed), str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=passed,
            env=environ_of(threads),
            start_new_session=True,
        )
        for fd in {orders, answers, *passed} - set(inherited):
            os.close(fd)
        self._tail = b""
        self._drain = threading.Thread(target=self._keep_tail, daemon=True)
        self._drain.start()

    def send(self, line: bytes) -> None:
        """Give it a line of orders.

        Raises:
            OSError: it no longer reads.
        """
        os.write(self._orders, line)

    def pieces(self, beside: Sequence[int] = ()) -> Iterator[bytes]:
        """What it answers, as it comes, and an empty piece each time nothing came for a moment.

        Ends with the pipe, or with the process: another that it left behind may hold the pipe open.

        Args:
            beside: descriptors of which something may come too: then there is an empty piece at once.
        """
        while True:
            if self._answers in select.select([self._answers, *beside], [], [], POLL_S)[0]:
                piece = os.read(self._answers, 2**20)
                if not piece:
                    return
                yield piece
            elif self._process.poll() is not None:
                return
            else:
                yield b""

    def exit_code(self, wait_s: float = _GRACE_S) -> int | None:
        """Its exit code, minus the number of the signal that ended it; None if it has not ended by then."""
        try:
            return self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def resident_bytes(self, of_files: bool = True) -> int:
        """The memory it holds; 0 if it is gone.

        Args:
            of_files: whether pages of files count, which the kernel can drop.
        """
        try:
            memory = psutil.Process(self._process.pid).memory_info()
            return int(memory.rss if of_files else memory.rss - memory.shared)
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """End the process and all that it started; afterwards its exit code and last line stay known."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.exit_code()
        self._drain.join(_DRAIN_S)  # not for good: a process that escaped the group may hold the pipe open
        for fd in (self._orders, self._answers):
            with contextlib.suppress(OSError):
                os.close(fd)

    def last_line(self) -> str:
        """The last line it printed that says something; of a fatal error or another error, that line."""
        lines = [line.strip() for line in self.printed().splitlines() if line.strip()]
        errors = [line for line in lines if "Error" in line or "error" in line]
        fatal = [line for line in lines if line.startswith("Fatal")]  # the interpreter's; its stack follows
        text = (fatal or errors or lines or [""])[-1]
        return "".join(c for c in text if c.isprintable())[:200]

    def printed(self) -> str:
        """The end of what it printed."""
        return self._tail.decode("utf-8", "replace")

    def _keep_tail(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            while part := os.read(printed.fileno(), 2**16):
                self._tail = (self._tail + part)[-_TAIL_BYTES:]


def ended(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "stopped answering"
    if code == -signal.SIGKILL:
        return KILLED
    if code < 0:
        return f"ended by signal {-code} ({signal.Signals(-code).name})"
    return f"exited with code {code}"


def belong_to(parent: int) -> None:
    """Die with the parent process, and leave Ctrl-C to it; for a child to call first."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    untraced()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def environ_of(threads: int) -> dict[str, str]:
    """The variables a measuring process is started with."""
    return {
        **stated(),
        **{name: str(threads) for name in variables.THREADS},
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", str(SPINS)),
        "PYTHONFAULTHANDLER": "1",
        "CUDA_MODULE_LOADING": "LAZY",  # as a user has it; what a lookup loads it has loaded when it is timed
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def untraced() -> None:
    """Switch off tracers, profilers and the tracing of memory that the start-up of Python has put on."""
    sys.settrace(None)
    sys.setprofile(None)
    threading.settrace(None)
    threading.setprofile(None)
    tracemalloc.stop()
    monitoring: Any = getattr(sys, "monitoring", None)
    for tool in range(6) if monitoring else ():
        if monitoring.get_tool(tool) is not None:
            monitoring.set_events(tool, 0)


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended, as its parent saw it.

    Attributes:
        backend: whose step it was. rounds: how many it had been let take.
        output: the end of what it printed.
        certain: whether it is known to be that backend's doing.
    """

    backend: str | None
    status: Status
    reason: str
    rounds: int = 0
    output: str = ""
    certain: bool = False


class Child:
    """The worker as its parent holds it: it is asked for the records of one job at a time."""

    def __init__(self, threads: int, python: str = sys.executable) -> None:
        status = os.memfd_create("status")
        os.ftruncate(status, STATUS_BYTES)
        self.status = StatusPage(status)
        self.status.write(_START)
        self.gate, gate = socket.socketpair()
        self.gate.setblocking(False)
        self.process = Process("suite.worker.serve", threads, (status, gate.fileno()), python=python)
        os.close(status)
        gate.close()
        self.rounds = 0
        self.told: Callable[[str | None, str], None] = lambda *_: None

    def ask(
        self, job: Job, timeout_s: float, memory_bytes: int
    ) -> Generator[None, bool, list[Record] | Death]:
        """Give it a job and wait for its records, or for how it ended.

        Yields where it waits for its next round, and is sent whether there is one; its time stands still.

        Args:
            timeout_s: longest time a backend's step may take. memory_bytes: most that it may hold.
        """
        try:
            self.process.send(job.to_line())
        except OSError:
            return self._death("crashed", self._ended())
        received, self.rounds = bytearray(), 0
        seen, since = self.status.read()[0], time.monotonic()
        for piece in self.process.pieces([self.gate.fileno()] if job.gated else []):
            received += piece
            if piece and (self.status.read()[1].name != ANSWER or len(received) > MAX_MESSAGE_BYTES):
                return self._death("crashed", "wrote into the pipe of its worker")
            if piece and _is_whole(received):
                records = _parsed(received)
                return records or self._death("crashed", "its worker's answer is no answer")
            asked = self._asked() if job.gated else b""
            count, step = self.status.read()  # it notes that it waits before it asks
            if asked and (asked != GO or step.name != WAIT):
                return self._death("crashed", "wrote into the gate of its worker")
            if asked:
                self._let((yield))
                since = time.monotonic()
            if count != seen:
                seen, since = count, time.monotonic()
                self.told(step.backend, step.name)
            limit = timeout_s if step.backend else max(timeout_s, SETUP_S)
            if time.monotonic() - since > limit:
                return self._death("timed_out", f"took longer than {limit:g} s")
            if death := self._outgrown(memory_bytes, job.case.placement != "file"):
                return death
        return self._death(*self._closed())

    @property
    def began(self) -> bool:
        """Whether it has come so far as to take a job."""
        return self.status.read()[1] != _START

    def _asked(self) -> bytes:
        """What came at its gate; empty if nothing did, or nothing more can."""
        try:
            return self.gate.recv(64)
        except OSError:
            return b""

    def _let(self, go: bool) -> None:
        self.rounds += go
        with contextlib.suppress(OSError):  # of one that died while it waited; its pipe tells
            self.gate.send(GO if go else STOP)

    def kill(self) -> None:
        """End the process and all that it started."""
        self.process.kill()
        self.gate.close()

    def _closed(self) -> tuple[Status, str]:
        """What the end of its pipe means: a death, or a pipe closed under a living process."""
        code = self.process.exit_code()
        if code is None or code == EXIT_PIPE:
            return "crashed", "closed the pipe of its worker"
        if code == EXIT_TAMPERED:
            return "wrong", "the operands are not what they were"
        if code == EXIT_LOST:
            return "crashed", "left the device unusable"
        return ("out_of_memory" if code == -signal.SIGKILL else "crashed"), self._ended()

    def _ended(self) -> str:
        code = self.process.exit_code(0)
        return ended(code) + (" and no result" if code is not None and code >= 0 else "")

    def _death(self, status: Status, what: str) -> Death:
        _, step = self.status.read()
        self.kill()
        line = self.process.last_line()
        reason = f"{what}, in: {step.name}" + (f"; it said: {line}" if line else "")
        certain = self.process.exit_code(0) == EXIT_LOST
        return Death(step.backend, status, reason, self.rounds, self.process.printed(), certain)

    def _outgrown(self, memory_bytes: int, of_files: bool) -> Death | None:
        """The death of a worker that grew too large, by the backend that made it grow most."""
        resident = self.process.resident_bytes(of_files)
        if resident <= memory_bytes:
            return None
        limit = f"{memory_bytes / 1e9:.1f} GB"
        _, step = self.status.read()
        death = self._death("out_of_memory", f"worker grew over {limit} and was ended")
        if step.grown_bytes > resident - step.resident_bytes:
            whose = step.grower or "the suite"
            reason = f"{death.reason}; {whose} had grown it by {step.grown_bytes / 1e9:.1f} GB"
            return replace(death, backend=step.grower, reason=reason)
        return death


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
