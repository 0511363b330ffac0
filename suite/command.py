"""Shared behaviour of all commands: argument types, one-line errors, exit codes, broken pipes."""

from __future__ import annotations

import argparse
import difflib
import errno
import io
import os
import re
import resource
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from suite.text import at_home, folded, plain

DONE, CHECK_FAILED, USAGE, UNEXPECTED, INTERRUPTED = 0, 1, 2, 70, 130
"""Exit codes: done; a check asked for failed; the request can't be carried out; an error of ours; Ctrl-C."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_REFUSED = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_REFUSALS = re.compile(
    "too many open files|cannot allocate memory|failed to map segment|start new thread|unavailable"
    "|unable to allocate",
    re.IGNORECASE,
)
"""What the system says, in the message of whichever error, where it has run out of something."""


LEAST_ADDRESSES = 2**28, 2**26
"""Bytes of addresses that NumPy needs to be loaded, and more for each processor."""
FEW_PROCESSES = 1000
"""Where no more are allowed it is tried whether a thread for each processor can be started."""


class BadRequest(Exception):
    """What the user asked can't be done; one line, ``<subject>: <what is>; <what to do>``."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {plain(message)}; see --help", file=sys.stderr)
        raise SystemExit(USAGE)


def tell(line: str) -> None:
    """Say a line on standard error; on a terminal it is broken between words."""
    text = plain(line)
    print(
        folded(text, shutil.get_terminal_size().columns, 2) if sys.stderr.isatty() else text, file=sys.stderr
    )


def say_wait(program: str, who: str) -> None:
    """Say whom a program waits for before it measures, as ``machine.lock`` names it."""
    tell(f"{program}: waits for {who}, which is measuring on this host")


def refuse(error: Exception) -> int:
    """Say on standard error, a line each, why the request can't be carried out; returns the exit code."""
    for line in str(error).splitlines():
        tell(line)
    return USAGE


def execute(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its code.

    No traceback for a closed or full output, Ctrl-C, or a system that refuses a process, a file or memory;
    that of another error goes to a file, which the one line names.
    """
    _open_standard()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _require_room()
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; the interpreter's own flush must not complain
        _silence()
        code = 141
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        if error.filename is None and error.errno in NO_ROOM:
            _silence()
            print(f"standard output: can't be written ({_words(error)})", file=sys.stderr)
            code = USAGE
        else:
            code = _unexpected(error)
    except Exception as error:
        code = _unexpected(error)
    sys.exit(code)


def _open_standard() -> None:
    """Put the null device where a standard descriptor is closed: no file may take its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _require_room() -> None:
    """Raise where the system leaves too little to load NumPy, whose BLAS would end the process by itself."""
    addresses, processors = resource.getrlimit(resource.RLIMIT_AS)[0], os.cpu_count() or 1
    if 0 <= addresses < LEAST_ADDRESSES[0] + LEAST_ADDRESSES[1] * processors:
        raise MemoryError(f"{addresses // 2**20} MiB of addresses")
    if 0 <= resource.getrlimit(resource.RLIMIT_NPROC)[0] <= FEW_PROCESSES:
        end = threading.Event()
        threads = [threading.Thread(target=end.wait) for _ in range(processors)]
        try:
            for thread in threads:
                thread.start()
        finally:
            end.set()


def _unexpected(error: Exception) -> int:
    """Say in one line what came, and keep its traceback in a file; returns the exit code."""
    if isinstance(error, ChildProcessError):
        print(f"measuring process: {plain(_words(error))}; see what it says, and: ulimit -a", file=sys.stderr)
        return USAGE
    if isinstance(error, MemoryError) or _refused(error):
        what = f"refuses a process, a file or memory ({plain(_words(error))})"
        print(f"system: {what}; raise its limit, see: ulimit -a", file=sys.stderr)
        return USAGE
    try:
        with tempfile.NamedTemporaryFile("w", prefix="suite-", suffix=".txt", delete=False) as file:
            file.writelines(traceback.format_exception(error))
        where = f"its traceback is in {file.name}"
    except OSError as refusal:
        where = f"its traceback can't be written ({_words(refusal)})"
    name = plain(f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": "))[:300]
    print(f"unexpected error: {name}; {where}", file=sys.stderr)
    return UNEXPECTED


def _refused(error: Exception) -> bool:
    by_number = isinstance(error, OSError) and error.errno in _REFUSED
    by_words = isinstance(error, OSError | ImportError | RuntimeError) and _REFUSALS.search(str(error))
    return by_number or bool(by_words)


def _words(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(words.split())
    return line[:1].lower() + line[1:] or type(error).__name__


def list_of(one: Callable[[str], object]) -> Callable[[str], tuple[object, ...]]:
    def several(text: str) -> tuple[object, ...]:
        return tuple(dict.fromkeys(one(word.strip()) for word in text.split(",")))

    return several


def whole_of(what: str, low: int, high: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not re.fullmatch(r"[0-9](_?[0-9]){0,30}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{what} {text!r} is no whole number from {low} to {high}")
        return int(text)

    return whole


def named(what: str, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """One of these names, or what others call it."""
    values, others = list(known), aliases or {}

    def one(text: str) -> str:
        name = others.get(text.lower(), text)
        if name not in values:
            near = difflib.get_close_matches(text, values, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(values)}"
            raise argparse.ArgumentTypeError(f"{what} {text!r} is unknown; {hint}")
        return name

    return one


def path_of(text: str) -> str:
    """A path with the home folder for a ``~`` at its start."""
    if not text:
        raise argparse.ArgumentTypeError("a name is needed, not ''")
    path = at_home(text)
    if path.startswith("~"):
        raise argparse.ArgumentTypeError(
            f"{text}: no such user's home; write ./{text} for a file of that name"
        )
    return path


def named_path_of(text: str) -> str:
    """A path, or NAME=PATH."""
    name, sign, path = text.partition("=")
    return f"{name}={path_of(path)}" if sign and path.startswith("~") else path_of(text)


def seconds_of(text: str) -> float:
    """A time of 1 s to 168 h in seconds: 90, 90s, 8m or 8min, 2h."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?(s|sec|m|min|h|)", text)
    value = float(found[1]) * {"s": 1, "m": 60, "h": 3600, "": 1}[found[2][:1]] if found else 0.0
    if not 1 <= value <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"time {text!r} is not between 1s and 168h; write 90s, 8m or 2h")
    return value


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
