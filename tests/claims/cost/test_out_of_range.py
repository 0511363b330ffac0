"""What a backend does with an id that is not in the table: every answer and death is told apart."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from suite.claims.cost import out_of_range
from suite.claims.cost.out_of_range import OUT_BYTE, VOCAB, behaviour, classify
from suite.claims.target import Target
from suite.claims.task import Answer, ask
from suite.records.device import CPU

TEMPLATE = '''"""A backend of a test."""

import os
import signal
import time

import numpy as np

from backends.base import Backend


class Toy(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        vocab = len(table)

        def lookup():
            bad = (indices < 0) | (indices >= vocab)
            np.take(table, indices, axis=0, out=out, mode="clip")
            if bad.any():
                {body}
            return out

        return lookup
'''
BODIES = {
    "raise IndexError('no such row')": "raises: IndexError: no such row",
    "raise OSError('at /home/who/x.py:3, ' + 90 * 'y')": "raises: OSError: at … " + 55 * "y" + "…",
    "raise SystemExit(0)": "ends the process: with code 0",
    "os.kill(os.getpid(), signal.SIGSEGV)": "kills the process: ended by signal 11 (SIGSEGV)",
    "os._exit(3)": "ends the process: exited with code 3",
    "time.sleep(600)": "hangs: not done after 4 s",
    "pass": "clips: row 1,023",
    "out[bad] = table[indices[bad] % vocab]": "wraps: row 5",
    "out[bad] = np.float32('nan').view(np.int32)": "NaN: a row of it",
    "out[bad] = 0": "zeros: a row of them",
    "out[bad] = 0x33333333": "writes nothing: the output is as it was",
    "out[bad] = 12345": "garbage: bits from somewhere else",
    "out[bad] = table[77]": "another row: row 77",
    "out[bad] = np.lib.stride_tricks.as_strided(table, (vocab + 9, 64))[indices[bad]]": (
        "reads outside: memory beside the table"
    ),
    "out[:] = 0": "zeros: a row of them; other rows of the batch are wrong too",
}


@pytest.mark.parametrize(("body", "expected"), BODIES.items())
def test_a_probe_names_what_a_backend_did(tmp_path: Path, body: str, expected: str) -> None:
    toy = tmp_path / "toy.py"
    toy.write_text(TEMPLATE.format(body=body))
    limit_s = 4.0 if "hangs" in expected else 60.0
    spec = {"backend": str(toy), "id": VOCAB + 5, "device": "cpu"}
    assert behaviour(ask("probe", spec, limit_s, 1)).startswith(expected)


def test_what_never_got_ready_is_not_judged(tmp_path: Path) -> None:
    toy = tmp_path / "toy.py"
    toy.write_text(TEMPLATE.replace("vocab = len(table)", "os._exit(5)").format(body="pass"))
    spec = {"backend": str(toy), "id": -1, "device": "cpu"}
    assert behaviour(ask("probe", spec, 60.0, 1)) == "not measured: exited with code 5"
    toy.write_text(TEMPLATE.replace("vocab = len(table)", "raise ImportError('x')").format(body="pass"))
    assert behaviour(ask("probe", spec, 60.0, 1)).startswith("not measured: ImportError: x")


def test_a_missing_library_is_not_judged(tmp_path: Path) -> None:
    toy = tmp_path / "toy.py"
    toy.write_text(
        TEMPLATE.format(body="pass").replace('("cpu",)', '("cpu",)\n    packages = ("no-such-thing",)')
    )
    spec = {"backend": str(toy), "id": -1, "device": "cpu"}
    assert behaviour(ask("probe", spec, 60.0, 1)) == "not measured: needs no-such-thing, not installed"


@pytest.mark.parametrize(
    ("number", "row", "expected"), [(-1, 0, "clips"), (-1, 9, "wraps"), (10, 9, "clips"), (15, 5, "wraps")]
)
def test_wrapped_and_clipped_rows_are_told_apart(number: int, row: int, expected: str) -> None:
    table = np.arange(1, 41, dtype=np.int32).reshape(10, 4)
    assert classify(table[row], table, table + 100, number).startswith(expected)


def test_the_output_s_filling_is_no_row() -> None:
    table = np.arange(1, 41, dtype=np.int32).reshape(10, 4)
    filled = np.full(16, OUT_BYTE, np.uint8).view(np.int32)
    assert classify(filled, table, table + 100, 10).startswith("writes nothing")


def test_what_is_cancelled_ends_at_once(tmp_path: Path) -> None:
    toy = tmp_path / "toy.py"
    toy.write_text(TEMPLATE.format(body="time.sleep(600)"))
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    began = time.monotonic()
    assert ask("probe", {"backend": str(toy), "id": -1, "device": "cpu"}, 300.0, 1, cancelled).timed_out
    assert time.monotonic() - began < 60


def test_answers_stop_starting_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target.fitting(CPU, "qwen3-0.6b", 10**9, 1, 1, 0)
    monkeypatch.setattr(out_of_range, "ask", lambda *_: pytest.fail("asked"))
    answers = out_of_range._answers(target, [("numpy_take", "-1")], 0.0, 2)
    assert answers == [Answer((), "no time was left")]
