"""Comparing runs: each verdict on its side of the threshold, nothing compared that can't be, exit codes."""

from __future__ import annotations

import io
import random
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite import stats
from suite.analysis import comparison, outcomes
from suite.cases.case import Case
from suite.compare import listing, markdown, pairs, terminal
from suite.compare.__main__ import main
from suite.records.record import METHOD
from suite.records.store import Run
from suite.stats import Estimate
from suite.units import digits
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
    assert code == 0 and f"  {verdict}\n" in out and f"1 {verdict}" in out
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
    assert code == 1 and "x: wrong in B on 1 case that A completed: row 3 differs" in out
    assert "left out: 2 cases (1 failed in B, 1 only in B)" in out
    code, out, _ = said(a, b, "--only", "slower", "--fail-on", "slower")
    assert code == 1 and "row 3 differs" in out, "whatever is shown"


def test_the_direction_is_said_in_words(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 2.0)
    _, out, _ = said(a, b)
    assert "B/A above 1 means that B takes longer" in out
    assert "overall: b takes 2.00x as long as a (2.00x to 2.00x over 1 case)\n" in out
    _, out, _ = said(b, a)
    assert "overall: a takes 0.500x as long as b (" in out


def test_what_is_left_out_is_counted_in_a_line_and_the_overall_line_is_of_the_others(
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
    assert "overall: b takes 1.00x and 8.00x as long as a in 2 cases" in out
    assert "left out: 2 cases (1 failed in B, 1 only in B)" in out


@pytest.mark.parametrize(("slower", "words"), [(7, "b takes 1.27x as long as a ("), (6, "in most cases (")])
def test_overall_nothing_is_clear_that_most_cases_do_not_show(
    tmp_path: Path, said: Any, slower: int, words: str
) -> None:
    """A mean over 12 cases is far from 1 whether 6 of them or 7 are slower by half."""
    cases = [Case(1000 + k, 64) for k in range(12)]
    a, b = (Run.create(tmp_path / name, fabricate.ENVIRONMENT) for name in "ab")
    for number, case in enumerate(cases):
        a.append(fabricate.measurement(case, number, {"x": 1.0}, shape=STILL))
        b.append(fabricate.measurement(case, number, {"x": 1.5 if number < slower else 1.0}, shape=STILL))
    _, out, _ = said(a.path, b.path)
    assert f"{slower} SLOWER" in out and words in out[out.index("overall: ") :]


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[Path, Path]:
    """Runs of 30 cases: 8 slower, 8 faster, 7 alike and 7 of too few rounds."""
    a, b = (Run.create(tmp_path / name, fabricate.ENVIRONMENT) for name in "ab")
    for k in range(30):
        case, far = Case(1000 + k, 64), 1.5 + k / 10
        factor = (far, 1 / far, 1.0, 1.0)[k % 4]
        shape = STILL | ({"count": 4} if k % 4 == 3 else {})
        a.append(fabricate.measurement(case, k, {"x": 1.0}, shape=shape))
        b.append(fabricate.measurement(case, k, {"x": factor}, shape=shape))
    return a.path, b.path


def rows(out: str) -> list[str]:
    return [line for line in out.splitlines() if re.search(r" (SLOWER|FASTER|SAME|UNCLEAR)$", line)][:-1]


def test_the_worst_comes_first_and_the_head_again(mixed: Any, said: Any) -> None:
    _, out, _ = said(*mixed)
    ratios = [float(re.findall(r"([0-9.]+)x ", row)[-1]) for row in rows(out)]
    assert len(ratios) == 30 and ratios == sorted(ratios, reverse=True)
    assert " in B on " not in out, "none fails"
    assert len(re.findall(r"^case +A µs +B µs +B/A +interval +verdict$", out, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("only", "number"), [("slower", 8), ("faster", 8), ("changed", 16), ("undecided", 7)]
)
def test_rows_of_some_verdicts_alone(mixed: Any, said: Any, only: str, number: int) -> None:
    _, whole, _ = said(*mixed)
    _, out, _ = said(*mixed, "--only", only)
    assert rows(out) == [row for row in rows(whole) if row.split()[-1] in listing.ONLY[only]]
    assert len(rows(out)) == number and f"shown: {number} of 30 cases, those {only}" in out
    totals = [line for line in whole.splitlines() if line.startswith(("overall", "8 SLOWER", "a change"))]
    assert len(totals) == 3 and set(totals) <= set(out.splitlines()), "totals are of all"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_folds_between_words(
    mixed: Any, said: Any, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    plain = said(*mixed)[1]
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = said(*mixed)
    assert all(len(line) <= columns for line in out.splitlines())
    assert set(out.split()) == set(plain.split())


def test_on_a_terminal_figures_end_and_words_begin_below_each_other() -> None:
    widths = [90, *map(len, listing.HEADINGS[1:])]
    grid = terminal._grid((), widths, columns=60)
    sides = {heading: column.justify for heading, column in zip(listing.HEADINGS, grid.columns, strict=True)}
    assert {heading for heading, side in sides.items() if side == "left"} == {"case", "verdict"}
    assert grid.columns[0].width == terminal.LEAST_CASE == 24, "the widest word of a case, and a blank"
    wide = terminal._grid((), widths, columns=100).columns
    assert sum(column.width + 2 for column in wide) == 100


@pytest.mark.parametrize(("no_color", "red"), [(None, True), ("1", False)])
def test_a_terminal_has_colour_unless_it_is_not_wanted(
    mixed: Any, monkeypatch: pytest.MonkeyPatch, no_color: Any, red: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stdout", file := Terminal())
    assert main([str(path) for path in mixed]) == 0
    assert ("\x1b[31m" in file.getvalue()) == red
    assert re.search(r"\x1b\[1mover", file.getvalue()), "weight is no colour"


def test_markdown_is_fit_for_a_comment(mixed: Any, said: Any, tmp_path: Path) -> None:
    code, out, _ = said(*mixed, "--only", "changed", "--markdown", "-")
    lines = out.splitlines()
    assert code == 0 and lines[0].startswith("**overall: b: no clear difference from a (takes ")
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| case | A µs | B µs | B/A | interval | verdict |" and len(table) == 2 + 16
    assert all(line.count(" | ") == 5 for line in table if "---" not in line) and " more" not in out
    assert "| **SLOWER** |" in table[2] and "| **FASTER** |" in table[-1]
    _, shown, _ = said(*mixed, "--only", "changed", "--markdown", tmp_path / "a.md")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == out and "|" not in shown
    code, out, err = said(*mixed, "--markdown", tmp_path / "none" / "a.md")
    assert (code, out) == (2, "") and "can't be written" in err


def test_markdown_holds_no_more_than_a_comment(
    mixed: Any, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markdown, "MOST_ROWS", 5)
    _, out, _ = said(*mixed, "--markdown", "-")
    assert out.count("\n| 1") == 5 and "and 25 more" in out


def test_the_device_is_said_where_there_are_several(tmp_path: Path, said: Any) -> None:
    a, b = two(tmp_path, 1.0)
    assert " on cpu" not in said(a, b)[1]
    for path in (a, b):
        Run.open(path).append(fabricate.measurement(CASE, 7, {"x": 1.0}, device="cuda:0"))
    _, out, _ = said(a, b)
    assert f"{CASE} on cpu, x" in out and f"{CASE} on cuda:0, x" in out


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
    assert "SLOWER" in out and "1.100 to 1.100" in out and "r:y takes 1.10x as long as r:x" in out
    assert str(CASE) in out and f"{CASE}, y" not in out, "the sides have their names already"
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
        at = line.index("1.000x")
        assert line[at - 2] == line[at - 1], "of both the call, which both have"


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
    assert "1 SAME" in out and "relative to each one's ceiling, b: no clear" in out
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


def test_a_row_has_both_times_and_their_ratio_with_its_interval(tmp_path: Path, said: Any) -> None:
    _, out, _ = said(*two(tmp_path, 2.5))
    (row,) = rows(out)
    a, b, ratio, low, _, high, verdict = row.removeprefix(f"{CASE}, x").split()
    assert float(b.replace(",", "")) == pytest.approx(2.5 * float(a.replace(",", "")), rel=0.01)
    assert (ratio, low, high, verdict) == ("2.500x", "2.500", "2.500", "SLOWER")
    (outcome,) = outcomes.read([tmp_path / "a"]).outcomes
    assert a == digits(1e6 * comparison.median(outcome).value)


@pytest.mark.parametrize(("ratio", "text"), [(1.0, "0.0%"), (1.071, "7.1%"), (2.5, "150.0%")])
def test_a_change_is_in_per_cent_of_what_was(ratio: float, text: str) -> None:
    assert listing._percent(ratio) == text


def test_runs_are_not_taken_for_one_by_the_order_of_their_names() -> None:
    """Of one pass each, in the same measurements: only within a run the floor is the machine's own."""
    one = next(iter(outcomes.outcomes_of(fabricate.measurement(CASE, speed={"x": 1.0})).values()))
    basis = pairs.Basis(0.01, "measured")
    floors = [basis.floor_of(replace(one, run=a), replace(one, run=b)) for a, b in ("aa", "ab", "ba")]
    assert floors == [0.01, pairs.BETWEEN_PROCESSES, pairs.BETWEEN_PROCESSES]


def test_normalized_pairs_the_only_gpu_with_the_only_gpu_beside_the_cpu(tmp_path: Path, said: Any) -> None:
    found = []
    for name, gpu, environment in (("a", "cuda:0", fabricate.ENVIRONMENT), ("b", "cuda:1", OTHER["machine"])):
        run = fabricate.run(tmp_path / name, [CASE], environment, speed={"x": 1.0}, shape=STILL)
        run.append(fabricate.measurement(CASE, 7, {"x": 1.0}, device=gpu, shape=STILL))
        found.append(run.path)
    assert "2 SAME" in said(*found, "--normalized")[1]


def test_ids_known_by_the_name_of_their_file_alone_are_said_to_be(tmp_path: Path, said: Any) -> None:
    for distribution, count in (("file:trace.txt", 1), ("file:trace.txt@1a2b3c4d", 0)):
        case = replace(CASE, distribution=distribution)
        a, b = (fabricate.run(tmp_path / f"{count}{name}", [case], speed={"x": 1.0}).path for name in "ab")
        assert (
            said(a, b)[1].count("file:trace.txt: by its name alone, as earlier versions recorded it") == count
        )
        assert "by its name alone" not in said(f"{a}:x", f"{a}:x")[1], "a run is of one file"


def test_cases_of_other_text_are_left_out(tmp_path: Path, said: Any) -> None:
    """Where two versions of the suite ship other ids."""
    cases = [CASE, replace(CASE, distribution="text"), replace(CASE, distribution="text-shuffled")]
    runs = [
        fabricate.run(
            tmp_path / digest,
            cases,
            replace(fabricate.ENVIRONMENT, digests={"ids text": digest}),
            speed={"x": 1.0},
        ).path
        for digest in ("a", "b")
    ]
    code, out, _ = said(*runs)
    assert code == 0 and "1 SAME" in out and "left out: 2 cases (2 other ids)" in out
    assert "3 SAME" in said(runs[0], runs[0])[1]
    old = fabricate.run(tmp_path / "old", cases, speed={"x": 1.0}).path
    assert "3 SAME" in said(runs[0], old)[1]
