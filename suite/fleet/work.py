"""Work of a fleet: a plan in so many shards, and the shell's lines that measure one and put all together."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from suite.command import BadRequest
from suite.run.options import Request, parse
from suite.run.schedule import tasks_of
from suite.run.shard import split

OWN = ("--out", "--resume", "--shard", "--dry-run", "--list", "--no-wait", "--insist", "--anyway")
"""Options of a run that each shard has for itself, or that measure nothing."""
GPU_LINES = (
    "gpus=${CUDA_VISIBLE_DEVICES:-0}",
    "gpu=${gpus%%,*}",
    "# By its UUID: CUDA and the scheduler may count GPUs in different orders.",
    'case "$gpu" in GPU-* | MIG-*) ;; *)',
    '  gpu=$(nvidia-smi -i "$gpu" --query-gpu=uuid --format=csv,noheader) ;;',
    "esac",
    'export CUDA_VISIBLE_DEVICES="$gpu"',
    'where="$where-${gpu:0:12}"',
)


@dataclass(frozen=True, slots=True)
class Work:
    """What the machines are to do.

    Attributes:
        name: of the sweep, in the scheduler. folder: its folder, where the machines see it.
        shards: how many. options: those of ``suite.run``, of the whole plan.
        request: what they ask for. python: the interpreter that has the suite.
        setup: lines of the shell that come first, such as what loads modules.
        start: where relative paths begin; none where the machines start in the right folder.
    """

    name: str
    folder: PurePath
    shards: int
    options: tuple[str, ...]
    request: Request
    python: str
    setup: tuple[str, ...] = ()
    start: PurePath | None = None

    @property
    def gpu(self) -> bool:
        """Whether each shard is measured on a GPU."""
        return self.request.gpu is not None

    def shard_lines(self, number: str, where: str = "$(uname -n)") -> list[str]:
        """Lines that measure one shard, and go on with it where that machine had begun it.

        Args:
            number: its number, from 1, as the shell has it. where: the same of the machine's name.
        """
        run = f"{_words(self.python)} -m suite.run {_words(*self.options)}".rstrip()
        shards = _words(self.folder / "shards")
        return [
            *self._begin(),
            f"number={number}",
            f'where="{where}"',
            *(GPU_LINES if self.gpu else ()),
            f"shards={shards}",
            f'folder="$shards/$number-of-{self.shards}-on-$where"',
            'mkdir -p "$shards"',
            'how=(--out "$folder")',
            'if [ -e "$folder/environment.json" ]; then how=(--resume "$folder"); fi',
            "# Ended before it was a run.",
            'if [ -e "$folder" ] && [ ! -e "$folder/environment.json" ]; then rm -r "$folder"; fi',
            f'{run} --shard "$number/{self.shards}" "${{how[@]}}"',
        ]

    def last_lines(self) -> list[str]:
        """Lines that merge the shards there are, say what is missing (exit code 1), and show the result."""
        python, folder = _words(self.python), _words(self.folder / "shards")
        return [
            *self._begin(),
            f"out={_words(self.folder / 'merged')}",
            'if [ -e "$out" ]; then out="$out-$(date -u +%Y%m%dT%H%M%S)"; fi',
            "status=0",
            f'{python} -m suite.merge {folder} --out "$out" || status=$?',
            'if [ "$status" -gt 1 ]; then exit "$status"; fi',
            f'{python} -m suite.report "$out" --html "$out/page.html" --markdown "$out/tables.md"',
            'exit "$status"',
        ]

    def _begin(self) -> list[str]:
        start = [f"cd {_words(self.start)}"] if self.start else []
        return ["set -euo pipefail", *start, *self.setup]


def request_of(options: Sequence[str], shards: int) -> Request:
    """What the options of a run ask for, if it can be shared out.

    Raises:
        BadRequest: they are a single run's, or nobody's, or their plan has too few tables.
    """
    for word in options:
        if not word.isprintable():
            raise BadRequest(f"{word!r}: holds what no script can; give words that can be printed")
        if (name := word.partition("=")[0]) in OWN:
            raise BadRequest(f"{name}: is each shard's own; leave it out")
    request = parse(options)
    if request.gpu:
        raise BadRequest(f"--gpu {request.gpu}: each shard sees one GPU only, number 0; give --gpu 0")
    split(tasks_of(request), shards)
    return request


def _words(*words: object) -> str:
    return shlex.join(map(str, words))
