"""End of a run: what it showed of its machine stands in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.command import BadRequest
from suite.records.store import Run
from suite.run import ending
from suite.run.__main__ import _report
from suite.run.options import parse
from tests.support import fabricate
from tests.support.commands import SMALL

OWN = replace(fabricate.ENVIRONMENT, packages={"numba": "0.62"}, noise_floor=None)
PASSES = 4


def beside(folder: Path, name: str, **changes: Any) -> None:
    """Another run in the same folder."""
    Run.create(folder / name, replace(OWN, **changes))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "own", OWN)
    for number in range(1, PASSES + 1):
        for case in CASES:
            records = fabricate.measurement(case, number)
            made.append([replace(r, pass_number=number, measurement=f"m{number} {case}") for r in records])
    return made


CASES = [Case(1000 + k, 64) for k in range(12)]


def read(speeds: Mapping[int, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the meter of a run have read so at full speed."""
    real = outcomes.read_part

    def with_speeds(run: Run) -> Results:
        found = real(run)
        return replace(found, full_speed_s=dict.fromkeys(found.environments, speeds))

    monkeypatch.setattr(ending.outcomes, "read_part", with_speeds)


def test_full_speed_is_the_best_of_this_run_and_of_the_same_machine_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read({1: 2e-5, 2: 3e-5}, monkeypatch)
    beside(tmp_path, "a", full_speed_s={"1": 1e-5, "2": 4e-5})
    beside(tmp_path, "b", full_speed_s={"8": 1e-6})
    beside(tmp_path, "other machine", machine="b" * 16, full_speed_s={"1": 1e-6})
    beside(tmp_path, "other method", method=3, full_speed_s={"1": 1e-6})
    beside(tmp_path, "other numba", packages={"numba": "0.61"}, full_speed_s={"1": 1e-6})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "environment.json").write_text("{")
    results = ending.finished(run)
    (environment,) = results.environments.values()
    assert environment == Run.open(run.path).environment
    assert environment.full_speed_s == {"1": 1e-5, "2": 3e-5}


def test_the_noise_floor_is_that_of_its_own_passes(run: Run) -> None:
    (environment,) = ending.finished(run).environments.values()
    assert environment.full_speed_s == {}, "no meter, so no full speed"
    assert environment.noise_floor is not None and 0 < environment.noise_floor < 0.05
    assert Run.open(run.path).environment == environment


@pytest.mark.parametrize(
    ("named", "environments", "line"),
    [
        (["numba_cpu", "broken"], [None], "broken: has no result; the reasons are above"),
        (["broken", "gone"], [None], "broken, gone: have no result; the reasons are above"),
        (["numba_cpu"], [None], None),
        ([], [None], None),  # what was not asked for by name may fail, or not be installed
        (["numba_cpu"], ["a", "b"], "numba_cpu @b: has no result; the reasons are above"),
    ],
)
def test_a_backend_asked_for_by_name_must_have_a_result(
    tmp_path: Path, named: list[str], environments: list[str | None], line: str | None
) -> None:
    reason = {"status": "crashed", "reason": "SIGSEGV"}
    failed = [fabricate.failure("broken", case, "m", **reason) for case in CASES[:2]]
    found = outcomes.read([fabricate.run(tmp_path / "r", CASES[:2], extra=failed).path])
    if environments != [None]:
        found = replace(found, outcomes=tuple(replace(o, environment="a") for o in found.outcomes))
    assert ending.shortfall(found, named, environments) == line


def test_a_run_of_which_nothing_completed_is_no_success(tmp_path: Path) -> None:
    made = Run.create(tmp_path / "r", OWN)
    made.append([fabricate.failure("broken", CASES[0], "m", status="unavailable", reason="needs x")])
    line = ending.shortfall(outcomes.read([made.path]), [], [None])
    assert line == "run: no case completed; the reasons are above"


def test_a_run_ends_with_the_verdict_the_page_and_the_doctor(tmp_path: Path) -> None:
    path = fabricate.run(tmp_path / "a run").path
    (path / "errors").mkdir()
    lines = [line for line, _ in ending.closing(outcomes.read([path]), path)]
    assert lines[0].startswith("verdict: fastest of all: numba_cpu in 3 of 3 cases")
    assert lines[1] == f"page:    python -m suite.report '{path}' --html '{path}/page.html'"
    assert lines[2].startswith("doctor:  python -m suite.doctor") and len(lines) == 3
    (path / "errors" / "mine.txt").write_text("")
    assert ending.closing(outcomes.read([path]), path)[3] == (f"errors:  {path}/errors/mine.txt", True)


@pytest.mark.usefixtures("pooled")
def test_a_run_of_several_operations_ends_with_a_verdict_on_each(tmp_path: Path) -> None:
    path = fabricate.of_two_operations(tmp_path / "r").path
    lookups, pooling, page, *_ = [line for line, _ in ending.closing(outcomes.read([path]), path)]
    assert lookups.startswith("verdict: lookup: fastest of all: numba_cpu in 2 of 2 cases")
    assert pooling == "verdict: pooled: fastest of all: pool_plain in 4 of 4 cases" and page.startswith(
        "page:"
    )


def test_a_table_that_can_not_be_written_into_the_run_is_shown_and_can_be_had_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fabricate.run(tmp_path / "r")
    (made.path / "records.csv").mkdir()
    with pytest.raises(
        BadRequest, match=r"records.csv: can't be written .*; python -m suite.report .*/r --csv F"
    ):
        _report(made, parse([*SMALL]))
    assert "numba_cpu" in capsys.readouterr().out
