"""SLURM: an array of shards that is requeued with what it has, and the merge that depends on it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.command import BadRequest
from suite.fleet.work import Work

SHARD, MERGE = "shard.sbatch", "merge.sbatch"


def files(work: Work, directives: Sequence[str] = ()) -> dict[str, str]:
    """The two scripts, by name.

    Args:
        directives: more options of sbatch, for both: ``--partition=short``.

    Raises:
        BadRequest: the folder's name means something else to sbatch.
    """
    if re.search(r'[%\\"]', str(work.folder)):
        raise BadRequest(f'{work.folder}: sbatch reads %, \\ and " in a name; give another folder')
    shard = [
        f"--array=1-{work.shards}",
        "--requeue",
        # A shard of the CPU spoils what else is on its host, and is spoiled by it.
        "--gres=gpu:1" if work.gpu else "--exclusive",
        *([f"--cpus-per-task={work.request.threads}"] if "--threads" in work.options else []),
    ]
    lines = work.shard_lines("$SLURM_ARRAY_TASK_ID")
    return {
        SHARD: _script(work, [*shard, *directives], "shard-%a", lines),
        MERGE: _script(work, directives, "merge", work.last_lines()),
    }


def commands(folder: Path) -> str:
    """What submits the scripts, in the shell."""
    shard, merge = (shlex.quote(str(folder / name)) for name in (SHARD, MERGE))
    return f"job=$(sbatch --parsable {shard}) && sbatch --dependency=afterany:${{job%;*}} {merge}"


def submit(folder: Path) -> Mapping[str, str]:
    """Hand both to sbatch; returns the number of each job.

    Raises:
        BadRequest: sbatch is not there, or refuses one.
    """
    if shutil.which("sbatch") is None:
        raise BadRequest(f"sbatch: not found; submit from a machine that has it: {commands(folder)}")
    job = _sbatch(folder / SHARD)
    try:
        return {SHARD: job, MERGE: _sbatch(folder / MERGE, f"--dependency=afterany:{job}")}
    except BadRequest as error:
        raise BadRequest(f"{error}; job {job} of the shards is submitted, scancel {job} ends it") from None


def _sbatch(script: Path, *words: str) -> str:
    done = subprocess.run(
        ["sbatch", "--parsable", *words, str(script)], capture_output=True, text=True, check=False
    )
    job = done.stdout.strip().partition(";")[0]
    if done.returncode or not job.isdigit():
        why = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise BadRequest(f"{script}: refused by sbatch ({why})")
    return job


def _script(work: Work, directives: Sequence[str], log: str, lines: Sequence[str]) -> str:
    common = [
        f"--job-name={work.name}",
        "--nodes=1",
        "--ntasks=1",
        f'--output="{work.folder}/logs/{log}.txt"',
        "--open-mode=append",
    ]
    head = [f"#SBATCH {directive}" for directive in (*common, *directives)]
    return "\n".join(["#!/bin/bash", *head, *lines]) + "\n"
