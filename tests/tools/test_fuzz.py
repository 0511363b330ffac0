"""Spoiled runs and files of ids: readers show what is left, or refuse in one line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools import fuzz


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> fuzz.Inputs:
    return fuzz.Inputs(tmp_path_factory.mktemp("fuzz"))


SOME = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@SOME
@given(draw=st.randoms(use_true_random=False))
def test_a_spoiled_run_is_shown_or_refused(inputs: fuzz.Inputs, draw: random.Random) -> None:
    inputs.try_run(draw)


@pytest.mark.slow
@SOME
@given(draw=st.randoms(use_true_random=False))
def test_a_spoiled_run_is_a_table_or_refused(inputs: fuzz.Inputs, draw: random.Random) -> None:
    inputs.try_table(draw)


@pytest.mark.slow
@SOME
@given(draw=st.randoms(use_true_random=False))
def test_a_spoiled_run_is_gone_on_with_or_refused(inputs: fuzz.Inputs, draw: random.Random) -> None:
    inputs.try_resume(draw)


@SOME
@given(draw=st.randoms(use_true_random=False))
def test_a_spoiled_file_of_ids_is_read_or_refused(inputs: fuzz.Inputs, draw: random.Random) -> None:
    inputs.try_ids(draw)


def _fails(argv: object) -> int:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("command", "kind"),
    [(_fails, KeyError), (lambda argv: print("x") or 70, fuzz.Fault)],
    ids=["raises", "code"],
)
def test_a_fault_is_seen(command: Callable[[object], int], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        fuzz.outcome_of(command, [])


def test_the_tool_prints_how_many_inputs_there_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one(self: fuzz.Inputs, draw: random.Random) -> None:
        if draw.random() == random.Random(7).random():
            raise fuzz.Fault("planted")

    monkeypatch.setattr(fuzz.Inputs, "try_one", one)
    assert fuzz.main(["--minutes", "0", "--seed", "7"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("seed 7:\n") and "planted" in said and said.endswith("1 inputs, 1 faults\n")


def test_inputs_of_a_seed_are_the_same_again(tmp_path: Path) -> None:
    _, lines = fuzz.valid(tmp_path / "run")
    assert fuzz.spoil(lines[0], random.Random(3)) == fuzz.spoil(lines[0], random.Random(3)) != lines[0]
