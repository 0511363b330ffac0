"""Types of elements and of ids: their widths, and the integers that hold their bits."""

from __future__ import annotations

DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "int8": 1}
INDEX_BYTES = {"int32": 4, "int64": 8}
BITS = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}
"""The signed integer of each width."""


def width_of(dtype: str) -> int:
    """Bytes of an element, or of an id."""
    return DTYPE_BYTES.get(dtype) or INDEX_BYTES[dtype]
