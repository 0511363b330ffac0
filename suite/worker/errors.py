"""Errors of backends, whole: what a record has room for one line of, in a file of the run's folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from suite.machine import privacy
from suite.worker.messages import Job

MOST_BYTES = 2**18
"""A file that has grown so large is not added to: what fails in every case fails alike."""


def file_of(folder: str | Path, backend: str) -> Path:
    """The file of a backend's errors in the folder of a run's."""
    return Path(folder) / f"{backend}.txt"


def keep(job: Job, backend: str, text: str) -> None:
    """Add what a backend's error said in a job to its file, without names of people and hosts.

    Nothing is kept of a job without a folder, nor where it can't be written: the record says what happened.
    """
    if job.errors is None or not text.strip():
        return
    file, names = file_of(job.errors, backend), privacy.private_names()
    lines = (privacy.anonymous(line, names) for line in text.splitlines())
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8", errors="replace") as kept:
            if kept.tell() < MOST_BYTES:
                kept.write(f"--- {job.device} {job.case}\n" + "\n".join(lines)[:MOST_BYTES] + "\n")
