"""Workers of two environments take turns within the same rounds; what ends one does not end the other."""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from backends import Choice, choose
from suite.cases.case import Case
from suite.engine.measure import Settings
from suite.records.device import CPU
from suite.records.record import Record
from suite.worker import process
from suite.worker.crew import Crew
from suite.worker.messages import Job, failed
from suite.worker.process import Child, Death
from tests.support import fabricate
from tests.support.commands import NUMPY_ALONE

CASE = Case(1000, 64, batch=17, cache="hot")
TIMEOUT_S, MEMORY_BYTES = 20.0, 2**33
HEAD = """'''Mine.'''
import os, sys, time
from backends.base import Backend

HERE = os.environ.get("ENVIRONMENT")


class Mine(Backend):
    devices = ("cpu",)
    calls = 0

    def prepare(self, table, indices, out):
        {prepare}

        def lookup():
            Mine.calls += 1
            {lookup}
            return table.take(indices, axis=0, out=out, mode="clip")

        return lookup
"""


@pytest.fixture(autouse=True)
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", NUMPY_ALONE["PYTHONPATH"])


def interpreters(folder: Path, *names: str) -> dict[str | None, str]:
    """This interpreter by several names, each of which its worker can read from ENVIRONMENT."""
    found: dict[str | None, str] = {}
    for name in names:
        path = folder / f"python-{name}"
        path.write_text(f'#!/bin/sh\nENVIRONMENT={name} exec {sys.executable} "$@"\n')
        path.chmod(0o755)
        found[name] = str(path)
    return found


def mine(folder: Path, prepare: str = "pass", lookup: str = "pass") -> Choice:
    path = folder / "mine.py"
    path.write_text(HEAD.format(prepare=prepare, lookup=lookup))
    return choose(str(path))


def job(*backends: Choice, **settings: Any) -> Job:
    chosen = Settings(**{"limit_s": 0.4, "precision": 0.0, "cache_bytes": 2**16, **settings})
    return Job(CASE, CPU, backends, "shared", chosen)


def measured(folder: Path, *backends: Choice, **settings: Any) -> dict[tuple[str | None, str], Record]:
    """The records of two environments, by environment and backend; of the ceiling by its role."""
    crew = Crew(TIMEOUT_S, 1, interpreters(folder, "base", "head"))
    try:
        records = crew.measure(dict.fromkeys(("base", "head"), job(*backends, **settings)))
    finally:
        crew.close()
    return {(r.environment, r.backend if r.role == "backend" else r.role): r for r in records}


def rounds_of(record: Record) -> int:
    assert record.samples, record.reason
    return len(record.samples.call_s)


def test_the_same_interpreter_twice_shares_a_measurement_and_has_as_many_rounds(tmp_path: Path) -> None:
    found = measured(tmp_path, choose("numpy_take"))
    assert set(found) == {(name, of) for name in ("base", "head") for of in ("numpy_take", "ceiling")}
    assert {r.measurement for r in found.values()} == {"shared"}
    counts = {rounds_of(record) for record in found.values()}
    assert max(counts) - min(counts) == 0 and min(counts) > 1


def test_rounds_alternate_and_never_run_together(tmp_path: Path) -> None:
    found = measured(tmp_path, choose("numpy_take"))
    turns = sorted(
        (began, name) for (name, _), r in found.items() if r.samples for began in r.samples.began_s
    )
    names = [name for _, name in turns]
    rounds = [names[k : k + 2] for k in range(0, len(names), 2)]  # of each its backend and its copy
    expected = [["base", "head"] if k % 2 == 0 else ["head", "base"] for k in range(len(rounds) // 2)]
    assert rounds == [[name] * 2 for pair in expected for name in pair]


@pytest.mark.slow
def test_a_worker_that_dies_in_prepare_leaves_the_other_to_go_on(tmp_path: Path) -> None:
    dies = mine(tmp_path, prepare="HERE == 'head' and os._exit(3)")
    found = measured(tmp_path, choose("numpy_take"), dies)
    assert found["head", "mine"].status == "crashed"
    assert "exited with code 3 and no result, in: prepare" in (found["head", "mine"].reason or "")
    assert found["base", "mine"].status == found["head", "numpy_take"].status == "ok"
    assert found["base", "numpy_take"].measurement == found["head", "numpy_take"].measurement
    assert abs(rounds_of(found["base", "mine"]) - rounds_of(found["head", "numpy_take"])) <= 1


def test_an_environment_of_which_everything_dies_does_not_stop_the_other(tmp_path: Path) -> None:
    found = measured(tmp_path, mine(tmp_path, prepare="HERE == 'base' and os._exit(3)"))
    assert found["base", "mine"].status == "crashed"
    assert found["head", "mine"].status == "ok" and rounds_of(found["head", "mine"]) > 1


@pytest.mark.slow
def test_an_environment_without_the_package_does_not_stop_the_other(tmp_path: Path) -> None:
    lacking = mine(tmp_path, prepare="assert HERE == 'head'")
    found = measured(tmp_path, lacking, limit_s=1.0)
    assert found["base", "mine"].status == "error"
    assert found["head", "mine"].status == "ok" and rounds_of(found["head", "mine"]) > 1


@pytest.mark.slow
def test_rounds_lost_in_a_death_are_not_taken_for_shared_ones(tmp_path: Path) -> None:
    dies = mine(tmp_path, lookup="HERE == 'head' and Mine.calls > 2000 and os._exit(3)")
    found = measured(tmp_path, choose("numpy_take"), dies, limit_s=2.0)
    assert found["head", "mine"].status == "crashed"
    assert found["base", "numpy_take"].measurement == "shared"
    assert found["head", "numpy_take"].status == "ok"
    assert found["head", "numpy_take"].measurement != "shared"


def test_one_environment_alone_is_asked_for_no_turns() -> None:
    crew = Crew(TIMEOUT_S, 1)
    asked: list[Job] = []

    class Alone:
        def measuring(self, job: Job) -> Generator[None, bool, list[Record]]:
            asked.append(job)
            return fabricate.measurement(job.case)
            yield

    crew.supervisors = {None: Alone()}  # type: ignore[dict-item]
    records = crew.measure({None: job(choose("numpy_take"))})
    assert [one.gated for one in asked] == [False]
    assert records == fabricate.measurement(CASE)


def workers(events: list[str], counts: Mapping[str, int | None]) -> Crew:
    """A crew of two that take so many rounds each, and note what they do; null for one that fails at once."""

    class Of:
        def __init__(self, name: str) -> None:
            self.name = name

        def measuring(self, job: Job) -> Generator[None, bool, list[Record]]:
            count = counts[self.name]
            events.append(f"{self.name} prepares")
            if count is None:
                copy = fabricate.measurement(job.case)[0]
                return [failed(job, job.backends[0], "unavailable", "no"), copy]
            for number in range(1, count + 1):
                if not (yield):
                    events.append(f"{self.name} is stopped")
                    break
                events.append(f"{self.name}{number}")
            return fabricate.measurement(job.case)

    crew = Crew(TIMEOUT_S, 1)
    crew.supervisors = {name: Of(name) for name in counts}  # type: ignore[misc]
    return crew


def test_each_prepares_then_rounds_alternate_until_one_has_enough() -> None:
    events: list[str] = []
    workers(events, {"a": 3, "b": 99}).measure(dict.fromkeys("ab", job(choose("numpy_take"))))
    said = "a prepares,b prepares,a1,b1,b2,a2,a3,b3,b is stopped"
    assert events == said.split(",")


def test_one_that_fails_stops_nobody() -> None:
    events: list[str] = []
    crew = workers(events, {"a": None, "b": 3})
    records = crew.measure(dict.fromkeys("ab", job(choose("numpy_take"))))
    assert events == ["a prepares", "b prepares", "b1", "b2", "b3"]
    assert {r.environment for r in records if r.status == "unavailable"} == {"a"}


def asked(child: Child, what: Job) -> Generator[None, bool, list[Record] | Death]:
    return child.ask(what, TIMEOUT_S, MEMORY_BYTES)


def test_a_wait_for_a_turn_takes_no_time_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [0.0]
    real = process.time.monotonic
    monkeypatch.setattr(process.time, "monotonic", lambda: real() + ahead[0])
    child = Child(1)
    try:
        rounds = asked(child, Job(**{**fields(job(choose("numpy_take"))), "gated": True}))
        next(rounds)
        with pytest.raises(StopIteration) as end:
            while True:
                ahead[0] += 10 * process.SETUP_S
                rounds.send(True)
    finally:
        child.kill()
    assert isinstance(end.value.value, list), end.value.value
    assert {r.status for r in end.value.value} == {"ok"}


def test_one_that_is_killed_while_it_waits_is_seen_at_its_turn() -> None:
    child = Child(1)
    try:
        rounds = asked(child, Job(**{**fields(job(choose("numpy_take"))), "gated": True}))
        next(rounds)
        rounds.send(True)
        child.process._process.kill()
        child.process._process.wait()
        with pytest.raises(StopIteration) as end:
            while True:
                rounds.send(True)
    finally:
        child.kill()
    assert isinstance(end.value.value, Death)
    assert end.value.value.status == "out_of_memory" and end.value.value.rounds >= 2


@pytest.mark.parametrize(
    ("cheat", "says"),
    [
        ("os.write(int(sys.argv[4]), b'g')", "wrote into the gate of its worker"),
        ("Mine.calls == 51 and os.close(int(sys.argv[4]))", "closed the pipe of its worker"),
    ],
)
def test_a_backend_that_takes_the_gate_is_caught(tmp_path: Path, cheat: str, says: str) -> None:
    """It could have the others run beside it, and slow them."""
    found = measured(tmp_path, mine(tmp_path, lookup=f"Mine.calls > 50 and {cheat}"))
    assert {found[name, "mine"].status for name in ("base", "head")} == {"crashed"}
    assert says in (found["base", "mine"].reason or "")


def fields(one: Job) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
