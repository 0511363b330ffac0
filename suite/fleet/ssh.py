"""SSH: a line for GNU parallel of each host or GPU, and the script that runs, gathers and merges."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from suite.command import BadRequest
from suite.fleet.work import Work

LINES, SHARD, ALL = "hosts.txt", "shard.sh", "sweep.sh"
_HOST = re.compile(r"((?:[\w.-]+@)?[A-Za-z0-9][\w.-]*)(?::([0-9]{1,3}))?")
RETRIES = 3


def files(work: Work, hosts: Sequence[str]) -> dict[str, str]:
    """The lines and the scripts, by name.

    Args:
        hosts: each as ``[USER@]HOST``, or ``[USER@]HOST:GPU``, once for each GPU by its number there.

    Raises:
        BadRequest: one of them is none, or stands twice, or has a GPU though none is measured, or lacks one.
    """
    places = [_place(host, work.gpu) for host in hosts]
    for host in hosts:
        if hosts.count(host) > 1:
            raise BadRequest(f"{host}: given twice; one shard at a time is measured there")
    folder = work.folder
    lines = []
    for k, (host, gpu) in enumerate(places[: work.shards]):
        own = " ".join(str(number) for number in range(1 + k, work.shards + 1, len(places)))
        with_gpu = f"CUDA_VISIBLE_DEVICES={gpu} " if gpu else ""
        one = f"{with_gpu}bash {shlex.quote(str(folder / SHARD))} $number"
        remote = f"failed=0; for number in {own}; do {one} || failed=1; done; exit $failed"
        lines.append(f"ssh -o BatchMode=yes {host} {shlex.quote(remote)}")
    script = ["#!/bin/bash", *work.shard_lines('"$1"')]
    names = " ".join(dict.fromkeys(host for host, _ in places))
    return {
        LINES: "\n".join(lines) + "\n",
        SHARD: "\n".join(script) + "\n",
        ALL: "\n".join(["#!/bin/bash", *_all(work, names, len(lines))]) + "\n",
    }


def _all(work: Work, hosts: str, at_once: int) -> list[str]:
    folder = shlex.quote(str(work.folder))
    remote = shlex.quote(f"mkdir -p {folder}/shards")
    return [
        "set -euo pipefail",
        f"folder={folder}",
        f"for host in {hosts}; do",
        f'  ssh -o BatchMode=yes "$host" {remote}',
        f'  rsync -a "$folder/{SHARD}" "$host:$folder/"',
        "done",
        f'parallel --jobs {at_once} --retries {RETRIES} --joblog "$folder/joblog" <"$folder/{LINES}" || true',
        f"for host in {hosts}; do",
        '  rsync -a "$host:$folder/shards/" "$folder/shards/"',
        "done",
        *work.last_lines(),
    ]


def _place(text: str, on_gpu: bool) -> tuple[str, str | None]:
    found = _HOST.fullmatch(text)
    if not found:
        raise BadRequest(f"--host {text}: is none; give [USER@]HOST, or [USER@]HOST:GPU")
    if bool(found[2]) != on_gpu:
        what = "names no GPU" if on_gpu else "names a GPU, but none is measured"
        raise BadRequest(f"--host {text}: {what}; give HOST:GPU with --gpu 0, HOST without")
    return found[1], found[2]
