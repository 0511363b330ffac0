"""The process a task runs in: reads its order, answers a line of JSON at a time, ends."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from suite.claims.task import Spec

Task = Callable[[Spec], Iterator[Any]]
"""Takes an order; yields answers that JSON can say."""

_PR_SET_PDEATHSIG = 1
EXIT_FAILED = 1


def task_of(name: str) -> Task:
    """The task of that name."""
    from suite.claims.cost import out_of_range, size, steps, training
    from suite.claims.meaning import stage

    tasks: dict[str, Task] = {
        "size": size.allocate,
        "steps": steps.measure,
        "training": training.measure,
        "probe": out_of_range.probe,
        "meaning": stage.judge,
    }
    return tasks[name]


def main(argv: list[str]) -> int:
    """Arguments: the task, the descriptor of the pipe to answer on, the parent's id."""
    name, results, parent = argv[0], int(argv[1]), int(argv[2])
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spec = json.load(sys.stdin)
    try:
        for answer in task_of(name)(spec):
            _write_all(results, json.dumps(answer, allow_nan=False).encode() + b"\n")
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        sys.stderr.write(f"{type(error).__name__}: {text}\n" if text else f"{type(error).__name__}\n")
        return EXIT_FAILED
    return 0


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
