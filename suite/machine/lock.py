"""Lock of a host's processors and GPUs: runs that would spoil each other's times wait for each other.

A CPU run has the host to itself. Runs on different GPUs go on together, as each has its GPU to itself; how
many they were is told. The locks are flock(2)'s, on a file of each device in each folder that programs of all
users, and of containers that share it, can use: the kernel releases them however a process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from suite.machine.privacy import host_name
from suite.machine.procfs import printable

if TYPE_CHECKING:
    from suite.records.store import Run

FOLDERS = (Path("/run/lock"), Path("/dev/shm"), Path("/tmp"))
VARIABLE = "EMBEDDING_LOOKUP_LOCKS"
"""Names one folder in place of these, such as one that containers share."""
RUNS_AT_ONCE = "runs_at_once"
"""Among the facts of the system: how many runs there were at once; null where that can't be known."""
_CPU = "cpu"
_TRIES, _PAUSE_S = 5, 0.05
"""Whoever counts the runs holds a lock for a moment."""
_LONGEST = 400


class Busy(Exception):
    """A device is another run's; the message says whose."""


class Lock:
    """The locks that a run holds on its devices, until it is closed or its process ends.

    Attributes:
        folders: those that locks could be taken in; none where no file can be made.
        most: how many runs there were at once so far, this one among them; None where that can't be known.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self.files: dict[Path, int] = {}
        self.most = 1 if folders else None

    def look(self) -> None:
        """Count the runs that hold another GPU now."""
        own = {path.name for path in self.files}
        found = {path.name for folder in self.folders for path in folder.glob(_file_name("*"))}
        others = {name for name in found - own if any(_is_held(folder / name) for folder in self.folders)}
        if self.most is not None:
            self.most = max(self.most, 1 + len(others))

    def noted(self, run: Run) -> Run:
        """The run, with how many there were at once written down if that is more than it knew.

        Raises:
            StoreError: its environment can't be written.
        """
        self.look()
        system = run.environment.system
        known = system.get(RUNS_AT_ONCE, 0)
        if known is None or (isinstance(known, int) and self.most is not None and known >= self.most):
            return run
        return run.amended(system={**system, RUNS_AT_ONCE: self.most})

    def close(self) -> None:
        """Let the next run have the devices."""
        while self.files:
            os.close(self.files.popitem()[1])


@contextlib.contextmanager
def held(
    gpu: str | None, waits: Callable[[str], None] | None, environ: Mapping[str, str] = os.environ
) -> Iterator[Lock]:
    """The lock of this host's processors, or of a GPU, by its UUID, beside other GPUs' runs.

    Args:
        waits: called once with who has it, before a wait; None: don't wait.

    Raises:
        Busy: another run has it, and there is to be no wait.
    """
    given = environ.get(VARIABLE)
    lock = Lock([folder for folder in ([Path(given)] if given else FOLDERS) if _usable(folder)])
    try:
        # In one order everywhere, so that no two runs wait for each other.
        for name, alone in ((_CPU, gpu is None), *([(gpu, True)] if gpu else [])):
            for folder in lock.folders:
                path = folder / _file_name(name)
                if (file := _taken(path, alone, waits)) is not None:
                    lock.files[path] = file
        lock.look()
        yield lock
    finally:
        lock.close()


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """A file of a lock, held by this process alone and gone after it; nothing where it can't be made or held.

    Raises:
        Busy: another process holds it.
    """
    file = _taken(path, alone=True, waits=None)
    try:
        yield
    finally:
        if file is not None:
            path.unlink(missing_ok=True)  # while it is held, so that nobody else's is removed
            os.close(file)


def _file_name(device: str) -> str:
    return f"embedding-lookup-suite.{device}.lock"


def _usable(folder: Path) -> bool:
    """Whether the CPU's file can be had there."""
    file = _opened(folder / _file_name(_CPU))
    if file is not None:
        os.close(file)
    return file is not None


def _opened(path: Path) -> int | None:
    """The file, made if need be so that every user may lock it; None if it can't be had, or is no file.

    One that is there is opened without O_CREAT: in a folder of all users the kernel refuses that on a file of
    another user (fs.protected_regular). To lock it, reading is enough.
    """
    common = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    for flags in (os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR):
        try:
            file = os.open(path, flags | common, 0o666)
        except OSError:
            continue
        if flags & os.O_CREAT:
            with contextlib.suppress(OSError):
                os.fchmod(file, 0o666)  # whatever the umask
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        return None
    return None


def _taken(path: Path, alone: bool, waits: Callable[[str], None] | None) -> int | None:
    """The file of a device, locked: alone, or with others that let it be shared; None if there is none."""
    how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    while (file := _opened(path)) is not None:
        try:
            if not _at_once(file, how):
                who = _holder(file)
                if waits is None:
                    raise Busy(who)
                waits(who)
                waits = _nothing
                fcntl.flock(file, how)
            if _is_at(path, file):
                _sign(file)
                return file
        except OSError:  # as on a file system without locks
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # it was deleted meanwhile, and another made
    return None


def _nothing(_: str) -> None:
    """Whom a run waits for is said once."""


def _at_once(file: int, how: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        else:
            return True
    return False


def _is_held(path: Path) -> bool:
    file = _opened(path) if path.exists() else None
    if file is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(file)


def _is_at(path: Path, file: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(file))
    return False


def _sign(file: int) -> None:
    """Write into the file who holds it; where another user's may not be written, it stays as it is."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may run as a user without a name
        user = str(os.getuid())
    text = f"process {os.getpid()} of {user} on {host_name()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
    with contextlib.suppress(OSError):
        os.pwrite(file, text.encode(), 0)
        os.ftruncate(file, len(text.encode()))


def _holder(file: int) -> str:
    """Who signed the file last."""
    try:
        return (
            printable(os.pread(file, _LONGEST, 0).decode(errors="replace")) or "a process that does not say"
        )
    except OSError:
        return "a process that can't be asked"
