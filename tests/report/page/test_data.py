"""The figures that the page carries."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from suite.analysis import outcomes
from suite.report.page import data
from tests.support import fabricate
from tests.support.pages import CASES, gpu_run


def test_the_figures_are_those_of_the_csv(folder: Path, tmp_path: Path) -> None:
    from suite.analysis import frame

    results = outcomes.read([folder / "gpu"])
    table, rows = frame.frame(results), data.figures(results)["rows"]
    kernel = table["clock"].eq("kernel").fillna(False)
    of_csv = {
        "kernel_us": table["median_us"].where(kernel),
        "call_us": table["call_us"],
        "share": table["fraction_of_ceiling"],
    }
    for name, values in of_csv.items():
        assert rows[name] == [None if math.isnan(v) else pytest.approx(v, rel=1e-3) for v in values]


def test_two_names_that_look_alike_stay_two(tmp_path: Path) -> None:
    fabricate.run(tmp_path / "r", CASES[:1], speed={"a": 1.0, "a\x00": 2.0})
    figures = data.figures(outcomes.read([tmp_path / "r"]))
    assert figures["words"]["backend"] == ["a", "a"]
    assert figures["rows"]["backend"] == [0, 1]


def test_what_only_the_host_timed_is_not_ranked(tmp_path: Path) -> None:
    fabricate.of_two_clocks(tmp_path / "r")
    figures = data.figures(outcomes.read([tmp_path / "r"]))
    best = dict(zip(figures["words"]["backend"], figures["rows"]["best"], strict=True))
    assert best == {"x": 1, "y": 0, "z": 0}
    figures = data.figures(outcomes.read([tmp_path / "r"], clock="call"))
    assert dict(zip(figures["words"]["backend"], figures["rows"]["best"], strict=True)) == {
        "x": 0,
        "y": 0,
        "z": 1,
    }


def test_what_the_noise_floor_hides_is_not_won(tmp_path: Path) -> None:
    fabricate.run(tmp_path / "r", CASES[:1], speed={"a": 1.0, "b": 1.01, "c": 1.2}, shape={"noise": 1e-4})
    assert data.figures(outcomes.read([tmp_path / "r"]))["rows"]["best"] == [1, 2, 0]


def test_a_hundred_thousand_records_stay_below_15_megabytes(tmp_path: Path) -> None:
    """Measured on fewer: the most that a record takes, with all three clocks and energy."""
    gpu_run(tmp_path / "r")
    results = outcomes.read([tmp_path / "r"])
    ok = [o for o in results.outcomes if o.device == "cuda:0" and o.completed]
    many = replace(results, outcomes=tuple(ok) * 100)
    assert len(data.embedded(many)) / len(many.outcomes) < 145


def test_how_far_an_interval_reaches_is_rounded_up() -> None:
    ends = (np.array([value]) for value in (1.0, 0.99999, 1.00001))
    assert data._spread("t", *ends) == {"t_below": [1], "t_above": [1]}
