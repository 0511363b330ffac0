"""Twice the runs are twice the work, not four times."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from suite.analysis import columns, outcomes
from suite.report import export, sentences, tables
from suite.report.page import html
from suite.report.page.data import figures
from tests.support import fabricate


def _lines_run(function: Any, *arguments: Any) -> Any:
    """How many lines of Python a call runs: the same every time, whatever the machine does beside."""
    count = 0

    def trace(frame: Any, event: Any, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = function(*arguments)
    finally:
        sys.settrace(before)
    return result, count


@pytest.fixture(scope="module")
def many_runs_and_twice_as_many(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Paths of as many runs of one case, each of them small."""
    root, shape = tmp_path_factory.mktemp("many"), {"count": 6, "each": 1}
    speed = {"a": 1.0, "b": 2.0}
    runs = [
        fabricate.run(root / str(k), [fabricate.CASE], speed=speed, seed=k, shape=shape) for k in range(60)
    ]
    return [run.path for run in runs[:30]], [run.path for run in runs]


@pytest.fixture(scope="module")
def read_once(many_runs_and_twice_as_many: Any) -> Any:
    """What both are when they are read."""
    return [outcomes.read(paths) for paths in many_runs_and_twice_as_many]


LINEAR = {
    "frame": columns.columns,
    "sentences": lambda results: sentences.sentences(results, None),
    "table": tables.table,
    "figures": figures,
    "page": html.html,
    "bmf": lambda results: export.texts(results, "bmf"),
    "asv": lambda results: export.texts(results, "asv"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_twice_the_runs_are_twice_the_work(read_once: Any, name: Any) -> None:
    once, twice = (_lines_run(LINEAR[name], results)[1] for results in read_once)
    assert twice < 2.2 * once


def test_twice_the_runs_are_twice_the_reading(many_runs_and_twice_as_many: Any) -> None:
    once, twice = (_lines_run(outcomes.read, paths)[1] for paths in many_runs_and_twice_as_many)
    assert twice < 2.2 * once
