"""Shared behaviour of all commands: argument types, one-line errors, exit codes, broken pipes."""

from __future__ import annotations

import argparse
import difflib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from suite.text import at_home, plain

DONE, CHECK_FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; a check asked for failed; the request can't be carried out; Ctrl-C."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class BadRequest(Exception):
    """What the user asked can't be done; one line, ``<subject>: <what is>; <what to do>``."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {plain(message)}; see --help", file=sys.stderr)
        raise SystemExit(USAGE)


def refuse(error: Exception) -> int:
    """Say on standard error, a line each, why the request can't be carried out; returns the exit code."""
    for line in str(error).splitlines():
        print(plain(line), file=sys.stderr)
    return USAGE


def execute(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its code; no traceback for a closed or full output or Ctrl-C."""
    if sys.stdout is None:  # closed by the caller; a file opened later must not take its place
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough; the interpreter's own flush must not complain
        _silence()
        code = 141
    except OSError as error:
        if error.filename is not None or error.errno not in NO_ROOM:
            raise
        _silence()
        print(f"standard output: can't be written ({os.strerror(error.errno).lower()})", file=sys.stderr)
        code = USAGE
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


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


def named(what: str, known: Iterable[str]) -> Callable[[str], str]:
    values = list(known)

    def one(text: str) -> str:
        if text not in values:
            near = difflib.get_close_matches(text, values, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(values)}"
            raise argparse.ArgumentTypeError(f"{what} {text!r} is unknown; {hint}")
        return text

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
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(s|m|h|)", text)
    value = float(found[1]) * {"s": 1, "m": 60, "h": 3600, "": 1}[found[2]] if found else 0.0
    if not 1 <= value <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"time {text!r} is not between 1s and 168h; write 90s, 8m or 2h")
    return value


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
