"""The Triton kernel in Triton's interpreter, which is chosen at import and so needs processes of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backends.dequantised.triton_dequantised as backend
from backends import Unsupported
from suite.cases.case import Case
from suite.cases.operations.dequantised import RESULTS, VARIANTS
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table, lay_out

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")

VOCAB = 50
MUTANTS = {
    "32-bit offset into the table": ("other=0).to(tl.int64)", "other=0)"),
    "a column too many": ("column < dim", "column <= dim"),
    "a token too many": (
        "known, inside = token < batch, (token < batch)",
        "known, inside = token < batch, (token <= batch)",
    ),
    "the scale of the row before": (
        "+ row[:, None] * stride + first",
        "+ (row[:, None] - 1) * stride + first",
    ),
    "the first block's scale for all": ("(column // block)", "(column // block * 0)"),
    "no bias": ("* scale + bias", "* scale"),
    "no offset": ("+ offset)", ")"),
    "halves of a byte swapped": ("(column & 1) * 4", "(1 - column & 1) * 4"),
    "no sign": ("((code & 0x80).to(tl.int16) << 8) | ", ""),
    "stored in another's place": ("out + token[:, None] * dim", "out + row[:, None] * dim"),
}


def passes(case: Case, processors: int = 1) -> bool:
    """Whether the kernel's result is the operation's, and nothing on either side of it is written."""
    arrays = HostArrays(protected=False)
    numbers = np.random.default_rng(case.dim).integers(0, case.vocab, case.batch).astype(case.index_dtype)
    numbers[0] = case.vocab - 1
    operands = lay_out(case, arrays, build_table(arrays, case), [numbers])
    (slot,) = operands.slots
    given = operands.of(slot, "values")
    operands_of = given["table"], given["indices"], given["out"], given.get("scales")
    launch, arguments = backend.configure(operands_of, case.variant, processors)
    launch(*arguments)
    right = case.kind.right(case, slot.batch, np.arange(case.batch))
    return np.array_equal(slot.out, right) and all(bool((guard == 0x5A).all()) for guard in slot.guards)


def far() -> bool:
    """Whether the last row of a table of more than 2^31 bytes is found."""
    table = torch.zeros((2**31 // 132 + 9, 132), dtype=torch.int8)
    table[-1] = torch.arange(132)
    table[-1, -8:] = torch.tensor([1.0, 0.0]).view(torch.int8)
    out = torch.zeros((1, 124))
    ids = torch.tensor([len(table) - 1], dtype=torch.int32)
    launch, arguments = backend.configure((table, ids, out, None), "int8-end", 1)
    launch(*arguments)
    return torch.equal(out[0], torch.arange(124).float())


def all_right() -> bool:
    shapes = ((32, 5, "int32", 132), (96, 17, "int64", 1))
    for variant in VARIANTS:
        for dtype in RESULTS:
            for dim, batch, index_dtype, processors in shapes:
                case = Case(VOCAB, dim, dtype, batch, index_dtype, operation="dequantised", variant=variant)
                if not passes(case, processors):
                    return False
    return far()


def run(source: Path) -> str:
    """What a child process prints of this version of the backend."""
    home = Path(backend.__file__).parents[2]
    path = f"{home}:{os.environ.get('PYTHONPATH', '')}"
    child = subprocess.run(
        [sys.executable, __file__, str(source)],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return child.stdout.strip() or child.stderr


@pytest.mark.slow
def test_every_layout_and_result_is_right_in_the_interpreter() -> None:
    assert run(Path(backend.__file__)) == "right"


@pytest.mark.long
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_mutant_is_caught(fault: str, tmp_path: Path) -> None:
    right, wrong = MUTANTS[fault]
    source = Path(backend.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1
    mutant = tmp_path / "mutant.py"
    mutant.write_text(source.replace(right, wrong), encoding="utf-8")
    assert run(mutant) in ("wrong", "")  # or it died of reading where nothing is


@pytest.mark.parametrize(("dim", "batch"), [(4, 1), (768, 17), (4096, 65536), (8192, 3)])
def test_tiles_are_powers_of_two_within_bounds(dim: int, batch: int) -> None:
    high, wide = backend.tile(dim, batch, 132)
    assert high & (high - 1) == wide & (wide - 1) == 0
    assert backend.LEAST <= high * wide <= backend.ELEMENTS


def test_a_scale_on_no_boundary_is_refused() -> None:
    table: Any = torch.zeros(50 * 72 + 2, dtype=torch.uint8)[2:].reshape(50, 72)
    with pytest.raises(Unsupported, match="4-byte boundaries"):
        backend.where_scales_are(backend.layout_of("int8-end"), table, None)


if __name__ == "__main__":
    spec = importlib.util.spec_from_file_location("backends.version", sys.argv[1])
    assert spec and spec.loader
    backend = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = backend
    spec.loader.exec_module(backend)
    print("right" if all_right() else "wrong")
