"""Runs on a machine that is made slow, and beside who would have it seem so: what they say still holds."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from suite.analysis import comparison, outcomes
from suite.analysis.outcome import Outcome
from suite.records.record import METHOD
from suite.records.store import Run
from tests.stand_ins import hogs
from tests.support import ROOT
from tests.support.commands import NUMPY_ALONE, command

pytestmark = pytest.mark.slow

SMALL = ("--vocab", "50257", "--dim", "64", "--batch", "4096", "--sustain", "0", "--threads", "1")
RUN = (*SMALL, "--cache", "hot", "--time-budget", "6s", "--backend", "numpy_take")
AGREES = 1.1
"""Times at full speed are no further apart, whatever goes on beside."""
GAINS = 0.95
"""An adversary's time over the honest one's; below, it gained."""


def outcomes_of(folder: Path, arguments: Sequence[str] = RUN) -> dict[str, Outcome]:
    """What a new run in that folder shows, by backend."""
    done = command(*arguments, "--out", str(folder), **NUMPY_ALONE)
    assert done.returncode == 0, done.stderr
    return read(folder)


def read(folder: Path) -> dict[str, Outcome]:
    return {outcome.backend: outcome for outcome in outcomes.read([folder]).outcomes}


def seconds(outcome: Outcome) -> float:
    assert outcome.completed, outcome.reason
    return comparison.median(outcome).value


def agree(a: Outcome, b: Outcome) -> bool:
    """Whether their times do, or it says of one that it was not measured at full speed."""
    if not (a.decides and b.decides):
        return bool(a.slow_note or b.slow_note)
    return 1 / AGREES < seconds(a) / seconds(b) < AGREES


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs: each knows what those before it saw at full speed."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(runs: Path) -> Outcome:
    """A lookup measured with nothing of ours beside it."""
    return outcomes_of(runs / "alone")["numpy_take"]


@contextlib.contextmanager
def off_and_on(kind: str, processors: Sequence[int]) -> Iterator[list[hogs.Hog]]:
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(hogs.hog(kind, processor)) for processor in processors]
        for seed, hog in enumerate(made):
            stack.enter_context(hogs.on_and_off(hog, seed, 0.3, 1.5))
        yield made


@pytest.mark.parametrize("kind", ["spin", "stream"])
@pytest.mark.parametrize("where", ["sibling", pytest.param("everywhere", marks=pytest.mark.long)])
def test_a_hog_off_and_on_changes_no_time_at_full_speed(
    kind: str, where: str, runs: Path, alone: Outcome
) -> None:
    everywhere = sorted(os.sched_getaffinity(0))
    with off_and_on(kind, [hogs.sibling()] if where == "sibling" else everywhere) as made:
        found = outcomes_of(runs / f"{kind}-{where}")["numpy_take"]
    assert all(hog.seconds_on() > 0.2 for hog in made), "it was there"
    assert agree(found, alone)


def test_on_one_processor_with_a_hog_on_it_all_is_measured(tmp_path: Path) -> None:
    """With all libraries, whose threads then share the processor."""
    here = hogs.sibling()
    backends = ("numpy_take", "torch_index_select", "numba_cpu")
    words = ("--vocab", "1000", "--dim", "64", "--batch", "17,8192", "--passes", "1", "--time-budget", "4s")
    with hogs.confined([here]), off_and_on("spin", [here]):
        done = command(*words, "--backend", *backends, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    found = outcomes.read([tmp_path / "run"]).outcomes
    assert {o.backend for o in found} == set(backends)
    assert [o.reason for o in found if not o.completed] == []


def test_with_a_third_of_a_processors_time_it_agrees_or_says_that_it_was_slow(
    runs: Path, alone: Outcome
) -> None:
    folder = runs / "throttled"
    argv = [sys.executable, "-m", "suite.run", *RUN, "--out", str(folder)]
    environment = {**os.environ, **NUMPY_ALONE}
    try:
        with hogs.throttled(0.3) as members:
            join = f'echo $$ > {members}; exec "$@"'
            done = subprocess.run(["sh", "-c", join, "sh", *argv], cwd=ROOT, env=environment, timeout=120)
    except hogs.NotHere as why:
        pytest.skip(str(why))
    assert done.returncode == 0
    assert agree(read(folder)["numpy_take"], alone)


def test_a_machine_that_is_slow_all_through_decides_nothing(tmp_path: Path) -> None:
    """As an earlier run knows that it can be faster: nothing in the run itself shows it."""
    outcomes_of(tmp_path / "fast")
    fast = Run.open(tmp_path / "fast")
    (reading,) = fast.environment.full_speed_s.values()
    assert isinstance(reading, float) and fast.environment.method == METHOD
    fast.amended(full_speed_s={"1": reading / 1.4})
    slow = outcomes_of(tmp_path / "slow")["numpy_take"]
    assert slow.completed and not slow.decides and slow.full_speed_share == 0
    assert slow.slow_note == f"not at full speed: 0 of {len(slow.rounds)} rounds"
    argv = [sys.executable, "-m", "suite.compare", str(tmp_path / "fast"), str(tmp_path / "slow")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert "0 SLOWER, 0 FASTER, 1 UNCLEAR, 0 SAME" in done.stdout, done.stderr
    assert "not at full speed" in done.stdout or "not measured at full speed" in done.stdout


@pytest.mark.parametrize("name", ["spins_when_slow", "leaves_a_spinner", "evicts_caches"])
def test_who_slows_the_meter_gains_nothing_by_it(name: str, runs: Path, alone: Outcome) -> None:
    """Against the honest one alone: beside it, whatever it leaves behind may slow that one too."""
    file = str(ROOT / "tests/adversaries" / f"{name}.py")
    found = outcomes_of(runs / name, (*RUN, file))[name]
    if found.decides and alone.decides:
        assert seconds(found) > GAINS * seconds(alone)
    else:
        assert found.slow_note or alone.slow_note
