"""Shards of a small plan, made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.records.record import Record
from suite.records.store import Run
from suite.run.options import parse
from suite.run.schedule import Task, digest, tasks_of
from suite.run.shard import Shard
from tests.support import fabricate

PLAN = ("--vocab", "50,60,70,80", "--dim", "8", "--batch", "1,2", "--threads", "2", "--passes", "2")
PLAN += ("--backend", *fabricate.SPEED)
Made = Callable[..., Run]


def environment(**changes: Any) -> Any:
    request = parse(PLAN)
    settings = {"preset": "default", "precision": 0.05, "threads": 2, "passes": 2}
    settings |= changes.pop("settings", {})
    argv = (*PLAN, *(("--shard", settings["shard"]) if "shard" in settings else ()), "--out", ".../x")
    own = {"plan": digest(request, tasks_of(request)), "argv": argv, "settings": settings}
    system = {**fabricate.ENVIRONMENT.system, "runs_at_once": 1}
    return replace(fabricate.ENVIRONMENT, **{**own, "system": system, **changes})


def records(task: Task, number: int, seed: Any = 0) -> list[Record]:
    name = f"{seed}-{number}-{task}"
    shape = {"count": 3, "each": 2}
    made = fabricate.measurement(task.case, sum(map(ord, name)), shape=shape, pass_number=number)
    return [replace(one, measurement=name) for one in made]


@pytest.fixture
def shard(tmp_path: Path) -> Made:
    """Makes the run of a shard: its folder, which one, of how many; ``keep`` says which records are there."""

    def make(
        name: str,
        number: int,
        of: int = 4,
        keep: Callable[[Record], bool] | None = None,
        seed: Any = 0,
        **more: Any,
    ) -> Run:
        settings = {"shard": f"{number}/{of}", **more.pop("settings", {})}
        run = Run.create(tmp_path / name, environment(settings=settings, **more))
        for round_number in (1, 2):
            for task in Shard(number, of).part(tasks_of(parse(PLAN))):
                run.append(r for r in records(task, round_number, seed) if keep is None or keep(r))
        return run

    return make
