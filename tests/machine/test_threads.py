"""The number of threads where none is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from suite.machine import threads
from suite.machine.variables import THREADS
from suite.records.figures import TELEMETRY
from tests.support.machines import machine


@pytest.mark.parametrize("name", THREADS)
def test_the_users_variables_say_how_many(tmp_path: Path, name: str) -> None:
    assert threads.number_of_threads({name: "3"}, tmp_path) == 3
    assert threads.number_of_threads(dict.fromkeys(THREADS, " 5 "), tmp_path) == 5


@pytest.mark.parametrize("value", ["4,2", "abc", "0", "-1", "1.5", "99999", "²"])
def test_a_value_that_is_no_number_is_refused_by_its_name(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match=r"^MKL_NUM_THREADS: .*; .*--threads$"):
        threads.number_of_threads({"MKL_NUM_THREADS": value}, tmp_path)


def test_values_that_contradict_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="OMP_NUM_THREADS=1, NUMBA_NUM_THREADS=2: not the same"):
        threads.number_of_threads({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, tmp_path)


@pytest.mark.parametrize(
    ("inner", "outer", "number"),
    [
        ("max", "max", 8),
        ("250000", "max", 2),
        ("max", "150000", 1),
        ("600000", "300000", 3),
        ("1000", "max", 1),
    ],
)
def test_without_them_the_tightest_quota_of_all_levels_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, outer: str, number: int
) -> None:
    monkeypatch.setattr(threads, "allowed_processors", lambda: frozenset(range(8)))
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/cpu.max": f"{outer} 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": f"{inner} 100000\n",
    }
    assert threads.number_of_threads({}, machine(tmp_path, files)) == number
    assert threads.number_of_threads({"OMP_NUM_THREADS": "8"}, tmp_path) == 8


def test_what_the_libraries_here_say_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 3)
        found = threads.seen()
    finally:
        torch.set_num_threads(before)
    assert found["threads_torch"] == before + 3
    assert found["threads_openmp"] == before + 3, "of the OpenMP that PyTorch is linked to"
    assert found.get("threads_blas", 1) >= 1 and set(found) <= set(TELEMETRY)


@pytest.mark.parametrize(("started", "number"), [(False, 7), (True, 3)])
def test_a_pool_of_numba_that_does_not_run_is_not_started_to_be_asked(
    monkeypatch: pytest.MonkeyPatch, started: bool, number: int
) -> None:
    pool = SimpleNamespace(_is_initialized=started, get_num_threads=lambda: 3)
    config = SimpleNamespace(config=SimpleNamespace(NUMBA_NUM_THREADS=7))
    monkeypatch.setattr(sys, "modules", {"numba.np.ufunc.parallel": pool, "numba": config})
    assert threads.seen() == {"threads_numba": number}


def test_what_is_not_loaded_or_not_whole_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"torch": None, "torch._C": SimpleNamespace(__file__="/nowhere.so"), "numba": None}
    monkeypatch.setattr(sys, "modules", broken)
    assert threads.seen() == {}


def test_what_was_asked_for_is_by_the_variables_it_was_started_with() -> None:
    assert threads.asked({"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}) == {"threads_asked": 2}
    assert threads.asked({"OMP_NUM_THREADS": "4,2"}) == threads.asked({}) == {}
