"""The process that a task runs in: it reads its order, answers in lines of JSON, and ends."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from suite.claims.task import Spec
from suite.worker.process import belong_to

Task = Callable[[Spec], Iterator[Any]]
"""Takes an order; yields answers that are JSON."""

EXIT_FAILED = 1


def task_of(name: str) -> Task:
    """The task of that name."""
    from suite.claims.cost import out_of_range, size, steps
    from suite.claims.meaning import contextual, geometry, learned, stage

    tasks: dict[str, Task] = {
        "size": size.allocate,
        "steps": steps.measure,
        "probe": out_of_range.probe,
        "geometry": partial(stage.answers, geometry.findings),
        "learned": partial(stage.answers, learned.findings),
        "contextual": partial(stage.answers, contextual.findings),
    }
    return tasks[name]


def main(argv: list[str]) -> int:
    """Do a task. Arguments: the descriptors of the pipes to read and to write, the parent's id, the task."""
    orders, answers, parent, name = (*map(int, argv[:3]), argv[3])
    belong_to(parent)
    with os.fdopen(orders, "rb") as lines:
        spec = json.loads(lines.readline())
    try:
        with os.fdopen(answers, "wb", closefd=False) as pipe:  # open to the end, which libraries may put off
            for answer in task_of(name)(spec):
                pipe.write(json.dumps(answer, allow_nan=False).encode() + b"\n")
                pipe.flush()
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        sys.stderr.write(f"{type(error).__name__}: {text}\n" if text else f"{type(error).__name__}\n")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
