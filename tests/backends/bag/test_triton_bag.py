"""The Triton bags in Triton's interpreter, which is chosen at import and so needs processes of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import backends.bag.triton_bag as backend
from suite.cases.case import Case
from suite.cases.dtypes import width_of
from tests.support.bags import CASES, operands_of

pytest.importorskip("torch")

MUTANTS = {
    "a column too many": ("inside = column < columns", "inside = column <= columns"),
    "the next bag's first row": ("mask=place < end, other=0).to(tl.int64)\n        here = (place < end)",
                                 "mask=place <= end, other=0).to(tl.int64)\n        here = (place <= end)"),
    "one row of a tile": ("first + tl.arange(0, high)\n", "first + tl.arange(0, high) * 0\n"),
    "weights ignored": ("* factor[:, None]", ""),
    "the mean of one more": ("tl.maximum(end - start, 1)", "(end - start + 1)"),
    "tiles overlap across": ("tl.program_id(1) * wide", "tl.program_id(1)"),
    "stored in another's place": ("out + bag * columns", "out + start * columns * 0"),
}  # fmt: skip


def passes(case: Case, shift: int = 0) -> bool:
    """Whether two calls are right, the second on other operands, and write nothing beside the output."""
    given, memory, right_of = operands_of(case, shift)
    words = {"mode": str(case.kind.settings(case)["mode"]), "weights": given.get("weights")}
    launch, arguments = backend.configure(
        *(given[n] for n in ("table", "indices", "offsets", "out")), **words
    )
    for again in (False, True):
        right = right_of(again)
        launch(*arguments)
        if not right(given["out"]) or not memory.whole():
            return False
    return True


def run(source: Path) -> str:
    """What a child process prints of this version of the backend."""
    home = Path(__file__).resolve().parents[3]
    child = subprocess.run(
        [sys.executable, __file__, str(source)],
        env=os.environ
        | {"TRITON_INTERPRET": "1", "PYTHONPATH": f"{home}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return child.stdout.strip() or child.stderr


needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


@needs_triton
def test_bags_are_exact_in_the_interpreter() -> None:
    assert run(Path(backend.__file__)) == "right"


@needs_triton
@pytest.mark.long
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    source = Path(backend.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1
    mutant = tmp_path / "mutant.py"
    mutant.write_text(source.replace(right, wrong), encoding="utf-8")
    assert run(mutant) in ("wrong", "")


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("backends.version", sys.argv[1])
    assert spec
    assert spec.loader
    backend = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = backend
    spec.loader.exec_module(backend)
    right = all(passes(case) and passes(case, width_of(case.dtype)) for case in CASES)
    print("right" if right else "wrong")
