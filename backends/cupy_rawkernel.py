"""CUDA C++ gather through CuPy and NVRTC: the widest aligned vectors, several loads in flight per thread."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from backends.base import Array, Backend, BackendUnavailable, Lookup, current_stream

SOURCE = r"""
// In one line:
//
//   for each token t, for each column c:   out[t][c] = table[ids[t]][c]
//
// A column is one Vector of the row: the widest of 16, 8, 4, 2 or 1 bytes that divides the row and to which
// both base addresses are aligned. threadIdx.x walks the columns of a row, threadIdx.y the tokens of a block,
// so short rows share a warp; blockIdx.x walks the segments of a row too long for one block, blockIdx.y the
// tokens. A thread moves TOKENS x COLUMNS vectors and issues the loads of all before it waits for one: a
// gather is bound by the latency of memory unless enough bytes are under way. Offsets have 64 bits.

template <typename Vector, typename Index, int TOKENS, int COLUMNS>
__global__ void __launch_bounds__(256)
gather_rows(const Vector* __restrict__ table, const Index* __restrict__ ids, Vector* __restrict__ out,
            long long batch, long long row_vectors) {
  const int lanes = blockDim.x, groups = blockDim.y;
  const int columns = (int)row_vectors;  // positions inside a row need 32 bits, places in memory need 64
  const int column = blockIdx.x * COLUMNS * lanes + threadIdx.x;
  const long long block_tokens = (long long)TOKENS * groups;
  // The y extent of a grid ends at 65535 blocks: a longer batch comes round again.
  for (long long token = blockIdx.y * block_tokens + threadIdx.y; token < batch;
       token += gridDim.y * block_tokens) {
    // Past the end of the batch or of the row, load the last one again: no branch stands between the loads.
    Index id[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
      const long long here = token + t * groups;
      id[t] = __ldg(ids + (here < batch ? here : batch - 1));
    }
    Vector held[TOKENS][COLUMNS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
      const Vector* row = table + id[t] * row_vectors;
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) {
        const int at = column + c * lanes;
        held[t][c] = __ldg(row + (at < columns ? at : columns - 1));
      }
    }
    // Streaming stores: what is written is not read here, so it should not push table rows out of the L2.
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
      const long long here = token + t * groups;
      Vector* row = out + here * row_vectors;
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) {
        const int at = column + c * lanes;
        if (here < batch && at < columns) __stcs(row + at, held[t][c]);
      }
    }
  }
}
"""

VECTORS = {16: "int4", 8: "long long", 4: "int", 2: "short", 1: "signed char"}
INDICES = {8: "long long", 4: "int"}


class Geometry(NamedTuple):
    """Which instance of the kernel to launch, and how."""

    kernel: str
    grid: tuple[int, int]
    block: tuple[int, int]
    row_vectors: int


def geometry(row_bytes: int, index_bytes: int, batch: int, addresses: int, processors: int) -> Geometry:
    """How to launch for rows of this size.

    Args:
        addresses: the base addresses of table and out, or-ed; their low zero bits are the alignment.
        processors: how many multiprocessors there are to fill.
    """
    bits = row_bytes | addresses
    width = min(16, bits & -bits)
    vectors = row_bytes // width
    # 64 bytes in flight per thread fill an H100 several times over; narrow vectors need more of them.
    columns = loads = 4 if width == 16 else 8
    # Neighbouring threads should together read whole 128-byte lines, or 32 narrow vectors.
    while columns > 1 and vectors < columns * min(32, 128 // width):
        columns //= 2
    tokens, threads = loads // columns, 256
    while True:
        segments = _ceil(vectors, columns * threads)
        lanes = _ceil(vectors, columns * segments)
        if width == 16 and lanes > 8:
            lanes = 8 * _ceil(lanes, 8)  # so that each step of a row starts on a line of it
        groups = threads // lanes
        blocks = _ceil(batch, tokens * groups)
        # Few tokens: less work a thread and smaller blocks, until there are two for each multiprocessor.
        if segments * blocks >= 2 * processors or (tokens, columns, threads) == (1, 1, 64):
            break
        if tokens > 1:
            tokens //= 2
        elif columns > 1:
            columns //= 2
        else:
            threads //= 2
    kernel = f"gather_rows<{VECTORS[width]}, {INDICES[index_bytes]}, {tokens}, {columns}>"
    return Geometry(kernel, (segments, min(max(blocks, 1), 65535)), (lanes, groups), vectors)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


class CupyRawKernel(Backend):
    devices = ("cuda",)
    # Before 14 a CPointer holds the address of the Python number that it is given, not that number.
    packages = ("cupy-cuda13x>=14|cupy-cuda12x>=14|cupy>=14",)
    whose = "suite"
    stream = "current"

    def __init__(self) -> None:
        self.compiled: dict[tuple[str, int], Any] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        try:
            import cupy
        except ImportError as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error

        device = cupy.cuda.Device(table.device.index)
        device.use()
        batch, dim = out.shape
        kernel, grid, block, row_vectors = geometry(
            dim * table.element_size(),
            indices.element_size(),
            batch,
            table.data_ptr() | out.data_ptr(),
            device.attributes["MultiProcessorCount"],
        )
        key = kernel, table.device.index
        if key not in self.compiled:
            module = cupy.RawModule(code=SOURCE, options=("-std=c++17",), name_expressions=(kernel,))
            # RawKernel looks up the device and the stream at each call; the function inside it does not.
            self.compiled[key] = module.get_function(kernel).kernel
        launch = self.compiled[key]
        # cuLaunchKernel takes the address of each argument. CuPy wraps plain numbers anew at every launch, a
        # quarter of a microsecond each; these pointers to them are made once.
        values = np.array(
            [table.data_ptr(), indices.data_ptr(), out.data_ptr(), batch, row_vectors], np.int64
        )
        places = tuple(cupy.cuda.function.CPointer(values.ctypes.data + 8 * i) for i in range(values.size))
        address = current_stream(table)
        stream = cupy.cuda.ExternalStream(address) if address else cupy.cuda.Stream.null

        def lookup(_alive: object = (table, indices, values)) -> Array:
            launch(grid, block, places, 0, stream)
            return out

        return lookup
