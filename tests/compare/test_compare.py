"""Comparing runs: each verdict on its side of the threshold, nothing compared that can't be, exit codes."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import stats
from suite.analysis import outcomes
from suite.cases.case import Case
from suite.compare import pairs
from suite.records.record import METHOD
from suite.records.store import Run
from suite.stats import Estimate
from tests.support import fabricate

CASE = fabricate.CASES[0]
STILL = {"noise": 0.0}


def two(
    tmp_path: Path,
    factor: Any,
    shape: Any = STILL,
    speed: Any = None,
    environment: Any = fabricate.ENVIRONMENT,
    **changes: Any,
) -> Any:
    """Two runs of one backend; in the second it takes ``factor`` times longer."""
    a = fabricate.run(tmp_path / "a", [CASE], speed={"x": 1.0}, shape=shape).path
    speed = speed or {"x": factor}
    b = fabricate.run(tmp_path / "b", [CASE], environment, speed=speed, shape=shape, seed=1, **changes).path
    return a, b


@pytest.mark.parametrize(
    ("factor", "floor", "verdict"),
    [
        (1.021, "2%", "SLOWER"),
        (1.019, "2%", "SAME"),
        (1 / 1.021, "2%", "FASTER"),
        (1 / 1.019, "2%", "SAME"),
        (1.06, "5%", "SLOWER"),
        (1.04, "0.05", "SAME"),
        (1.04, "0", "SLOWER"),
    ],
)
def test_each_side_of_each_threshold(
    tmp_path: Path, said: Any, factor: Any, floor: Any, verdict: Any
) -> None:
    code, out, _ = said(*two(tmp_path, factor), "--noise-floor", floor)
    assert code == 0 and f"  {verdict}  " in out and f"1 {verdict}" in out
    assert f"{factor:.3f}x" in out


@settings(max_examples=200, deadline=None)
@given(low=st.floats(0.5, 2), width=st.floats(1, 1.5), floor=st.floats(0, 0.3))
def test_a_verdict_needs_the_whole_interval(low: Any, width: Any, floor: Any) -> None:
    verdict = stats.verdict(Estimate(low * width**0.5, low, low * width), floor)
    beyond = (low > 1 + floor, low * width < 1 / (1 + floor))
    assert (verdict == "SLOWER", verdict == "FASTER") == beyond
    inside = 1 / (1 + floor) <= low and low * width <= 1 + floor
    assert (verdict == "SAME") == (inside and not any(beyond))


def test_an_interval_across_the_threshold_is_unclear(tmp_path: Path, said: Any) -> None:
    _, out, _ = said(*two(tmp_path, 1.02, {"noise": 0.05}), "--noise-floor", "2%")
    assert "1 UNCLEAR" in out


def test_too_few_rounds_are_unclear(tmp_path: Path, said: Any) -> None:
    _, out, _ = said(*two(tmp_path, 3.0, {"count": 4}))
    assert "1 UNCLEAR" in out and "too few rounds" in out


def test_slower_fails_only_where_that_is_asked(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.5)
    assert said(a, b)[0] == 0
    assert said(a, b, "--fail-on", "slower")[0] == 1
    assert said(b, a, "--fail-on", "slower")[0] == 0


def test_what_no_longer_completes_fails_too(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0, speed={"y": 1.0})
    Run.open(b).append([fabricate.failure("x", CASE, "m5", status="wrong", reason="row 3 differs")])
    code, out, _ = said(a, b, "--fail-on", "slower")
    assert code == 1 and "failed in B" in out and "row 3 differs" in out


def test_the_direction_is_said_in_words(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 2.0)
    _, out, _ = said(a, b)
    assert "a ratio above 1 means that B is slower" in out
    assert (
        "overall: b is 2.00x slower than a: geometric mean over 1 case that both completed; 0 left out" in out
    )
    _, out, _ = said(b, a)
    assert "overall: a is 2.00x faster than b" in out


@pytest.mark.parametrize(("factor", "words"), [(1.003, "as fast as"), (1.01, "1.01x slower than")])
def test_nobody_is_1_00_times_slower(tmp_path: Path, said: Any, factor: Any, words: Any) -> None:
    a, b = two(tmp_path, factor)
    assert f"overall: b is {words} a: " in said(a, b)[1]


def test_the_overall_line_is_the_geometric_mean_and_counts_what_is_left_out(
    tmp_path: Path, said: Any
) -> None:
    cases = [Case(1000, 64), Case(2000, 64)]
    one, two_, gone = {"x": 1.0}, {"x": 8.0}, fabricate.failure("x", Case(3000, 64), "m9")
    a = Run.create(tmp_path / "a", fabricate.ENVIRONMENT)
    b = Run.create(tmp_path / "b", fabricate.ENVIRONMENT)
    for run, speeds in ((a, (one, one)), (b, (one, two_))):
        for number, (case, speed) in enumerate(zip(cases, speeds, strict=True)):
            run.append(fabricate.measurement(case, number, speed, shape=STILL))
    a.append(fabricate.measurement(Case(3000, 64), 7, one))
    b.append([gone])
    b.append(fabricate.measurement(Case(4000, 64), 8, one))
    _, out, _ = said(a.path, b.path)
    assert "b is 2.83x slower than a: geometric mean over 2 cases that both completed" in out
    assert "2 left out (1 failed in B, 1 only in B)" in out
    assert out.index("left out:") > out.index("8.000x")


def test_what_did_not_converge_stands_apart(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.5, converged=False)
    _, out, _ = said(a, b)
    assert out.index("not converged, read with care:") < out.index("SLOWER  ")
    assert "1 SLOWER" in out


def test_backends_of_one_run_are_compared_within_rounds(tmp_path: Path, said: Any) -> None:
    """Drift common to both is no uncertainty between them, though it is between their medians."""
    draw = random.Random(0)
    one, two_ = (fabricate.record(n, CASE, 1e-3, draw, "m0", shape=STILL) for n in ("x", "y"))
    drift = [1 + 0.2 * k for k in range(12)]
    drifted = [
        replace(r, samples=replace(r.samples, call_s=tuple((1e-3 * f * d,) for d in drift)))
        for r, f in ((one, 1.0), (two_, 1.1))
    ]
    run = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    run.append(drifted)
    _, out, _ = said(f"{run.path}:x", f"{run.path}:y")
    assert "SLOWER" in out and "1.100 to 1.100" in out and "r:y is 1.10x slower than r:x" in out
    apart = Run.create(tmp_path / "s", fabricate.ENVIRONMENT)
    apart.append([drifted[0], replace(drifted[1], measurement="m1")])
    assert "1 UNCLEAR" in said(f"{apart.path}:x", f"{apart.path}:y")[1]


def test_runs_that_share_a_name_and_measurement_ids_share_no_rounds(tmp_path: Path, said: Any) -> None:
    a = fabricate.run(tmp_path / "a" / "r", [CASE], speed={"x": 1.0}).path
    b = fabricate.run(tmp_path / "b" / "r", [CASE], speed={"x": 1.0}).path
    _, out, _ = said(a, b)
    assert "1.000 to 1.000" not in out and "1 SAME" in out
    assert "1.000 to 1.000" in said(a, a)[1]


def test_by_the_call_where_the_clocks_differ(tmp_path: Path, said: Any) -> None:
    a = fabricate.run(tmp_path / "a", [CASE], speed={"x": 1.0}, clock="kernel", shape=STILL).path
    b = Run.create(tmp_path / "b", fabricate.ENVIRONMENT)
    call = fabricate.measurement(CASE, 0, {"x": 1.0}, clock="kernel", shape=STILL)[1]
    b.append([replace(call, clock="call", samples=replace(call.samples, kernel_s=None, held=None))])
    for out in (said(a, b.path)[1], said(b.path, a)[1]):
        assert "1.000x" in out and "by call time" in out
        (line,) = (line.split() for line in out.splitlines() if "1.000x" in line)
        assert line[line.index("µs") - 3] == line[line.index("µs") - 1], "of both the call, which both have"


OTHER = {
    "machine": replace(fabricate.ENVIRONMENT, machine="b" * 16),
    "devices": replace(fabricate.ENVIRONMENT, devices=("cpu", "cuda:0")),
    "gpu name": replace(fabricate.ENVIRONMENT, gpu={"name": "another"}),
    "gpu driver_version": replace(fabricate.ENVIRONMENT, gpu={"driver_version": "600.1"}),
}


@pytest.mark.parametrize("what", OTHER)
def test_different_machines_are_refused_unless_normalized(tmp_path: Path, said: Any, what: Any) -> None:
    a, b = two(tmp_path, 2.0, environment=OTHER[what])
    code, out, err = said(a, b)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"different {what}" in err and "--normalized" in err
    assert said(a, b, "--normalized")[0] == 0


def test_normalized_compares_fractions_of_each_ceiling(tmp_path: Path, said: Any) -> None:
    a = fabricate.run(tmp_path / "a", [CASE], speed={"x": 1.0}, shape=STILL).path
    b = Run.create(tmp_path / "b", OTHER["machine"])
    slower = fabricate.measurement(CASE, 0, {"x": 3.0}, shape=STILL)
    copy = slower[0]
    tripled = tuple(tuple(3 * s for s in one) for one in copy.samples.call_s)
    b.append([replace(copy, samples=replace(copy.samples, call_s=tripled)), slower[1]])
    _, out, _ = said(a, b.path, "--normalized")
    assert "1 SAME" in out and "relative to each one's ceiling, b is as fast as a" in out
    c = fabricate.run(tmp_path / "c", [CASE], speed={"x": 3.0}, shape=STILL).path
    assert "1 SLOWER" in said(a, c, "--normalized")[1]


def test_normalized_pairs_devices_of_different_names(tmp_path: Path, said: Any) -> None:
    a = fabricate.run(tmp_path / "a", [CASE], speed={"x": 1.0}, device="cuda:0").path
    b = fabricate.run(tmp_path / "b", [CASE], OTHER["machine"], speed={"x": 1.0}, device="cuda:3").path
    assert "1 SAME" in said(a, b, "--normalized")[1]


def test_times_taken_by_different_methods_are_never_compared(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0, environment=replace(fabricate.ENVIRONMENT, method=METHOD + 1))
    for flags in ([], ["--normalized"]):
        code, _, err = said(a, b, *flags)
        assert code == 2 and f"method {METHOD} and {METHOD + 1}" in err


def test_methods_that_differ_on_a_gpu_only_are_compared_on_a_cpu(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0, environment=replace(fabricate.ENVIRONMENT, method=4))
    assert said(a, b)[0] == 0
    on_gpu = replace(fabricate.ENVIRONMENT, devices=("cuda:0", "cpu"))
    c = fabricate.run(tmp_path / "c", [CASE], environment=on_gpu).path
    d = fabricate.run(tmp_path / "d", [CASE], environment=replace(on_gpu, method=4)).path
    code, _, err = said(c, d)
    assert code == 2 and "method 5 and 4" in err


@pytest.mark.parametrize(
    ("floors", "expected"),
    [
        ((0.01, 0.03), (0.03, "measured")),
        ((None, 0.03), (0.03, "assumed")),
        ((None, None), (0.02, "assumed")),
    ],
)
def test_the_noise_floor_is_the_larger_one_and_where_it_is_from_is_said(floors: Any, expected: Any) -> None:
    a, b = (replace(fabricate.ENVIRONMENT, noise_floor=floor) for floor in floors)
    floor, origin = pairs.noise_floor(a, b)
    assert (floor, origin.split(";")[0]) == expected


def test_what_can_not_be_compared_is_one_line_and_exit_code_2(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0)
    Run.create(tmp_path / "empty", fabricate.ENVIRONMENT)
    other = fabricate.run(tmp_path / "other", [Case(77, 7)]).path
    for arguments, word in (
        ((a, tmp_path / "missing"), "no such folder"),
        ((a, tmp_path / "empty"), "holds no records"),
        ((a, other), "no case that both completed"),
        ((f"{a}:x", b), "for both or for neither"),
        ((f"{a}:x", f"{b}:z"), "no such backend"),
        ((a,), "required"),
        ((a, b, "--noise-floor", "much"), "no share"),
        ((a, b, "--noise-floor", "nan"), "no share"),
        ((a, b, "--noise-floor", "150%"), "no share"),
    ):
        code, out, err = said(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert word in err


def test_a_folder_with_a_colon_in_its_name(tmp_path: Path, said: Any) -> None:
    odd = fabricate.run(tmp_path / "a:x", [CASE], speed={"x": 1.0}).path
    assert said(odd, odd)[0] == 0
    assert said(f"{odd}:x", f"{odd}:x")[0] == 0


def test_the_text_is_the_same_every_time_and_holds_nothing_hostile(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0)
    Run.open(b).append([fabricate.failure("\x1b[31mred", CASE, "m", reason="\x1b]0;title\x07\nx")])
    first = said(a, b)
    assert said(a, b) == first
    assert all(c.isprintable() for c in first[1].replace("\n", ""))


def test_a_noise_floor_of_nothing_is_one_too(tmp_path: Path, said: Any) -> None:
    _, out, _ = said(*two(tmp_path, 1.01), "--noise-floor", "0")
    assert "1 SLOWER" in out and "0.0% (as asked)" in out


def test_one_side_that_did_not_converge_is_enough() -> None:
    done = next(iter(outcomes.outcomes_of(fabricate.measurement(CASE, speed={"x": 1.0})).values()))
    open_ = replace(done, converged=False)
    told = [pairs.Pair(a, b).converged for a, b in ((done, done), (open_, done), (done, open_))]
    assert told == [True, False, False]


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of runs: A holds two, C one, and Z eight; B is a run with another one inside."""
    monkeypatch.chdir(tmp_path)
    for place in ("A/one", "A/two", "B", "B/inner", "C/only", *(f"Z/{k}" for k in range(8))):
        fabricate.run(tmp_path / place, [CASE], speed={"x": 1.0, "y": 1.1})
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("A", "B"), "A: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A/one", "A"), "A: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A", "A"), "A: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A/*", "B"), "A/*: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("B:x", "A:x"), "A: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A/*:x", "A/one:y"), "A/*: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A@base", "A@head"), "A: stands for 2 runs, one, two; give one of them, such as A/one"),
        (("A/t?o", "A/[ot]*@base:x"), "for both or for neither"),
        (("B", "Z"), "Z: stands for 8 runs, 0, 1, 2, 3, 4, 5 and 2 more; give one of them, such as Z/0"),
    ],
)
def test_a_side_is_one_run(several: Path, said: Any, arguments: Any, line: str) -> None:
    code, out, err = said(*arguments, "--fail-on", "slower")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err


def test_what_stands_for_one_run_is_that_run(
    several: Path, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said("C", "A/one")[1] == said("C/only", "A/one")[1] == said("C/*", "A/on?")[1]
    assert "A only:x, B one:y: " in said("C:x", "A/on*:y")[1]
    assert "A B, B inner: " in said("B", "B/inner")[1], "a run is itself, whatever else is in it"
    monkeypatch.setenv("HOME", str(several))
    assert said("~/C", "~/A/one:x") == said("C", "A/one:x") and said("~/C", "~/A/one") == said("C", "A/one")
    (several / "A/latest").symlink_to("two")
    assert "stands for 2 runs" in said("A", "C")[2]
