"""Dequantised: row ``indices[t]`` of a quantised table is row ``t`` of the result, in floats."""

from __future__ import annotations

from typing import Any, NamedTuple

from suite.cases import formula
from suite.cases.dtypes import BITS, width_of
from suite.cases.operations.base import Batch, Case, Host, Operation, Stored


class Layout(NamedTuple):
    """How rows are stored.

    Attributes:
        code: what an element is stored as. ``int8``, ``int4``: unsigned, two of the latter in a byte, the
            first in its lower half; ``signed``: int8 in two's complement; ``fp8``: float8_e4m3fn.
        place: of scale and bias: at the ``start`` or the ``end`` of their row; ``apart``: scales in an array
            of their own, ``scales`` (vocab, blocks), and no biases.
        scale: the type of scale and bias; ``e8m0``: a byte, 127 more than the power of two; empty: the
            result's.
        block: elements that share a scale; 0: all of a row.
    """

    code: str
    place: str
    scale: str = ""
    block: int = 0


VARIANTS = {
    "int8-end": Layout("int8", "end", "float32"),
    "int8-start": Layout("int8", "start", "float16"),
    "int8-apart": Layout("int8", "apart"),
    "int8-signed": Layout("signed", "apart"),
    "int4-end": Layout("int4", "end", "float16"),
    "int4-start": Layout("int4", "start", "float16"),
    "int4-apart": Layout("int4", "apart", block=32),
    "fp8-apart": Layout("fp8", "apart", "e8m0", 32),
    "fp8-row": Layout("fp8", "apart"),
}
RESULTS = ("float32", "float16", "bfloat16")
LEAST_POWER, POWERS = -4, 8
"""Scales are 2^-4 to 2^3: halves have room above and below for every product."""
OFFSET = {"int8": -128, "int4": -8, "signed": 0, "fp8": 0}
"""Added to an element before it is scaled, where its row has no bias."""


class Dequantised(Operation):
    """``prepare(table, indices, out, variant)``, and ``scales`` where they are apart; ``VARIANTS`` has them.

    An element of the result is code · scale + bias, where there is a bias; else (code + OFFSET) · scale. All
    scales are powers of two and all biases integers of at most 8 bits times them, so every sum and product is
    exact in each type of result, and in whatever order it is made.

    table (vocab, columns): bytes, or float8_e4m3fn. indices (batch,), out (batch, dim).
    """

    variants = ("int8-end", "int8-start", "int8-apart", "int4-apart", "fp8-apart")
    reference = "numpy_dequantised"
    baselines = (
        *("torch_dequantised", "fbgemm_dequantised", "onnxruntime_dequantised"),
        *("torch_index_dequantised", "numpy_dequantised"),
    )

    def check(self, case: Case) -> None:
        if case.variant not in VARIANTS:
            raise ValueError(f"variant {case.variant}: unknown; give one of {', '.join(VARIANTS)}")
        if case.dtype not in RESULTS:
            what = f"not what rows are dequantised to; give one of {', '.join(RESULTS)}"
            raise ValueError(f"dtype {case.dtype}: {what}")
        multiple = VARIANTS[case.variant].block or 4
        if case.dim % multiple:
            what = f"not whole blocks of {case.variant}; give a multiple of {multiple}"
            raise ValueError(f"dim {case.dim}: {what}")

    # Shapes and bytes.

    def stored(self, case: Case) -> tuple[int, str]:
        layout = VARIANTS[case.variant]
        inside = 0 if layout.place == "apart" else 2 * width_of(layout.scale)
        return _code_bytes(case) + inside, "float8_e4m3fn" if layout.code == "fp8" else "int8"

    def table_name(self, case: Case) -> str:
        return case.variant

    def dtypes(self, case: Case) -> dict[str, str]:
        scale = VARIANTS[case.variant].scale
        return {**super().dtypes(case), "scales": "uint8" if scale == "e8m0" else scale or case.dtype}

    def settings(self, case: Case) -> dict[str, Any]:
        return {"variant": case.variant}

    def row_bytes(self, case: Case) -> int:
        layout = VARIANTS[case.variant]
        apart = _blocks(case) * _scale_bytes(case) if layout.place == "apart" else 0
        return self.stored(case)[0] + apart

    # What is stored, and what is right.

    def rows(self, case: Case, numbers: Host) -> Host:
        return _stored(case, numbers, False)

    def beside(self, case: Case) -> dict[str, Host]:
        import numpy as np

        if VARIANTS[case.variant].place != "apart":
            return {}
        scales = np.empty((case.vocab, _blocks(case)), BITS[_scale_bytes(case)])

        def part(some: slice) -> None:
            for start in range(some.start, some.stop, CHUNK_ROWS):
                numbers = np.arange(start, min(start + CHUNK_ROWS, some.stop))
                scales[numbers[0] : numbers[-1] + 1] = _apart(case, numbers, False)

        formula.parallel(part, case.vocab)
        return {"scales": scales}

    def change_row(self, case: Case, stored: Stored, row: int) -> None:
        """Change a row and its scale: every bit of what they are made from is inverted; twice is nothing."""
        import numpy as np

        arrays, numbers = stored.arrays, np.array([row])
        there = arrays.on_host(stored.table[row : row + 1])
        changed = bool((there == _stored(case, numbers, False)).all())
        arrays.put_rows(stored.table, [row], _stored(case, numbers, changed))
        for scales in stored.beside.values():
            arrays.put_rows(scales, [row], _apart(case, numbers, changed), writable=True)

    def table_differs(self, case: Case, stored: Stored, numbers: Host) -> bool:
        where = stored.arrays.beside(numbers)
        scales = (stored.arrays.on_host(some[where]) for some in stored.beside.values())
        return super().table_differs(case, stored, numbers) or any(
            bool((some != _apart(case, numbers, False)).any()) for some in scales
        )

    def right(self, case: Case, batch: Batch, picked: Host, changed: int | None = None) -> Host:
        numbers = batch["indices"][picked]
        bits = _dequantised(case, numbers, False)
        if changed is not None:
            bits[numbers == changed] = _dequantised(case, numbers[:1] * 0 + changed, True)
        return bits

    def wrong(self, case: Case, batch: Batch, row: int) -> str:
        return f"table row {int(batch['indices'][row])}, dequantised"


CHUNK_ROWS = 2**15


def _code_bytes(case: Case) -> int:
    return case.dim // 2 if VARIANTS[case.variant].code == "int4" else case.dim


def _blocks(case: Case) -> int:
    return case.dim // (VARIANTS[case.variant].block or case.dim)


def _scale_bytes(case: Case) -> int:
    scale = VARIANTS[case.variant].scale
    return 1 if scale == "e8m0" else width_of(scale or case.dtype)


def _hashed(numbers: Host, columns: int, first: int, dtype: str = "int8") -> Host:
    """The formula's (n, columns) of one-byte elements, from a column on, as uint8."""
    import numpy as np

    found = np.empty((len(numbers), columns), np.uint8)
    for where, bits in formula.expected(
        *(numbers, columns, dtype, lambda shape: np.empty(shape, np.int32)), first_column=first
    ):
        found[where] = bits
    return found


def _codes(case: Case, numbers: Host, changed: bool) -> Host:
    """The bytes of rows' elements (n, code bytes); of changed rows inverted, or of floats the sign."""
    is_float = VARIANTS[case.variant].code == "fp8"
    codes = _hashed(numbers, _code_bytes(case), 0, "float8_e4m3fn" if is_float else "int8")
    if changed:
        codes ^= 0x80 if is_float else 0xFF
    return codes


def _factors(case: Case, numbers: Host, changed: bool) -> tuple[Host, Host]:
    """Powers of two (n, blocks) of rows' scales, and what times the scale is their bias (n, 1), in integers.

    None is the same of a changed row.
    """
    import numpy as np

    layout, blocks = VARIANTS[case.variant], _blocks(case)
    hashed = _hashed(numbers, blocks + 1, _code_bytes(case))
    if changed:
        hashed = ~hashed
    powers = (hashed[:, :blocks] % POWERS).astype(np.int32) + LEAST_POWER
    biases = -hashed[:, blocks:].astype(np.int32)
    return powers, np.full_like(biases, OFFSET[layout.code]) if layout.place == "apart" else biases


def _stored(case: Case, numbers: Host, changed: bool) -> Host:
    """These rows of the table, as it is stored or as they are when changed."""
    import numpy as np

    layout, codes = VARIANTS[case.variant], _codes(case, numbers, changed)
    if layout.place != "apart":
        powers, biases = _factors(case, numbers, changed)
        pair = np.ldexp(np.concatenate([np.ones_like(biases), biases], 1).astype(layout.scale), powers)
        parts = [codes, np.ascontiguousarray(pair).view(np.uint8)]
        codes = np.concatenate(parts if layout.place == "end" else parts[::-1], 1)
    return codes.view(np.int8)


def _apart(case: Case, numbers: Host, changed: bool) -> Host:
    """The bits of these rows' scales, where they are apart."""
    import numpy as np

    powers, _ = _factors(case, numbers, changed)
    if VARIANTS[case.variant].scale == "e8m0":
        return (powers + 127).astype(np.uint8).view(np.int8)
    return _bits(np.ldexp(np.float32(1), powers), case.dtype)


def _dequantised(case: Case, numbers: Host, changed: bool) -> Host:
    """The bits of these rows of the result."""
    import numpy as np

    codes, (powers, offsets) = _codes(case, numbers, changed), _factors(case, numbers, changed)
    kind = VARIANTS[case.variant].code
    if kind == "int4":
        codes = np.stack([codes & 15, codes >> 4], 2).reshape(len(numbers), case.dim)
    values = _fp8_values()[codes] if kind == "fp8" else codes.view(np.int8 if kind == "signed" else np.uint8)
    values = values.astype(np.float32)
    if kind != "fp8":  # whose -0.0 keeps its sign
        values += offsets
    scales = np.ldexp(np.float32(1), powers)[:, :, None]
    return _bits((values.reshape(len(numbers), _blocks(case), -1) * scales).reshape(values.shape), case.dtype)


def _fp8_values() -> Host:
    """The value of each byte of float8_e4m3fn, NaN left aside."""
    import numpy as np

    byte = np.arange(256)
    exponent, fraction = byte >> 3 & 15, byte & 7
    size = np.ldexp((fraction + 8.0 * (exponent > 0)).astype(np.float32), np.maximum(exponent, 1) - 10)
    return np.where(byte & 0x80, -size, size)


def _bits(values: Host, dtype: str) -> Host:
    """Values of float32 in a type that holds them exactly, as bits."""
    import numpy as np

    if dtype == "bfloat16":
        return (np.ascontiguousarray(values).view(np.int32) >> 16).astype(np.int16)
    narrow = np.ascontiguousarray(values.astype(dtype))
    return narrow.view(BITS[narrow.itemsize])
