"""A simulated machine: hogs on a processor or in memory, on and off, fewer processors, a quota of time.

Each is a context manager and ends what it started, even if its user is killed. They can be seen at work by
`python -m tests.stand_ins.hogs spin|stream PROCESSOR`, until it is interrupted.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STREAM_BYTES = 2**28
PR_SET_PDEATHSIG = 1
PERIOD_US = 100_000
"""Of a quota: that many microseconds a period, as container runtimes set it."""
GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
"""Where a group with a quota may be made: of version 1, of version 2."""


class NotHere(Exception):
    """This machine can't be made so; the message says why."""


@dataclass
class Hog:
    """A process that hogs, running until it is paused.

    Attributes:
        states: when it was turned on or off, in seconds since the epoch, and whether on.
    """

    process: subprocess.Popen[str]
    states: list[tuple[float, bool]] = field(default_factory=list)

    def turn(self, on: bool) -> None:
        """Let it run, or stop it."""
        self.process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)
        self.states.append((time.time(), on))

    def seconds_on(self) -> float:
        """For how long it ran, up to now."""
        ends = [began for began, _ in self.states[1:]] + [time.time()]
        return sum(end - began for (began, on), end in zip(self.states, ends, strict=True) if on)


@contextlib.contextmanager
def hog(kind: str, processor: int) -> Iterator[Hog]:
    """A process that keeps one processor busy.

    Args:
        kind: ``spin``: with a loop in its caches. ``stream``: by copying 256 MB to and fro.
    """
    command = [sys.executable, "-m", __name__, kind, str(processor)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    made = Hog(process)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise NotHere(f"hog: no {kind} on processor {processor}")
        made.states.append((time.time(), True))
        yield made
    finally:
        process.kill()  # ends it even while it is stopped
        process.communicate()


@contextlib.contextmanager
def on_and_off(made: Hog, seed: int, least_s: float = 2.0, most_s: float = 20.0) -> Iterator[Hog]:
    """A hog turned off and on, each for a time drawn between these; the first state is drawn too."""
    over, rng = threading.Event(), random.Random(seed)

    def switch() -> None:
        on = rng.random() < 0.5
        while True:
            made.turn(on)
            if over.wait(rng.uniform(least_s, most_s)):
                return
            on = not on

    thread = threading.Thread(target=switch, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def confined(processors: Sequence[int]) -> Iterator[None]:
    """This thread, and what it starts meanwhile, on these processors only, as by ``taskset``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def throttled(share: float) -> Iterator[Path]:
    """A group of processes that get this share of one processor's time; a process joins by its id.

    Yields:
        The file to write ids to. Processes that are in it at the end are ended.

    Raises:
        NotHere: no group with a quota can be made.
    """
    group = _new_group()
    try:
        quota = int(share * PERIOD_US)
        try:
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            raise NotHere(f"cgroup: no quota of processor time, {error.strerror}") from None
        yield group / "cgroup.procs"
    finally:
        _end(group)


def _new_group() -> Path:
    why = "not mounted"
    for parent in GROUPS:
        group = parent / f"lookup-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            why = error.strerror or why
        else:
            return group
    raise NotHere(f"cgroup: no group can be made, {why}")


def _end(group: Path) -> None:
    for _ in range(100):
        for member in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(member), signal.SIGKILL)
        with contextlib.suppress(OSError):  # busy until the last one is gone
            group.rmdir()
            return
        time.sleep(0.02)


def sibling() -> int:
    """The processor for a hog: the last of those allowed, which shares its core with the one before it."""
    return max(os.sched_getaffinity(0))


def _work(kind: str, processor: int) -> None:
    """Never returns; ends with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, [processor])
    if kind == "stream":
        half = bytearray(STREAM_BYTES // 2)
        other = bytearray(half)
        print("ready", flush=True)
        while True:
            half[:] = other
            other[:] = half
    assert kind == "spin", kind
    print("ready", flush=True)
    while True:
        sum(range(10_000))


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
