"""Looks of backends in figures: a colour and a mark of their own, the same in every figure and page."""

from __future__ import annotations

import zlib

COLOURS = 8
MARKS = 8
KNOWN = {
    # Those that stand side by side most often have the colours that the colour-blind tell apart best.
    "numba_cpu": 0,
    "torch_embedding": 1,
    "torch_index_select": 5,
    "numpy_take": 6,
    "torch_compile": 4,
    "torch_index": 3,
    "pyarrow_take": 2,
    "jax_take": 7,
    "cupy_rawkernel": 8,
    "triton_gather": 9,
    "cupy_bulk": 10,
    "cupy_take": 11,
    "numba_cuda": 12,
    "warp_gather": 13,
    "cutile_gather": 14,
    "fbgemm_index_select": 15,
    "numba_pread": 16,
    "numba_willneed": 17,
    "onnxruntime_gather": 18,
    "uring_read": 19,
    "fbgemm_gather": 20,
    "numba_gradient": 48,
    "torch_gradient_dense": 49,
    "torch_gradient_sparse": 53,
    "numpy_gradient": 50,
    "triton_gradient_atomic": 51,
    "triton_gradient_sorted": 52,
    "numba_update": 56,
    "torch_update_sparse": 57,
    "torch_update_dense": 61,
    "numpy_update": 58,
    "fbgemm_update": 54,
    "triton_update_atomic": 59,
    "triton_update_sorted": 60,
    "numba_dequantised": 24,
    "torch_dequantised": 25,
    "torchao_dequantised": 26,
    "torch_index_dequantised": 27,
    "fbgemm_dequantised": 28,
    "onnxruntime_dequantised": 29,
    "numpy_dequantised": 30,
    "triton_dequantised": 31,
    "cupy_dequantised": 23,
    "numba_bag": 32,
    "torch_bag": 33,
    "fbgemm_bag": 34,
    "torch_bag_padding": 35,
    "scipy_bag": 36,
    "triton_bag": 37,
    "numpy_bag": 38,
    "jax_bag": 39,
    "cupy_bag": 40,
}
"""A number for each backend of this tree; a new one is given a free number."""


def look(backend: str) -> tuple[int, int]:
    """Number of a backend's colour and of its mark; of one of another tree by its name."""
    number = KNOWN.get(backend)
    if number is None:
        number = zlib.crc32(backend.encode("utf-8", "replace")) % (COLOURS * MARKS)
    colour = number % COLOURS
    return colour, (colour + number // COLOURS) % MARKS
