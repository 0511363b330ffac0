"""A plan in parts: all of it, each table whole, the same everywhere, of about equal time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from suite.cases.shard import split, weight_s
from suite.records.store import Run
from suite.run.__main__ import main
from suite.run.forecast import CPU, budget_of
from suite.run.options import PASSES, Request, parse
from suite.run.schedule import MOST_S, Task, tasks_of
from tests.support.commands import refused

SPREAD = {"default": 2.3, "full": 1.02, "cliffs": 6.0, "smoke": 2.0}
"""The longest of four shards over the shortest, at most; of whole tables few presets have equal parts."""


def plan_of(*argv: str) -> tuple[Request, list[Task]]:
    request = parse(argv)
    return request, tasks_of(request)


@pytest.mark.parametrize("preset", SPREAD)
@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_shards_are_the_plan_each_task_once_and_tables_whole(preset: str, of: int) -> None:
    _, tasks = plan_of("--preset", preset)
    shards = split(tasks, of)
    assert sorted(map(str, tasks)) == sorted(str(task) for shard in shards for task in shard)
    where = [{task.case.table for task in shard} for shard in shards]
    assert sum(map(len, where)) == len(set().union(*where)), "no table is in two"
    places = {task: place for place, task in enumerate(tasks)}
    assert all(shard == sorted(shard, key=places.__getitem__) for shard in shards), "in the plan's order"
    times = [weight_s(shard) for shard in shards]
    if of == 4:
        assert max(times) / min(times) <= SPREAD[preset]


def test_what_does_not_change_a_plan_does_not_change_its_shards() -> None:
    cut = ["--shard", "2/4"]
    one, tasks = plan_of(*cut)
    for more in (["--passes", "7"], ["--time-budget", "9m"], ["--threads", "3"], ["--out", "x"]):
        other, same = plan_of(*cut, *more)
        assert one.shard and other.shard
        assert one.shard.part(tasks) == other.shard.part(same)


def test_a_gpus_tasks_are_with_the_reference_of_their_table() -> None:
    _, tasks = plan_of("--gpu", "0")
    assert all(len({task.device.kind for task in shard}) == 2 for shard in split(tasks, 4))


@pytest.mark.parametrize("word", ["0/4", "5/4", "4", "1/0", "a/b", "1/99999999", "1/2/3"])
def test_what_is_no_shard_is_refused(word: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give I/N" in refused(capsys, ["--shard", word])


def test_more_shards_than_tables_are_refused(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, ["--shard", "1/7"])
    assert said == "7 shards: the plan has 6 tables, and a table is not shared out; give at most 6\n"


def test_a_dry_run_says_what_part_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """And of all shards the shortest and the longest of what each says of itself."""
    said = []
    for number in range(1, 5):
        assert main(["--preset", "smoke", "--shard", f"{number}/4", "--dry-run"]) == 0
        *_, own, cases, span = capsys.readouterr().out.splitlines()
        said.append(int(own.removeprefix("about ").partition(" s in ")[0]))
    assert cases.startswith("4 cases, ")
    ends = f"{min(said)} s to {max(said)} s"
    assert span == f"shard 4/4: 4 of 10 cases; the shards take about {ends}"


def test_shards_together_have_the_time_of_the_whole_and_each_that_of_its_start() -> None:
    ends = []
    for number in range(1, 5):
        request, tasks = plan_of("--shard", f"{number}/4")
        assert request.shard
        budget = budget_of(request, request.shard.part(tasks))
        ends.append(budget.end - budget.began)
    assert sum(ends) == pytest.approx(MOST_S["default"] + 3 * CPU.start_s * PASSES, abs=0.1)


@pytest.mark.long
def test_a_run_says_which_shard_it_is_and_goes_on_as_no_other(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--vocab", "100,200", "--dim", "8", "--batch", "4", "--backend", "numpy_take", "--passes", "1"]
    argv += ["--sustain", "0", "--time-budget", "1s"]
    assert main([*argv, "--shard", "1/2", "--out", "one"]) == 0
    assert main([*argv, "--out", "whole"]) == 0
    capsys.readouterr()
    one, whole = Run.open("one"), Run.open("whole")
    assert one.environment.plan == whole.environment.plan
    assert one.environment.settings["shard"] == "1/2" and "shard" not in whole.environment.settings
    assert one.environment.system["runs_at_once"] == 1
    assert {r.case.vocab for r in one.records()[0]} == {200}
    for other in (["--shard", "2/2"], []):
        assert "begun as shard 1/2, now" in refused(capsys, [*argv, *other, "--resume", "one"])
    assert main([*argv, "--shard", "1/2", "--resume", "one"]) == 0
    assert main(["--resume", "one"]) == 0, "alone it knows which it is"


@pytest.mark.parametrize(
    ("preset", "digest"), [("default", "b006f4ec8770dde6"), ("full", "69ed6a16c6425537")]
)
def test_shards_are_those_of_every_version(preset: str, digest: str) -> None:
    shards = split(plan_of("--preset", preset)[1], 3)
    text = "\n".join(f"{number} {task}" for number, own in enumerate(shards) for task in own)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_a_cold_case_weighs_as_its_rows_are_waited_for() -> None:
    words = ("--vocab", "20000000", "--dim", "128", "--placement", "file", "--cache", "cold", "--batch")
    some, twice, four = (weight_s(plan_of(*words, batch)[1]) for batch in ("4096", "8192", "16384"))
    assert (four - twice) / (twice - some) == pytest.approx(2)
    assert twice - some > 4096 * 250e-6 * 3 * 3 * 8, "in three passes of three rounds of eight contenders"
