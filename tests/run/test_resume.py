"""Going on with a run: with what it began with, or apart from it in an environment of its own."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.analysis import outcomes
from suite.command import BadRequest
from suite.compare.__main__ import main as compare
from suite.records.record import METHOD, Environment
from suite.records.store import Run, StoreError
from suite.report.__main__ import main as report
from suite.run import ending
from suite.run.__main__ import main
from suite.run.environments import going_on
from suite.run.passes import Passes
from suite.worker.budget import Budget
from tests.run.test_passes import Crew, Launch, left_out
from tests.support import fabricate
from tests.support.commands import NUMPY_ALONE, SMALL, command, records_of

WAS = replace(
    fabricate.ENVIRONMENT,
    digests={"suite": "c" * 16, "ids trace.txt": "a" * 8, "backend mine": "b" * 16},
    system={"kernel": "6.1", "python": "3.13.1", "OMP_PROC_BIND": "true"},
    cpu={"model": "a processor", "governor": "performance"},
    environments={"base": {"numpy": "2.4.0"}, "head": {"numpy": "2.4.1"}},
)
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "commit": ({"commit": "2" * 40}, "commit 111111111111, now 222222222222"),
    "dirty": ({"dirty": True}, "dirty False, now True"),
    "method": ({"method": METHOD + 1}, f"method {METHOD}, now {METHOD + 1}"),
    "code not committed": ({"digests": {**WAS.digests, "suite": "d"}}, "suite cccccccccccccccc, now d"),
    "a backend's file": (
        {"digests": {**WAS.digests, "backend mine": "d"}},
        f"backend mine {'b' * 16}, now d",
    ),
    "a package": ({"packages": {"numpy": "2.5.0"}}, "numpy 2.4.0, now 2.5.0"),
    "a package less": ({"packages": {}}, "numpy 2.4.0, now None"),
    "a variable": ({"system": {**WAS.system, "OMP_PROC_BIND": "false"}}, "OMP_PROC_BIND true, now false"),
    "kernel": ({"system": {**WAS.system, "kernel": "6.2"}}, "kernel 6.1, now 6.2"),
    "governor": ({"cpu": {"governor": "powersave"}}, "governor performance, now powersave"),
    "driver": ({"gpu": {"driver_version": "580"}}, "driver_version None, now 580"),
    "a package of an environment": (
        {"environments": {"base": {"numpy": "2.4.0"}, "head": {"numpy": "2.5.0"}}},
        "head numpy 2.4.1, now 2.5.0",
    ),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "machine": ({"machine": "b" * 16}, "measured on another machine"),
    "devices": ({"devices": ("cuda:0",)}, "measured on another machine"),
    "ids": ({"digests": {"ids trace.txt": "e"}}, "begun with ids trace.txt of digest aaaaaaaa, now e; start"),
    "plan": ({"plan": "f" * 16}, "planned otherwise; repeat its options: suite.run --preset smoke"),
}


@pytest.fixture
def begun(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "r", WAS)


@pytest.mark.parametrize("which", OTHERS)
def test_in_another_environment_a_run_goes_on_apart_and_only_if_asked(which: str, begun: Run) -> None:
    changes, says = OTHERS[which]
    folder, now = str(begun.path), replace(WAS, **changes, created="2026-12-01T00:00:00+00:00")
    with pytest.raises(BadRequest) as refusal:
        going_on(folder, now, anyway=False)
    advice = "start a new run with --out, or keep the rest apart with --anyway"
    assert str(refusal.value) == f"{folder}: begun with {says}; {advice}"
    run, said = going_on(folder, now, anyway=True)
    assert said == f"{folder}@2: goes on apart, as it was begun with {says}"
    first, second = Run.parts(folder)
    assert (first.environment, second.environment, run.number) == (WAS, now, 2)
    for environment, part in ((now, second), (WAS, first)):
        assert going_on(folder, environment, anyway=False) == (part, None), "each goes on with its own"
        assert going_on(folder, environment, anyway=True) == (part, None)
    assert len(Run.parts(folder)) == 2


@pytest.mark.parametrize("which", REFUSED)
def test_another_run_is_never_gone_on_with(which: str, begun: Run) -> None:
    changes, says = REFUSED[which]
    for anyway in (False, True):
        with pytest.raises(BadRequest) as refusal:
            going_on(str(begun.path), replace(WAS, **changes), anyway)
        assert says in str(refusal.value)
    assert len(Run.parts(begun.path)) == 1


def test_the_same_environment_at_another_time_is_the_same(begun: Run) -> None:
    now = replace(
        WAS, created="2027-01-01", noise_floor=0.5, full_speed_s={"1": 1e-5}, settings={"passes": 9}
    )
    assert going_on(str(begun.path), now, anyway=True)[0].number == 1


def test_of_many_changes_some_are_named(begun: Run) -> None:
    now = replace(WAS, packages={f"p{k}": "1" for k in range(20)})
    with pytest.raises(BadRequest, match="p4 None, now 1, and 15 more; start a new run"):
        going_on(str(begun.path), now, anyway=False)


def test_anyway_is_about_a_run_that_was_begun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--anyway"]) == 2
    assert capsys.readouterr().err.startswith(
        "--anyway: is about a run that was begun; give it with --resume"
    )


# --- what is measured -----------------------------------------------------------------------------------

NOW = replace(fabricate.ENVIRONMENT, commit="2" * 40, created="2026-12-01T00:00:00+00:00")


def gone_over(run: Run, crew: Crew, *argv: str) -> list[Any]:
    launch = Launch(*argv)
    budget = Budget(None, len(launch.tasks), 8.0, passes=launch.request.passes)
    Passes(launch, run, crew, budget).measure()  # type: ignore[arg-type]
    return [word for word in crew.asked if word != "new"]


def test_what_has_a_result_is_not_measured_again_and_what_failed_is(tmp_path: Path) -> None:
    """It failed there; here it may not."""
    first = Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    gone_over(first, Crew(["numba_cpu"]), "--passes", "1", "--batch", "1,2,3")
    assert len(left_out(first)) == 1
    second = first.gone_on(NOW)
    asked = gone_over(second, Crew(), "--passes", "1", "--batch", "1,2,3,4")
    assert asked == [*((batch, "numba_cpu") for batch in (1, 2, 3)), (4, *fabricate.SPEED)]
    assert gone_over(second, Crew(), "--passes", "1", "--batch", "1,2,3,4") == []
    named = [line["environment"] for line in records_of(first.path)]
    assert set(named) == {None, "2"} and named == sorted(named, key=str, reverse=True)


def two_parts(path: Path, now: Environment = NOW) -> Run:
    """A run of three cases, the third of which was measured in another environment, and slower."""
    first = fabricate.run(path, fabricate.CASES[:2])
    second = first.gone_on(now)
    made = fabricate.measurement(fabricate.CASES[2], 7, method=now.method)
    second.append(made)
    return second


def test_each_part_of_a_run_reads_its_own_records(tmp_path: Path) -> None:
    two_parts(tmp_path / "r")
    first, second = Run.parts(tmp_path / "r")
    assert {r.case for r in first.records()[0]} == set(fabricate.CASES[:2])
    assert {(r.case, r.environment) for r in second.records()[0]} == {(fabricate.CASES[2], None)}
    assert Run.open(tmp_path / "r") == first
    third = second.gone_on(replace(NOW, dirty=True))
    assert (third.number, third.names) == (3, {"3": None})
    assert Run.parts(tmp_path / "r")[2] == third


def test_python_environments_that_take_turns_have_names_of_their_own_in_each_part(tmp_path: Path) -> None:
    both = fabricate.holding(["base", "head"])
    first = fabricate.passes(tmp_path / "r", [fabricate.CASE], 1, {"base": 1.0, "head": 1.0})
    second = first.gone_on(replace(both, commit="2" * 40))
    second.append(replace(r, environment="head") for r in fabricate.measurement(fabricate.CASES[1]))
    assert {line["environment"] for line in records_of(first.path)} == {"base", "head", "head+2"}
    results = outcomes.read([first.path])
    assert {(o.run, o.environment) for o in results.outcomes} == {
        ("r@1", "base"),
        ("r@1", "head"),
        ("r@2", "head"),
    }


def test_readers_show_the_parts_as_runs_that_are_never_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = two_parts(tmp_path / "r")
    results = outcomes.read([second.path])
    assert [e.commit[0] for e in results.environments.values()] == ["1", "2"]
    assert not results.notes
    assert set(suite.samples(second.path).run) == {"r@1", "r@2"}
    assert report([str(second.path), "--html", str(tmp_path / "page.html")]) == 0
    assert "r@1 · cpu" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text()
    assert "1" * 40 in page and "2" * 40 in page


def test_what_a_part_showed_of_the_machine_is_its_own(tmp_path: Path) -> None:
    second = two_parts(tmp_path / "r", replace(NOW, noise_floor=None))
    before = (second.path / "environment.json").read_bytes()
    results = ending.finished(second)
    assert list(results.environments) == ["r@1", "r@2"]
    assert (second.path / "environment.json").read_bytes() == before
    knows = Run.open(second.path).amended(full_speed_s={"1": 1e-6})
    second.append(fabricate.metered(fabricate.measurement(fabricate.CASES[0], 9)))
    assert ending.finished(second).environments["r@2"].full_speed_s == knows.environment.full_speed_s
    nothing = Run.create(tmp_path / "t", NOW)
    with pytest.raises(StoreError, match="holds no records"):
        ending.finished(nothing)
    empty = fabricate.run(tmp_path / "s").gone_on(NOW)
    assert {o.run for o in ending.finished(empty).outcomes} == {"s@1"}, "nothing was left to be measured"


SIDES = (
    ("r@1", "r@2", "no case that both completed"),
    ("r", "r@2", "r: went on in another environment; give "),
    ("r@3", "r@1", "r: went on in another environment; give "),
    ("r@base", "r@1", "r: went on in another environment; give "),
    ("s@1", "r@1", "s@1: no such environment in that run; give s alone"),
)


@pytest.mark.parametrize(("a", "b", "says"), SIDES)
def test_a_side_of_a_comparison_is_one_part(
    a: str,
    b: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    two_parts(Path("r"))
    fabricate.run(Path("s"))
    assert compare([a, b]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_parts_are_compared_with_runs_and_with_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    second = two_parts(Path("r"))
    second.append(fabricate.measurement(fabricate.CASES[0], 9))
    fabricate.run(Path("s"))
    assert compare(["r@1", "s"]) == 0
    assert "overall: s: no clear difference from r@1" in capsys.readouterr().out
    assert compare(["r@1:numba_cpu", "r@2:numba_cpu"]) == 0
    assert "A r@1:numba_cpu, B r@2:numba_cpu" in capsys.readouterr().out
    other = Run.create(Path("t"), replace(fabricate.ENVIRONMENT, method=METHOD + 1))
    other.append(fabricate.measurement(fabricate.CASES[0], method=METHOD + 1))
    assert compare(["r@2", "t"]) == 2
    assert f"method {METHOD} and {METHOD + 1}" in capsys.readouterr().err


# --- what a record says that is not so ------------------------------------------------------------------


def torn(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:200])


def a_pipe_of_another(file: Path) -> None:
    file.unlink()
    file.mkdir()


def of_another_schema(file: Path) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))


@pytest.mark.parametrize("spoil", [torn, a_pipe_of_another, of_another_schema])
def test_a_second_environment_that_is_broken_is_told_in_one_line(
    spoil: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = two_parts(tmp_path / "r")
    spoil(run.path / "environment-2.json")
    with pytest.raises(StoreError) as error:
        Run.open(run.path)
    assert str(error.value).startswith(f"{run.path / 'environment-2.json'}: ") and "\n" not in str(
        error.value
    )
    assert report([str(run.path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_line_that_is_none_is_told_once(tmp_path: Path) -> None:
    run = two_parts(tmp_path / "r")
    lost = json.dumps({**records_of(run.path)[0], "environment": "lost"})
    with (run.path / "records.jsonl").open("a") as file:
        file.write(f'{{"torn": \n{lost}\n')
    notes = outcomes.read([run.path]).notes
    assert [line.partition("jsonl:")[2][:2] for line in notes] == ["13", "14"]


def test_records_of_an_environment_that_is_gone_are_left_out(tmp_path: Path) -> None:
    run = two_parts(tmp_path / "r")
    (run.path / "environment-2.json").unlink()
    results = outcomes.read([run.path])
    assert {o.case for o in results.outcomes} == set(fabricate.CASES[:2])
    assert (
        "records.jsonl:9: names the environment 2, which the run has not; the line is left out"
        in results.notes[0]
    )


@pytest.mark.parametrize("reader", [lambda path: outcomes.read([path]).notes, suite.samples, suite.load])
def test_a_record_by_another_method_than_its_environments_is_left_out(tmp_path: Path, reader: Any) -> None:
    """As of a run that an earlier version went on with, whatever had changed."""
    run = fabricate.run(tmp_path / "r", fabricate.CASES[:1])
    run.append(fabricate.measurement(fabricate.CASES[1], method=METHOD - 1)[:2])
    second = run.gone_on(replace(NOW, method=METHOD + 1))
    second.append(fabricate.measurement(fabricate.CASES[2], method=METHOD)[:1])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = reader(run.path)
    said = [str(one.message) for one in warned] or found
    for number, words in (
        (5, f"{METHOD - 1}, its environment has {METHOD}"),
        (7, f"{METHOD}, its environment has {METHOD + 1}"),
    ):
        assert any(
            f"jsonl:{number}: measured by method {words}; the line is left out" in line for line in said
        )


def test_what_was_published_holds_what_it_says() -> None:
    for folder in sorted(Path(__file__).parents[2].glob("results/**/environment.json")):
        assert not Run.open(folder.parent).records()[1], folder


# --- whole runs -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_begun_by_another_commit_goes_on_beside_it(tmp_path: Path) -> None:
    shared = [
        *SMALL[:4],
        "--batch",
        "4,5",
        *SMALL[6:],
        "--passes",
        "1",
        "--time-budget",
        "2s",
        "--sustain",
        "0",
    ]

    def ran(*more: str) -> tuple[int, Sequence[str]]:
        done = command(*more, cwd=tmp_path, **NUMPY_ALONE)
        return done.returncode, done.stderr.splitlines()

    assert ran(*shared, "--out", "r")[0] == 0
    file, records = tmp_path / "r/environment.json", tmp_path / "r/records.jsonl"
    known = json.loads(file.read_text())
    old = {"commit": "a" * 40, "method": METHOD - 1, "packages": {**known["packages"], "torch": "2.6.0"}}
    file.write_text(json.dumps({**known, **old}))
    kept = [json.loads(line) for line in records.read_text().splitlines()]
    kept = [{**line, "method": METHOD - 1} for line in kept if line["case"]["batch"] == 4]
    records.write_text("".join(json.dumps(line) + "\n" for line in kept))
    code, (said,) = ran(*shared, "--resume", "r")
    assert code == 2 and f"r: begun with commit {'a' * 12}, now " in said and "torch 2.6.0, now " in said
    code, lines = ran("--resume", "r", "--anyway")
    assert code == 0 and any(line.startswith("r@2: goes on apart") for line in lines), lines
    found = [(r["case"]["batch"], r["method"], r["environment"]) for r in records_of(tmp_path / "r")]
    assert found == [(4, METHOD - 1, None)] * 2 + [(5, METHOD, "2")] * 2
    assert json.loads(file.read_text())["commit"] == "a" * 40
    assert ran("--resume", "r")[0] == 0 and len(records_of(tmp_path / "r")) == 4, "nothing was left"
    table = (tmp_path / "r/records.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in table[1:]] == ["r@1", "r@2"]
