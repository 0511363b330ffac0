"""Triton's gradients and updates in its interpreter, which is chosen at import: a process each."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from backends import load
from tests.support.training import SHAPES, verdict

pytest.importorskip("torch")
KERNELS = {
    "triton_gradient_atomic": ("dense",),
    "triton_gradient_sorted": ("dense",),
    "triton_update_atomic": ("sgd",),
    "triton_update_sorted": ("sgd", "adagrad"),
}
ALIKE = ("triton_gradient_sorted", "triton_update_atomic")
"""What the other two share with them: sorting, and adding atomically."""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in ALIKE else ()) for name in KERNELS]
)
def test_it_is_bit_exact_in_the_interpreter(name: str) -> None:
    home = Path(__file__).resolve().parents[3]
    path = f"{home}:{os.environ.get('PYTHONPATH', '')}"
    child = subprocess.run(
        [sys.executable, __file__, name],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout.strip().endswith("right"), child.stdout + child.stderr


if __name__ == "__main__":
    load(sys.argv[1]).devices = ("cpu",)
    for variant in KERNELS[sys.argv[1]]:
        for dtype in load(sys.argv[1]).dtypes:
            for vocab, dim, ids, index_dtype in SHAPES if dtype == "float32" else SHAPES[:2]:
                few = [*ids[:40], *ids[-40:]]
                found = verdict(sys.argv[1], variant, (vocab, dim, dtype, index_dtype), few)
                if found:
                    print(variant, dtype, vocab, dim, found)
                    sys.exit(1)
    print("right")
