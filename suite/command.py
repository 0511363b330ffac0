"""The manners of a command line: complaints of one line, exit codes, output that is cut off."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from suite.text import plain

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {plain(message)}; see --help", file=sys.stderr)
        raise SystemExit(2)


def refuse(error: Exception) -> int:
    """Say on standard error, a line each, why the request can't be carried out; returns the exit code."""
    for line in str(error).splitlines():
        print(plain(line), file=sys.stderr)
    return 2


def execute(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its code; no traceback for a closed or full output or Ctrl-C."""
    if (
        sys.stdout is None
    ):  # closed by whoever wants to hear nothing; a file opened later must not take its place
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough; the interpreter's own flush must not complain
        _silence()
        code = 141
    except OSError as error:
        if error.filename is not None or error.errno not in NO_ROOM:
            raise
        _silence()
        print(f"standard output: can't be written ({os.strerror(error.errno).lower()})", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
