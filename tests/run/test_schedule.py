"""How a run's time is shared out, against a clock that is turned by hand."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace

import pytest

from backends import describe, missing_packages, names
from suite.cases.shard import weight_s
from suite.run.forecast import GPU, Forecast, costs_of, forecast, within_budget
from suite.run.options import SUSTAIN_S, parse
from suite.run.schedule import tasks_of
from suite.worker.budget import LATE_S, LEAST_S, Budget, Cost


class Hand:
    """A clock."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def spend(budget: Budget, clock: Hand, beside_s: float, once_s: float = 0.0) -> float:
    """One task that uses all of its time, and some beside it; returns what it was given."""
    given = budget.next_limit_s()
    clock.now_s += given + beside_s
    budget.finished(once_s)
    return given


@pytest.mark.parametrize("beside_s", [0.0, 0.5, 3.0])
def test_all_of_the_time_is_used_and_hardly_more(beside_s: float) -> None:
    clock = Hand()
    budget = Budget(100.0, 20, 8.0, now=clock)
    given = [spend(budget, clock, beside_s) for _ in range(20)]
    assert clock.now_s - 100.0 == pytest.approx(100.0, abs=max(2.0, beside_s))
    assert max(given[3:]) < 1.2 * min(given[3:])


def test_a_slow_beginning_starves_nobody() -> None:
    """A table of gigabytes takes 18 s to build, once; the next cases have their share of what is left."""
    clock = Hand()
    budget = Budget(160.0, 20, 8.0, now=clock)
    spend(budget, clock, 18.0)
    given = [spend(budget, clock, 0.5) for _ in range(19)]
    assert min(given) > 0.8 * max(given)


def test_without_a_budget_every_task_has_its_limit_until_the_run_is_long_enough() -> None:
    clock = Hand()
    assert [spend(Budget(None, 3, 8.0, now=clock), clock, 1.0) for _ in range(3)] == [8.0] * 3
    budget = Budget(None, 3, 8.0, 12.0, now=clock)
    given = [spend(budget, clock, 1.0) for _ in range(3)]
    assert sum(given) < 12.0 and all(LEAST_S <= each < 8.0 for each in given)


def test_time_that_is_up_leaves_the_least() -> None:
    clock = Hand()
    budget = Budget(1.0, 5, math.inf, now=clock)
    clock.now_s += 50.0
    assert spend(budget, clock, 1.0) == LEAST_S


@pytest.mark.parametrize("beside_s", [0.1, 1.0, 2.0])
def test_passes_have_equal_shares_and_use_all_of_the_time(beside_s: float) -> None:
    clock = Hand()
    budget = Budget(100.0, 10, 8.0, now=clock, passes=3)
    given: list[list[float]] = []
    for later in (2, 1, 0):
        assert budget.fits(range(10))
        budget.begin(range(10), later)
        given.append([spend(budget, clock, beside_s) for _ in range(10)])
    assert clock.now_s - 100.0 <= 100.0 + max(2.0, beside_s)
    assert max(max(each[3:]) for each in given) <= 1.3 * min(min(each[3:]) for each in given)
    assert budget.limit_s == pytest.approx(8 / 3), "so that time is left for what is undecided"


def test_what_a_task_cost_is_set_aside_for_it_in_the_next_pass() -> None:
    """Its table takes 10 s to build, in each pass."""
    clock = Hand()
    budget = Budget(60.0, 5, 8.0, now=clock, passes=2)
    for later in (1, 0):
        budget.begin(range(5), later, first=later == 1)
        given = [spend(budget, clock, 10.0 if place == 0 else 0.5) for place in range(5)]
    assert clock.now_s - 100.0 == pytest.approx(60.0, abs=12)
    assert min(given) > 0.9 * max(given)


def test_what_only_the_first_pass_takes_is_set_aside_for_no_other() -> None:
    """Its tasks have a phase of 4 s for the counters."""
    clock = Hand()
    budget = Budget(100.0, 5, 30.0, now=clock, passes=2)
    given: list[list[float]] = []
    for later, once_s in ((1, 4.0), (0, 0.0)):
        budget.begin(range(5), later, first=later == 1)
        given.append([spend(budget, clock, 1.0 + once_s, once_s) for _ in range(5)])
    assert clock.now_s - 100.0 == pytest.approx(100.0, abs=2)
    assert max(given[0][2:] + given[1]) < 1.2 * min(given[0][2:] + given[1])


def test_little_time_has_fewer_passes_not_rounds_of_nothing() -> None:
    clock = Hand()
    budget = Budget(8.0, 4, 8.0, now=clock, passes=3)
    first = [spend(budget, clock, 1.0) for _ in range(4)]
    assert min(first) > LEAST_S, "one pass has all of it"
    assert not budget.fits(range(4))
    assert Budget(None, 4, 8.0, now=clock, passes=3).fits(range(4)), "without an end there is always time"


def test_a_sweep_just_small_enough_is_planned_at_once() -> None:
    many = ["--vocab", ",".join(map(str, range(1, 317))), "--dim", ",".join(map(str, range(1, 317)))]
    began = time.perf_counter()
    tasks = tasks_of(parse([*many, "--backend", "numpy_take"]))
    assert len(tasks) == 316 * 316
    assert time.perf_counter() - began < 20, "a table a case, each looked for among all would take minutes"


def test_a_task_may_have_more_than_its_limit_where_the_budget_leaves_it() -> None:
    budget = Budget(100.0, 2, 8.0, now=lambda: 0.0)
    assert budget.next_limit_s() == 49.0


# --- what a run is expected to take, and what there is no time for ----------------------------------------

COSTS = [Cost(2.0, least_s=1.0), Cost(8.0, least_s=2.0), Cost(2.0, least_s=1.0), Cost(1.0, weight=1 / 8)]


def test_what_a_case_costs_beside_its_rounds_is_reserved_before_time_is_shared() -> None:
    """Before anything of it is known, so that the first cases do not take what the last ones need."""
    clock = Hand()
    costs = [Cost(beside_s=3.0, once_s=5.0, least_s=1.0)] * 10
    budget = Budget(120.0, costs, 8.0, now=clock)
    given = [spend(budget, clock, 8.0, once_s=5.0) for _ in range(10)]
    assert given == pytest.approx([4.0] * 10)
    assert clock.now_s == pytest.approx(220.0)


def test_no_case_has_less_than_it_needs_and_a_reference_has_a_small_share() -> None:
    clock = Hand()
    budget = Budget(40.0, COSTS, 8.0, now=clock)
    given = [spend(budget, clock, cost.beside_s) for cost in COSTS]
    assert all(share >= cost.least_s for share, cost in zip(given, COSTS, strict=True))
    assert given[1] - 2.0 == pytest.approx(given[0] - 1.0), "all have as much beyond the least"
    assert given[3] - LEAST_S == pytest.approx((given[0] - 1.0) / 8)
    assert clock.now_s == pytest.approx(140.0)
    assert Budget(None, COSTS, 8.0, now=clock).limit_s * COSTS[3].weight == 1.0


@pytest.mark.parametrize(
    ("total_s", "kept"), [(18.0, [0, 1, 2, 3]), (17.0, [0, 1, 2]), (8.0, [0, 2]), (4.0, [2]), (0.5, [2])]
)
def test_where_time_is_short_references_and_then_the_dearest_cases_are_left_out(
    total_s: float, kept: list[int]
) -> None:
    assert Budget(total_s, COSTS, 8.0, now=Hand()).affordable(range(4)) == kept


def test_a_case_is_not_begun_that_would_end_long_after_the_end() -> None:
    clock = Hand()
    budget = Budget(40.0, [Cost(5.0)] * 4, 8.0, now=clock)
    assert budget.in_time()
    clock.now_s += 40.0 + LATE_S - 5.0
    assert not budget.in_time()
    budget.leave_out()
    assert len(budget.waiting) == 3


def gpu_run(*more: str) -> Forecast:
    request = parse(["--gpu", "0", *more])
    return forecast(request, tasks_of(request))


def test_a_forecast_says_how_long_a_run_takes_and_what_is_left_out() -> None:
    whole = gpu_run()
    assert whole.passes == 3 and not whole.left_out
    installed = sum(not missing_packages(describe(name).packages) for name in names_on_gpus())
    assert whole.counters_s == pytest.approx(22 * SUSTAIN_S * (installed + 1))
    assert 22 * 8.0 <= whole.rounds_s <= 1.5 * 22 * 9.0, "a second of each case is the reference's"
    (line,) = whole.lines()
    assert re.fullmatch(r"about \d+ min \d\d s in 3 passes: .* rounds, .*", line)
    brief = gpu_run("--time-budget", "30s", "--sustain", "0")
    assert brief.passes == 1 and brief.left_out
    assert brief.whole_s <= 30.0 + GPU.start_s
    gone = [str(task.device) for task in brief.left_out]
    assert gone.count("cpu") == 22, "the reference goes first"
    *_, left = brief.lines()
    assert left.startswith(f"no time for {len(gone)} of 44 cases, which are left out: ")
    assert left.endswith(f"; {len(gone) - 3} more")


def test_a_short_budget_is_not_spent_on_the_counters() -> None:
    def sustain_s(*more: str) -> float:
        request = parse(["--gpu", "0", "--batch", "512", "--backend", "torch_index_select", *more])
        return within_budget(request, tasks_of(request)).sustain_s

    phases = 2 * len(parse(["--batch", "512"]).cases)
    assert sustain_s() == sustain_s("--time-budget", "1h") == SUSTAIN_S
    assert sustain_s("--time-budget", f"{3 * phases}s") == pytest.approx(0.2 * 3)
    assert sustain_s("--time-budget", f"{phases}s") == 0.0
    assert sustain_s("--time-budget", f"{phases}s", "--sustain", "0.5") == 0.5


def names_on_gpus() -> list[str]:
    return [name for name in names() if "cuda" in describe(name).devices and describe(name).takes("memory")]


def test_the_battery_s_time_is_enough_for_two_passes_of_every_case() -> None:
    """With all libraries there, as on a machine that is lent: 10 backends and the copy."""
    request = parse(["--gpu", "0", "--time-budget", "270s", "--sustain", "0"])
    costs = costs_of(request, tasks_of(request))
    scale = 11 / (1 + sum(not missing_packages(describe(name).packages) for name in names_on_gpus()))
    for place, cost in enumerate(costs):
        if cost.weight == 1:
            costs[place] = replace(cost, beside_s=scale * cost.beside_s, least_s=scale * cost.least_s)
    budget = Budget(270.0, costs, 8.0, now=Hand(), passes=3)
    assert budget.affordable(range(44)) == list(range(44))
    assert 2 * (budget.least_s(range(44)) + GPU.start_s) < 270.0


def test_rows_that_no_call_touches_are_checked_all_the_same() -> None:
    """Of an update and of a dense gradient: 256 MB a contender, numpy_update and the copy, and as few ids."""
    shape = ["--vocab", "1000000", "--dim", "64", "--batch", "16", "--cache", "cold"]

    def beside_s(operation: str, *variant: str) -> float:
        words = [
            "--operation",
            operation,
            "--backend",
            f"numpy_{operation}",
            *(["--variant", *variant] if variant else []),
        ]
        (cost,) = costs_of(request := parse([*shape, *words]), tasks_of(request))
        return cost.beside_s

    few = beside_s("gradient", "sparse")
    assert beside_s("update", "sgd") == pytest.approx(few + 0.256 + 2 * 1.28, rel=0.05), (
        "the table is built, too"
    )
    assert beside_s("gradient", "dense") - few > 2 * 1.28


def test_a_cold_lookup_in_a_file_is_given_the_time_that_a_disk_takes() -> None:
    """A row at a time, up to the whole file; its shards too, and nothing of what lies in memory."""
    words = ("--vocab", "10000000", "--dim", "64", "--batch", "16,4096,65536", "--backend", "numpy_take")
    request = parse([*words, "--placement", "memory,file", "--cache", "cold,hot"])
    tasks, turns = tasks_of(request), 3 * 2
    costs = dict(zip((task.case for task in tasks), costs_of(request, tasks), strict=True))

    def least_s(placement: str, cache: str, batch: int) -> float:
        (case,) = (c for c in costs if (c.placement, c.cache, c.batch) == (placement, cache, batch))
        return costs[case].least_s

    assert least_s("file", "cold", 4096) == pytest.approx(turns * 4096 * 250e-6)
    assert least_s("file", "cold", 65536) == pytest.approx(turns * 2.56), "no more than all of it"
    assert least_s("file", "cold", 16) == least_s("memory", "cold", 16)
    for batch in (4096, 65536):
        assert least_s("file", "hot", batch) == least_s("memory", "cold", batch) < 0.2
    cold, memory = ([task for task in tasks if task.case.placement == where] for where in ("file", "memory"))
    assert weight_s(cold) > weight_s(memory) + 3 * (1.024 + 2.56)
