"""Where and with what a row was measured is in the row; what rows mix that are read together is said."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import suite
from suite.analysis import columns, fields, outcomes
from suite.records.record import METHOD
from suite.report.__main__ import main as report
from suite.report.sentences import origins
from tests.support import ROOT, fabricate

WHERE = replace(
    fabricate.ENVIRONMENT,
    settings={"threads": 2},
    packages={"numpy": "2.4.0", "numba": "0.62.1", "fbgemm-gpu-cpu": "1.4.0", "fbgemm-gpu": None},
    requires={
        "numba_cpu": "numba",
        "numpy_take": "numpy fbgemm_gpu|fbgemm_gpu_cpu",
        "torch_index_select": "",
    },
)
OF_NUMBA = {
    "created": "2026-11-23T12:00:00+00:00",
    "machine": "a" * 16,
    "device_name": "a processor",
    "threads": 2,
    "commit": "1" * 40,
    "dirty": False,
    "method": METHOD,
    "packages": "numba 0.62.1",
}


def loaded(*runs: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table of runs, and what was warned of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        table = suite.load(runs)
    return table, [str(one.message) for one in warned]


def named(table: pd.DataFrame, backend: str) -> Any:
    return table[table.backend == backend].iloc[0]


def test_a_row_says_where_and_with_what_it_was_measured(tmp_path: Path) -> None:
    table, said = loaded(fabricate.run(tmp_path / "r", [fabricate.CASE], WHERE).path)
    assert said == [], "one run mixes nothing"
    assert set(OF_NUMBA) == set(fields.ORIGIN) <= set(table.columns)
    assert named(table, "numba_cpu")[list(OF_NUMBA)].to_dict() == OF_NUMBA
    assert named(table, "numpy_take").packages == "numpy 2.4.0, fbgemm-gpu-cpu 1.4.0"
    assert pd.isna(named(table, "torch_index_select").packages)


def test_the_csv_has_the_same_columns(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], WHERE)
    assert report([str(run.path), "--csv", str(tmp_path / "a.csv")]) == 0
    row = named(pd.read_csv(tmp_path / "a.csv", dtype={"commit": str}), "numba_cpu")
    assert row[list(OF_NUMBA)].to_dict() == OF_NUMBA


def test_a_gpus_row_has_the_gpus_name_and_an_environments_row_its_packages(tmp_path: Path) -> None:
    where = replace(WHERE, gpu={"name": "a GPU"}, devices=("cuda:0",))
    gpu = fabricate.run(tmp_path / "g", [fabricate.CASE], where, device="cuda:0", clock="kernel")
    assert set(suite.load(gpu.path).device_name) == {"a GPU"}
    both = replace(WHERE, environments={"base": {"numba": "0.61.0"}, "head": {"numba": "0.62.1"}})
    turns = fabricate.passes(
        tmp_path / "t", [fabricate.CASE], 2, dict.fromkeys(("base", "head"), 1.0), environment=both
    )
    table, said = loaded(turns.path)
    own = table[table.backend == "numba_cpu"].set_index("environment").packages.to_dict()
    assert own == {"base": "numba 0.61.0", "head": "numba 0.62.1"} and said == []


def test_a_run_that_says_less_has_less(tmp_path: Path) -> None:
    """As those of earlier versions; and a file may hold anything."""
    odd = replace(WHERE, cpu={}, settings={"threads": True}, dirty=None, requires={"numba_cpu": None})
    row = named(loaded(fabricate.run(tmp_path / "r", [fabricate.CASE], odd).path)[0], "numba_cpu")
    assert row[["device_name", "threads", "dirty", "packages"]].isna().all()
    large = replace(WHERE, settings={"threads": 2**70})
    assert pd.isna(
        named(loaded(fabricate.run(tmp_path / "s", [fabricate.CASE], large).path)[0], "numba_cpu").threads
    )


MIXED = [
    ({"machine": "b" * 16}, "these rows mix 2 machines: group by machine"),
    ({"commit": "2" * 40}, "these rows mix 2 commits: group by commit"),
    ({"dirty": True}, "these rows mix 2 commits: group by commit"),
    ({"method": METHOD - 1}, "these rows mix 2 methods: group by method"),
    ({"settings": {"threads": 4}}, "these rows mix 2 numbers of threads: group by threads"),
    (
        {"packages": {**WHERE.packages, "numba": "0.63.0"}},
        "these rows mix 2 sets of packages of a backend: group by packages",
    ),
    (
        {"machine": "b", "commit": "c", "method": METHOD - 1},
        "these rows mix 2 machines, 2 commits, 2 methods: group by machine, commit, method",
    ),
    ({"created": "2027-01-01", "cpu": {"model": "another"}}, None),
]


@pytest.mark.parametrize(("changes", "line"), MIXED)
def test_what_rows_mix_that_are_read_together_is_one_line(
    changes: dict[str, Any], line: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = fabricate.run(tmp_path / "a", [fabricate.CASE], WHERE)
    b = fabricate.run(tmp_path / "b", [fabricate.CASE], replace(WHERE, **changes))
    table, said = loaded(a.path, b.path)
    assert said == [line] * (line is not None) == table.attrs["notes"]
    assert (
        report(
            [
                str(a.path),
                str(b.path),
                "--markdown",
                str(tmp_path / "a.md"),
                "--html",
                str(tmp_path / "a.html"),
            ]
        )
        == 0
    )
    shown = (capsys.readouterr().out, (tmp_path / "a.md").read_text(), (tmp_path / "a.html").read_text())
    assert [line is not None and line in text for text in shown] == [line is not None] * 3


def test_a_run_that_went_on_in_another_environment_mixes_them(tmp_path: Path) -> None:
    first = fabricate.run(tmp_path / "r", [fabricate.CASE], WHERE)
    second = first.gone_on(replace(WHERE, commit="2" * 40))
    second.append(fabricate.measurement(fabricate.CASES[1]))
    table, said = loaded(first.path)
    assert said == ["these rows mix 2 commits: group by commit"]
    assert table.groupby("run").commit.first().to_dict() == {"r@1": "1" * 40, "r@2": "2" * 40}


def test_the_report_says_where_each_run_was_measured(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], replace(WHERE, dirty=True))
    line = f"measured on a processor with 2 threads, machine {'a' * 16}, 2026-11-23, commit 11111111 and "
    line += f"changes not committed, method {METHOD}; numba 0.62.1, numpy 2.4.0, fbgemm-gpu-cpu 1.4.0"
    assert origins(outcomes.read([run.path])) == [line]
    other = fabricate.run(tmp_path / "s", [fabricate.CASE])
    two = origins(outcomes.read([run.path, other.path]))
    assert [text.partition(":")[0] for text in two] == ["r on cpu", "s on cpu"]


@pytest.fixture(scope="module")
def published() -> Iterator[pd.DataFrame]:
    with pytest.warns(UserWarning, match=r"these rows mix .*\d commits, .*: group by .*commit, method"):
        yield suite.load(ROOT / "results")


def test_runs_of_several_methods_are_told_apart_in_one_table(published: pd.DataFrame) -> None:
    assert published.groupby("run").method.nunique().eq(1).all()
    assert published.method.nunique() > 1
    assert published[["machine", "commit", "created", "threads", "dirty"]].notna().all(axis=None)


def test_twice_the_rows_of_a_run_ask_its_environment_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = columns.origin
    monkeypatch.setattr(columns, "origin", lambda *of: asked.append(of) or real(*of))
    suite.load(fabricate.run(tmp_path / "r", environment=WHERE).path)
    assert len(asked) == 2 * len(fabricate.SPEED), "once for the columns, once for what they mix"
