"""suite.run as a command, and the form of its refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from suite.run.__main__ import main
from tests.support import ROOT

# <subject>: <what is>; <what to do>
COMPLAINT = re.compile(r"\S[^\n]*: \S[^\n]*; \S[^\n]*\n")
SMALL = ("--vocab", "100", "--dim", "8", "--batch", "4", "--backend", "numpy_take")

FINISHED = (
    *("--vocab", "1000", "--dim", "64", "--batch", "1,2", "--threads", "1", "--time-budget", "1s"),
    *("--backend", "torch_index_select", "numba_cpu", "--passes", "1"),
)
"""The request of the finished run."""

NUMPY_ALONE = {"PYTHONPATH": os.pathsep.join((str(ROOT / "tests/stand_ins/numpy_alone"), str(ROOT)))}
"""Variables of a process whose workers start in a third of the time, for runs that need no other library."""


def complaint(text: str) -> str:
    """The one line of a refusal, held to its form."""
    assert text.count("\n") == 1, text
    assert COMPLAINT.fullmatch(text), text
    assert text.rstrip("\n").isprintable()
    return text


def refused(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """What the command says of a request that can't be carried out."""
    assert main(argv) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return complaint(said.err)


def command(*argv: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """suite.run with these words, and with these variables."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, "-m", "suite.run", *argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir())


def records_of(run: Path) -> list[dict[str, Any]]:
    """The lines of a run on disk, in order."""
    return [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
