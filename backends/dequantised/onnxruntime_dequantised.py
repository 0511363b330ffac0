"""OnnxRuntime GatherBlockQuantized, a model of one node, into a given array."""

import os
from functools import cache
from typing import Any

from backends.base import Array, Backend, Lookup
from backends.dequantised.base import layout_of

NUMBERS = {"uint8": 2, "int32": 6, "int64": 7, "float8_e4m3fn": 17, "float32": 1, "float16": 10}  # ONNX's


def field(place: int, *parts: bytes | int) -> bytes:
    """A field of a message of Protocol Buffers: a small number, or the parts of a text or of a message."""
    if isinstance(parts[0], int):
        return length(place << 3) + length(parts[0])
    content = b"".join(part for part in parts if isinstance(part, bytes))
    return length(place << 3 | 2) + length(len(content)) + content


def length(value: int) -> bytes:
    """A number of any length."""
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128, *length(value >> 7)))


@cache
def session(table: str, indices: str, out: str, bits: int, block: int) -> Any:
    """That of r = GatherBlockQuantized(t, i, s) for operands of these types and of any shape."""
    import onnxruntime

    kinds = {"t": table, "i": indices, "s": out, "r": out}
    ends = [
        field(12 if n == "r" else 11, field(1, n.encode()), field(2, field(1, field(1, NUMBERS[kind]))))
        for n, kind in kinds.items()
    ]
    names = [field(2 if n == "r" else 1, n.encode()) for n in kinds]
    more = ((b"bits", bits), (b"block_size", block))
    settings = [field(5, field(1, name), field(3, value), field(20, 2)) for name, value in more]
    node = field(1, *names, field(4, b"GatherBlockQuantized"), *settings, field(7, b"com.microsoft"))
    versions = field(8, field(2, 13)), field(8, field(1, b"com.microsoft"), field(2, 1))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = len(os.sched_getaffinity(0))  # else it pins one to each core
    model = b"".join((field(1, 10), *versions, field(7, node, field(2, b"g"), *ends)))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxruntimeDequantised(Backend):
    devices = ("cpu",)
    dtypes = ("float32", "float16")
    view = "values"
    packages = ("onnxruntime|onnxruntime-gpu",)
    clock = "host"
    operation = "dequantised"

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        layout, dim = layout_of(variant, "int8-apart", "int4-apart", "fp8-row"), out.shape[1]
        row = (
            0 if layout.code == "fp8" else max(16, 1 << (dim - 1).bit_length())
        )  # a block as long, or longer
        rows = "float8_e4m3fn" if layout.code == "fp8" else "uint8"
        ids, floats = (str(array.dtype).removeprefix("torch.") for array in (indices, out))
        ready = session(rows, ids, floats, 4 if layout.code == "int4" else 8, layout.block or row)
        bound = ready.io_binding()
        for name, array, dtype in (("t", table, rows), ("i", indices, ids), ("s", scales, floats)):
            bound.bind_input(name, "cpu", 0, NUMBERS[dtype], tuple(array.shape), array.data_ptr())
        bound.bind_output("r", "cpu", 0, NUMBERS[floats], tuple(out.shape), out.data_ptr())

        def lookup(_held: Array = (table, indices, scales)) -> Array:  # the binding holds addresses only
            ready.run_with_iobinding(bound)
            return out

        return lookup
