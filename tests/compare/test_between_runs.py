"""Comparing runs of several passes, their environments, and what was measured while the machine was slow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite import stats
from suite.cases.case import Case
from suite.compare.pairs import BETWEEN_PROCESSES, BETWEEN_RUNS
from suite.records.store import Run
from suite.stats import Estimate
from tests.support import fabricate, metered

CASES = [Case(1000 + k, 64) for k in range(6)]
CASE = CASES[0]
FAST, SLOW = [False] * 12, [True] * 12
HALF = [False, True] * 6
SCATTERS = ((1.0, 1.003, 0.997), (0.997, 1.0, 1.003), (1.003, 0.997, 1.0))


def run(
    path: Path,
    factor: float = 1.0,
    passes: Sequence[Sequence[float]] = SCATTERS,
    speed: dict[str, float] | None = None,
    environment: Any = fabricate.ENVIRONMENT,
    **options: Any,
) -> Path:
    """A run of all cases, whose passes scatter by 0.3 % in one way or another."""
    made = Run.create(path, environment)
    for k, case in enumerate(CASES):
        of = {name: value * factor for name, value in (speed or {"x": 1.0}).items()}
        made.append(metered.measurement(case, of, passes[k % len(passes)], seed=k, **options))
    return path


@pytest.mark.parametrize(("factor", "verdict"), [(1.08, "SLOWER"), (1 / 1.08, "FASTER"), (1.0, "SAME")])
def test_two_runs_are_told_apart_by_how_much_their_passes_scatter(
    tmp_path: Path, said: Any, factor: float, verdict: str
) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b", factor)
    _, out, _ = said(a, b)
    assert f"6 {verdict}" in out
    wild = [(1.0, 1.15, 0.87), (0.87, 1.0, 1.15)]
    c, d = run(tmp_path / "c", passes=wild), run(tmp_path / "d", factor, passes=wild)
    assert "6 UNCLEAR" in said(c, d)[1], "of passes that scatter by 15 % nothing is"


def test_the_least_ratio_that_would_have_shown_is_where_the_verdict_changes() -> None:
    for value, spread, floor in ((1.0, 1.03, 0.02), (1.01, 1.2, 0.0), (0.99, 1.001, 0.05)):
        least = stats.shown_from(Estimate(value, value / spread, value * spread), floor)
        for ratio, verdict in ((1.0001 * least, "SLOWER"), (1 / least / 1.0001, "FASTER")):
            assert stats.verdict(Estimate(ratio, ratio / spread, ratio * spread), floor) == verdict
        for ratio in (0.9999 * least, 1 / least / 0.9999):
            near = stats.verdict(Estimate(ratio, ratio / spread, ratio * spread), floor)
            assert near not in ("SLOWER", "FASTER")
    assert stats.shown_from(Estimate(1.0, 0.0, math.inf), 0.02) == math.inf


def test_what_can_not_be_told_apart_is_said_with_the_change_that_would_have_shown(
    tmp_path: Path, said: Any
) -> None:
    a, b = run(tmp_path / "a"), run(tmp_path / "b")
    _, out, _ = said(a, b)
    (sentence,) = (line for line in out.splitlines() if line.startswith("nothing tells them apart; "))
    assert "in half of the cases, in all from" in sentence
    c = run(tmp_path / "c", 1.5)
    _, out, _ = said(a, c)
    assert "nothing tells them apart" not in out
    assert "a change shows from " in out


def test_of_too_few_rounds_no_change_could_have_shown(tmp_path: Path, said: Any) -> None:
    a, b = (
        fabricate.run(tmp_path / name, [CASE], speed={"x": 1.0}, shape={"count": 4, "noise": 0.0}).path
        for name in "ab"
    )
    _, out, _ = said(a, b)
    assert "nothing tells them apart; no change could be shown: too few rounds" in out


def test_what_was_not_measured_at_full_speed_stands_apart_and_decides_nothing(
    tmp_path: Path, said: Any
) -> None:
    flags = [FAST, FAST, FAST]
    a, b = run(tmp_path / "a", slow=flags), run(tmp_path / "b", slow=flags)
    slow = metered.measurement(CASE, {"x": 5.0}, slow=[SLOW, SLOW, [False] * 3 + [True] * 9], seed=50)
    Run.open(b).append(slow)
    code, out, err = said(a, b, "--fail-on", "slower")
    assert code == 0 and "5 SAME" in out and "1 UNCLEAR" in out and "replaced" in err
    head, row, *_ = out[out.index("not measured at full speed, nothing is decided:") :].splitlines()[1:]
    assert head.startswith("case ") and row.endswith(" UNCLEAR")
    assert "B not at full speed: 3 of 36 rounds" in row and out.count("not at full speed: ") == 1
    assert "in 1 case none would" in out
    assert "overall: b: no clear difference from a (takes 1.00x as long; " in out
    assert "on average over 5 cases" in out
    _, out, _ = said(b, a)
    assert "5 SAME" in out and "1 UNCLEAR" in out and "A not at full speed: 3 of 36 rounds" in out
    assert "on average over 5 cases" in out, "whichever side it was"


def test_slow_rounds_do_not_count(tmp_path: Path, said: Any) -> None:
    a = run(tmp_path / "a", slow=[FAST, FAST, FAST])
    b = run(tmp_path / "b", slow=[HALF, HALF, HALF])
    assert "6 SAME" in said(a, b)[1], "of all rounds, medians are 1.2 times as long"
    c = run(tmp_path / "c", slow=[FAST, SLOW, FAST])
    assert "6 SAME" in said(a, c)[1], "nor does a pass without any"


def test_a_run_that_never_saw_the_others_full_speed_is_said_to(tmp_path: Path, said: Any) -> None:
    known = replace(fabricate.ENVIRONMENT, full_speed_s={"1": metered.FULL_S})
    unknown = replace(fabricate.ENVIRONMENT, full_speed_s={"1": 1.4 * metered.FULL_S})
    a = run(tmp_path / "a", slow=[FAST] * 3, environment=known)
    b = run(tmp_path / "b", slow=[SLOW] * 3, environment=unknown)
    _, out, _ = said(a, b)
    assert "b: the machine never ran at full speed, as a knows it; at best at 71% of it" in out
    assert "6 UNCLEAR" in out
    assert "b: the machine never ran at full speed, as a knows it" in said(b, a)[1]
    assert "never ran" not in said(a, a)[1] and "never ran" not in said(b, b)[1]


def test_processes_differ_where_each_run_has_one(tmp_path: Path, said: Any) -> None:
    """Of runs of one pass the interval is over the rounds of one process."""
    a, b, c = (
        fabricate.run(tmp_path / name, CASES, speed={"x": of}, shape={"noise": 0.0}).path
        for name, of in (("a", 1.0), ("b", 1.04), ("c", 1.06))
    )
    _, out, _ = said(a, b)
    assert "6 SAME" in out and f"noise floor {BETWEEN_PROCESSES:.1%} where a side has one pass" in out
    assert "6 SLOWER" in said(a, c)[1]
    assert "6 SLOWER" in said(a, b, "--noise-floor", "2%")[1], "unless another is asked for"


def test_one_process_needs_no_such_floor(tmp_path: Path, said: Any) -> None:
    one = fabricate.run(tmp_path / "r", CASES, speed={"x": 1.0, "y": 1.04}, shape={"noise": 0.0}).path
    _, out, _ = said(f"{one}:x", f"{one}:y")
    assert "6 SLOWER" in out and "one pass" not in out
    several = run(tmp_path / "s")
    assert "one pass" not in said(several, run(tmp_path / "t"))[1]


def test_two_runs_are_not_in_the_same_state(tmp_path: Path, said: Any) -> None:
    known = replace(fabricate.ENVIRONMENT, noise_floor=0.01)
    a, b = (
        run(tmp_path / name, of, ((1.0,) * 3,) * 3, environment=known)
        for name, of in (("a", 1.0), ("b", 1.015))
    )
    _, out, _ = said(a, b)
    assert "6 SAME" in out and f"noise floor {BETWEEN_RUNS:.1%} between two runs" in out
    assert "6 SLOWER" in said(a, b, "--noise-floor", "1%")[1], "unless another is asked for"


def test_one_pass_against_several_is_one_pass(tmp_path: Path, said: Any) -> None:
    alone = fabricate.run(tmp_path / "r", CASES, speed={"x": 1.0}, shape={"noise": 0.0}).path
    assert "where a side has one pass" in said(alone, run(tmp_path / "s"))[1]


def side_by_side(path: Path, factor: float, passes: Sequence[float] = (1.0, 1.0, 1.0)) -> Path:
    """Two environments that took turns on a machine that drifts by half within each pass."""
    made = Run.create(path, fabricate.holding(["base", "head"]))
    drift = [1 + 0.05 * k for k in range(12)]
    for k, case in enumerate(CASES):
        for name, of in (("base", 1.0), ("head", factor)):
            tilted = [one * (1 + 0.001 * ((k + j) % 3)) for j, one in enumerate(passes)]
            records = metered.measurement(case, {"x": of, "y": of}, tilted, seed=k, environment=name)
            made.append(
                replace(
                    one,
                    samples=replace(
                        one.samples,
                        call_s=tuple(
                            tuple(s * d for s in of_round)
                            for of_round, d in zip(one.samples.call_s, drift, strict=True)
                        ),
                    ),
                )
                for one in records
            )
    return path


@pytest.mark.parametrize(("factor", "verdict"), [(1.05, "SLOWER"), (1.0, "SAME"), (0.95, "FASTER")])
def test_environments_that_took_turns_are_compared_within_rounds(
    tmp_path: Path, said: Any, factor: float, verdict: str
) -> None:
    both = side_by_side(tmp_path / "r", factor, (1.0, 1.3, 0.8))
    _, out, _ = said(f"{both}@base", f"{both}@head")
    assert f"12 {verdict}" in out and "B r@head" in out
    _, out, _ = said(f"{both}@base:x", f"{both}@head:x")
    assert f"6 {verdict}" in out and "overall: r@head:x" in out


def test_backends_of_one_environment_are_named_without_it(tmp_path: Path, said: Any) -> None:
    both = side_by_side(tmp_path / "r", 1.0)
    _, out, _ = said(f"{both}:x", f"{both}:y")
    assert "12 SAME" in out, "each environment by itself"
    _, out, _ = said(both, both)
    assert "x @base" in out and "x @head" in out
    assert "@base\n" not in said(f"{both}@base", f"{both}@head")[1]


def test_an_environment_is_compared_with_a_run_that_has_none(tmp_path: Path, said: Any) -> None:
    both, alone = side_by_side(tmp_path / "r", 1.0), run(tmp_path / "s", speed={"x": 1.0, "y": 1.0})
    code, out, _ = said(alone, f"{both}@head")
    assert code == 0 and "overall: r@head takes" in out
    code, out, err = said(alone, both)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "holds the environments base, head; name one, such as r@base" in err


def test_an_environment_that_is_not_there_is_one_line(tmp_path: Path, said: Any) -> None:
    both, alone = side_by_side(tmp_path / "r", 1.0), run(tmp_path / "s")
    for arguments, words in (
        ((f"{both}@base", f"{both}@tail"), "r@tail: no such environment in that run; give one of base, head"),
        ((f"{alone}@base", alone), "s@base: no such environment in that run; give s alone"),
        ((f"{both}@base:x", f"{both}@head:z"), "r@head:z: no such backend in that run; give one of x, y"),
        ((f"{both}@base:x", f"{both}@head"), "for both or for neither"),
        ((tmp_path / "no@base", both), "no: no such folder"),
        ((f"{tmp_path}/no@base:x", f"{both}@base:x"), "no: no such folder"),
    ):
        code, out, err = said(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert words in err


def test_a_folder_with_both_signs_in_its_name(tmp_path: Path, said: Any) -> None:
    odd = side_by_side(tmp_path / "a:b@c", 1.0)
    assert said(odd, odd)[0] == 0
    assert "12 SAME" in said(f"{odd}@base", f"{odd}@head")[1]
    assert "6 SAME" in said(f"{odd}@base:x", f"{odd}@head:x")[1]


def test_relative_to_another_backend_what_slows_all_is_no_change(tmp_path: Path, said: Any) -> None:
    """The machine of B is 1.3 times slower, and one backend was slowed by a tenth besides."""
    same = {"x": 1.0, "y": 2.0, "base": 0.5}
    a = run(tmp_path / "a", speed=same)
    b = run(tmp_path / "b", 1.3, speed=same | {"x": 1.1})
    assert "18 SLOWER" in said(a, b)[1]
    _, out, _ = said(a, b, "--relative-to", "base")
    assert "6 SLOWER" in out and "6 SAME" in out and "1.100x" in out
    assert "read against base on each side, which is assumed not to have changed" in out
    assert "overall: relative to base, b: no clear difference from a" in out and "left out" not in out


def test_what_has_no_base_beside_it_is_left_out(tmp_path: Path, said: Any) -> None:
    a, b = (run(tmp_path / name, speed={"x": 1.0, "base": 1.0}) for name in "ab")
    more = Case(5000, 64)
    for k, path in enumerate((a, b)):
        speed = {"x": 1.0, "base": 1.0} if k else {"x": 1.0}
        Run.open(path).append(metered.measurement(more, speed, seed=77))
    _, out, _ = said(a, b, "--relative-to", "base")
    assert "left out: 1 case (1 no base)" in out and "read against base on each side" in out
    assert "read against x on each side" in said(a, b, "--relative-to", "x")[1], "whatever its name"
    code, _, err = said(a, b, "--relative-to", "z")
    assert code == 2 and "no case that both completed beside z" in err
    assert said(a, b, "--relative-to", "x", "--normalized")[0] == 2


def test_a_base_that_was_not_at_full_speed_decides_nothing(tmp_path: Path, said: Any) -> None:
    a, b = (run(tmp_path / name, speed={"x": 1.0, "base": 1.0}, slow=[FAST] * 3) for name in "ab")
    slow = metered.measurement(CASE, {"base": 1.0}, slow=[SLOW] * 3, seed=60)
    Run.open(b).append(slow)
    _, out, _ = said(a, b, "--relative-to", "base")
    assert "1 base not at full speed" in out


SPEED = {"x": 1.0, "y": 2.0, "z": 0.5}
DIGESTS = {f"backend {name}": name * 8 for name in SPEED}
KNOWN = replace(fabricate.ENVIRONMENT, digests=DIGESTS)
WILD = [(1.0, 1.15, 0.87), (0.87, 1.0, 1.15), (1.15, 0.87, 1.0)]


def test_relative_to_what_is_unchanged_the_machine_s_drift_is_no_change(tmp_path: Path, said: Any) -> None:
    """Passes scatter by 15 %, all that took turns alike; that of x which took a tenth longer shows."""
    a = run(tmp_path / "a", passes=WILD, speed=SPEED, environment=KNOWN)
    other = replace(KNOWN, digests=DIGESTS | {"backend x": "another"})
    b = run(tmp_path / "b", 1.2, WILD, SPEED | {"x": 1.1}, other)
    assert "18 UNCLEAR" in said(a, b)[1]
    _, out, _ = said(a, b, "--relative-to", "unchanged")
    assert "6 SLOWER" in out and "12 SAME" in out and "1.100x" in out
    assert "read against what is beside each one with the same file and packages in both, the copy too" in out
    assert "overall: relative to what is unchanged, b: no clear difference from a" in out
    c = run(tmp_path / "c", passes=WILD, speed=SPEED | {"x": 1.1}, environment=KNOWN)
    _, out, _ = said(a, c, "--relative-to", "unchanged")
    assert "12 FASTER" in out, "a change that the files do not show is taken for the machine's"


def test_what_has_nothing_unchanged_beside_it_is_left_out(tmp_path: Path, said: Any) -> None:
    a = run(tmp_path / "a", speed=SPEED, environment=KNOWN)
    for name, where in {
        "unknown": fabricate.ENVIRONMENT,
        "another": replace(KNOWN, digests=dict.fromkeys(DIGESTS, "new")),
        "newer": replace(KNOWN, packages={"numpy": "9"}, requires=dict.fromkeys(SPEED, "numpy")),
    }.items():
        code, _, err = said(
            a, run(tmp_path / name, speed=SPEED, environment=where), "--relative-to", "unchanged"
        )
        assert code == 2 and "no case that both completed beside unchanged" in err, name
    code, _, err = said(f"{a}:x", f"{a}:y", "--relative-to", "unchanged")
    assert code == 2 and "both sides are of one run, in turns as they are; leave it out" in err


def test_copies_of_one_kind_are_unchanged(tmp_path: Path, said: Any) -> None:
    a, b = (run(tmp_path / name, speed={"x": 1.0}, environment=KNOWN) for name in "ab")
    for path in (a, b):
        records = (path / "records.jsonl").read_text()
        (path / "records.jsonl").write_text(records.replace("contiguous_copy", "copy_rows"))
    assert "6 SAME" in said(a, b, "--relative-to", "unchanged")[1]


def test_other_versions_of_packages_are_no_obstacle(tmp_path: Path, said: Any) -> None:
    newer = replace(fabricate.ENVIRONMENT, packages={"numpy": "3.0"})
    a, b = run(tmp_path / "a"), run(tmp_path / "b", environment=newer)
    assert "6 SAME" in said(a, b)[1] and said(a, b, "--normalized")[0] == 0
