"""Thread binding: who runs where while a clock does, and that it is as before once the clock stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from suite.engine import binding
from suite.engine.binding import Binding
from suite.engine.clocks.host import HostClock
from suite.machine.cpu import processors_by_core

ROOT = Path(__file__).resolve().parents[2]

ALL = frozenset(os.sched_getaffinity(0))
several = pytest.mark.skipif(len(ALL) < 2, reason="has one processor only")


def where() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


@pytest.fixture
def bound() -> Binding:
    return Binding(tuple(sorted(ALL)))


def test_in_a_turn_the_caller_has_one_processor_and_then_all_again(bound: Binding) -> None:
    seen = []
    HostClock(binding=bound).turn([lambda: seen.append(where())], [lambda: seen.append(where())] * 3, 1)
    assert seen == [{min(ALL)}] * 4 and where() == ALL


def test_after_a_call_that_raises_it_has_all_again(bound: Binding) -> None:
    with pytest.raises(ZeroDivisionError):
        HostClock(binding=bound).turn([], [lambda: 1 // 0], 1)
    assert where() == ALL


@several
def test_after_one_that_binds_itself_it_has_all_again(bound: Binding) -> None:
    HostClock(binding=bound).turn([], [lambda: os.sched_setaffinity(0, {max(ALL)})], 1)
    assert where() == ALL


def test_a_clock_without_binding_runs_anywhere(bound: Binding) -> None:
    seen = []
    HostClock().turn([], [lambda: seen.append(where())], 1)
    assert seen == [ALL]


@several
def test_a_thread_started_between_turns_may_run_anywhere(bound: Binding) -> None:
    clock, seen = HostClock(binding=bound), []
    clock.turn([], [lambda: None], 1)
    thread = threading.Thread(target=lambda: seen.append(where()))
    thread.start()
    thread.join()
    assert seen == [ALL]


def test_a_processor_that_is_gone_leaves_threads_where_they_are() -> None:
    seen = []
    HostClock(binding=Binding((2**14,))).turn([], [lambda: seen.append(where())], 1)
    assert seen == [ALL]


@pytest.mark.parametrize("name", binding.OF_THE_USER)
def test_what_the_user_says_of_threads_holds(name: str) -> None:
    assert binding.wanted({}) and binding.wanted({name: ""})
    assert not binding.wanted({name: "false"})


POOL = """
import ctypes, json, os, sys, torch
from suite.engine import binding
torch.set_num_threads(2)
binding.of_this_process().pool()
torch.zeros(1 << 20).add_(1)  # the pool as torch itself uses it
binding.of_this_process().pool()
library, seen = ctypes.CDLL(torch._C.__file__), {}

@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def look(_):
    seen[library.omp_get_thread_num()] = sorted(os.sched_getaffinity(0))

library.GOMP_parallel(look, None, 0, 0)
print(json.dumps([seen.get(0), seen.get(1)]))
"""


@several
@pytest.mark.parametrize("of_the_user", [False, True])
def test_the_pools_threads_are_bound_and_not_the_caller(of_the_user: bool) -> None:
    pytest.importorskip("torch")
    environment = {k: v for k, v in os.environ.items() if k not in binding.OF_THE_USER}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"OMP_PROC_BIND": "false"} if of_the_user else {})
    done = subprocess.run(
        [sys.executable, "-c", POOL], env=environment, capture_output=True, text=True, check=True
    )
    caller, other = json.loads(done.stdout)
    assert caller == sorted(ALL)
    assert other == (sorted(ALL) if of_the_user else [processors_by_core()[1]])


def test_processors_of_different_cores_come_first(tmp_path: Path) -> None:
    for number in range(4):
        core = tmp_path / f"sys/devices/system/cpu/cpu{number}/topology"
        core.mkdir(parents=True)
        (core / "thread_siblings_list").write_text(f"{number // 2 * 2}-{number // 2 * 2 + 1}\n")
    assert processors_by_core(tmp_path, frozenset(range(4))) == (0, 2, 1, 3)
    assert processors_by_core(tmp_path, frozenset((1, 2, 3))) == (1, 2, 3)
    assert processors_by_core(tmp_path / "nothing", frozenset((3, 1))) == (1, 3)
