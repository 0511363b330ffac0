"""The manners of a command line: complaints of one line, exit codes, output that is cut off."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from suite.text import plain


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
    """Run a command and end the process with its code; no traceback for a closed pipe or Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough; the interpreter's own flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
