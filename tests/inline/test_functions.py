"""suite.measure: functions of the caller's process, measured and checked as backends are."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import suite
from suite.command import BadRequest
from suite.inline import functions
from tests.support.nvml import ON_HOST

SMALL: dict[str, Any] = {"table": (1000, 64), "ids": 17, "view": "bits", "time_s": 0.3}


def returns(table: Any, ids: Any) -> Any:
    return table[ids]


def fills(table: Any, ids: Any, out: Any) -> None:
    np.take(table, ids, axis=0, out=out)


def wrong(table: Any, ids: Any) -> Any:
    return table[ids[::-1]]


def raises(table: Any, ids: Any) -> Any:
    raise ValueError("no such thing")


def nothing(table: Any, ids: Any) -> None:
    return None


class Remembers:
    """Looks up once and returns that ever after."""

    def __init__(self) -> None:
        self.rows: Any = None

    def __call__(self, table: Any, ids: Any) -> Any:
        self.rows = table[ids] if self.rows is None else self.rows
        return self.rows


def tampers(table: Any, ids: Any) -> Any:
    rows = table[ids]
    table[...] = 0
    return rows


@pytest.fixture(scope="module")
def several() -> Any:
    """Functions that are right, wrong, cheat and raise, beside the reference; and what was warned of."""
    named = {"memo": Remembers(), **{f.__name__: f for f in (returns, fills, wrong, raises, nothing)}}
    with pytest.warns(UserWarning) as warned:
        table = suite.measure(named, "numpy_take", **SMALL)
    return table.set_index("backend"), [str(one.message) for one in warned]


def test_what_is_right_is_timed_beside_the_reference(several: Any) -> None:
    table, _ = several
    right = table.loc[["returns", "fills", "numpy_take"]]
    assert (right.status == "ok").all() and (right.median_us > 0).all()
    assert right.allocates.tolist() == [True, False, False]
    assert right.fraction_of_ceiling.notna().all()  # the copy took turns with them
    assert right.measurement.nunique() == 1
    assert table.index[:3].tolist() == right.median_us.sort_values().index.tolist()


def test_what_is_wrong_cheats_or_raises_has_a_reason_and_no_number(several: Any) -> None:
    table, warned = several
    for name, status, words in (
        ("wrong", "wrong", "row 0 of the result is not table row"),
        ("memo", "wrong", "of the result is not table row"),
        ("nothing", "wrong", "returned NoneType"),
        ("raises", "error", "ValueError: no such thing"),
    ):
        row = table.loc[name]
        assert row.status == status and words in row.reason and np.isnan(row.median_us)
        assert any(line.startswith(f"{name}: {status}: ") and words in line for line in warned)


def test_what_is_not_kept_apart_is_said(several: Any) -> None:
    (note,) = several[0].attrs["notes"]
    assert note == functions.ISOLATION and "takes all with it" in note


def test_who_writes_to_the_table_is_found_and_the_others_go_on() -> None:
    with pytest.warns(UserWarning, match="tampers: wrong: rows of the table changed"):
        table = suite.measure([returns, tampers], "numpy_take", **SMALL).set_index("backend")
    assert table.status.to_dict() == {"returns": "ok", "numpy_take": "ok", "tampers": "wrong"}


def test_functions_get_tensors_of_the_dtype_of_the_table_that_is_shown() -> None:
    import torch

    seen = []

    def embedding(table: Any, ids: Any) -> Any:
        seen.append((table.dtype, ids.dtype))
        return torch.nn.functional.embedding(ids, table)

    like = torch.zeros(100, 8, dtype=torch.bfloat16)
    ids = torch.tensor([5, 5, 7], dtype=torch.int32)
    (row,) = suite.measure(embedding, table=like, ids=ids, time_s=0.2, cache="hot").to_dict("records")
    assert (row["status"], row["backend"]) == ("ok", "embedding")
    assert set(seen) == {(torch.bfloat16, torch.int32)}
    assert (row["vocab"], row["dim"], row["batch"]) == (100, 8, 3)
    assert row["distribution"].startswith("file:given@")
    assert row["distinct_fraction"] == pytest.approx(2 / 3)


def test_a_run_is_written_where_a_folder_is_given(tmp_path: Path) -> None:
    shown = suite.measure({"mine": returns}, **SMALL, out=str(tmp_path / "run"))
    read = suite.load(tmp_path / "run")
    pd.testing.assert_frame_equal(shown, read)
    from suite.records.store import Run

    assert Run.open(tmp_path / "run").environment.settings["isolation"] == functions.ISOLATION
    assert Run.open(tmp_path / "run").environment.whose == {"mine": "other"}


def _affinities() -> dict[str, set[int]]:
    return {one.name: os.sched_getaffinity(int(one.name)) for one in Path("/proc/self/task").iterdir()}


def test_the_process_is_left_as_it_was() -> None:
    handler, collects, threads = signal.getsignal(signal.SIGINT), gc.isenabled(), _affinities()
    suite.measure(returns, "torch_index_select", **{**SMALL, "time_s": 0.1})
    assert signal.getsignal(signal.SIGINT) is handler and gc.isenabled() is collects
    own = os.sched_getaffinity(0)
    assert {one: threads.get(one, own) for one in _affinities()} == _affinities()


def test_control_c_ends_it_though_a_function_is_in_the_way() -> None:
    def interrupted(table: Any, ids: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return table[ids]

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        suite.measure(interrupted, **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler


def test_in_another_thread_it_measures_too() -> None:
    found: list[pd.DataFrame] = []
    own = {**SMALL, "time_s": 0.1}
    thread = threading.Thread(target=lambda: found.append(suite.measure(returns, **own)))
    thread.start()
    thread.join()
    assert found[0].status[0] == "ok"


@pytest.mark.slow
def test_on_a_gpu_that_the_host_stands_in_for_times_are_kernel_times() -> None:
    asked = "lambda table, ids: table[ids], 'torch_embedding', table=(1000, 64), ids=17, device='cuda:0'"
    code = f"import suite; print(*suite.measure({asked}, time_s=0.5)[['status', 'device', 'clock']].values)"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": ON_HOST},
        capture_output=True,
        text=True,
    )
    assert child.stdout.strip() == "['ok' 'cuda:0' 'kernel'] ['ok' 'cuda:0' 'kernel']", child.stderr


LOSES = """
import suite, torch
def fault(*_):
    raise RuntimeError("CUDA error: an illegal memory access was encountered")
def loses(table, ids):
    torch.cuda.synchronize = fault
    return table[ids]
given = {"table": (1000, 64), "ids": 17, "device": "cuda:0", "time_s": 0.5}
try:
    suite.measure([lambda table, ids: table[ids], loses], **given)
except Exception as error:
    print(type(error).__name__, error)
"""
"""From the function's first call on all that is asked of the device fails."""


@pytest.mark.slow
def test_who_lost_the_gpu_is_said_and_what_to_do() -> None:
    environment = {**os.environ, "PYTHONPATH": ON_HOST}
    child = subprocess.run([sys.executable, "-c", LOSES], env=environment, capture_output=True, text=True)
    assert child.stdout == (
        "DeviceLost cuda:0: lost by loses, in the lookup: RuntimeError: CUDA error: an illegal memory access "
        "was encountered; begin a new process, or use python -m suite.run --backend FILE\n"
    ), child.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"table": (10,)}, r"table: of shape \(10,\); give"),
        ({"table": "gtp2"}, "model gtp2: unknown; there are"),
        ({"ids": [0.5]}, "ids: 1 of float64; give"),
        ({"ids": []}, "ids: 0 of float64; give"),
        ({"ids": [1000]}, "ids: "),
        ({"ids": 0}, "batch 0: out of range"),
        ({"dtype": "float64"}, "dtype float64: unknown"),
        ({"chache": "hot"}, "chache: no axis of a case"),
        ({"device": "gpu"}, "device 'gpu': unknown"),
        ({"placement": "file"}, "placement file: is for python -m suite.run; give one of memory, small"),
        ({"placement": "pinned"}, "placement pinned: is none of cpu; give"),
        ({"functions": {}}, "functions: none given"),
        ({"functions": {"a b": returns}}, "function 'a b': no name"),
        ({"functions": [returns, returns]}, "function 'returns': no name of its own"),
    ],
)
def test_what_can_not_be_measured_is_refused_before_anything_is(given: dict[str, Any], words: str) -> None:
    asked = {"functions": returns, **SMALL, **given}
    with pytest.raises(BadRequest, match=words):
        suite.measure(asked.pop("functions"), **asked)


def test_a_backend_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadRequest, match="did you mean numpy_take"):
        suite.measure(returns, "nunpy_take", **SMALL)


def test_a_function_of_the_arguments_of_a_library_is_not_taken_to_fill() -> None:
    assert not functions._fills(np.take) and functions._fills(fills)
    assert functions._fills(lambda table, ids, out: None)
    assert not functions._fills(lambda table, ids, sparse=False: None)
