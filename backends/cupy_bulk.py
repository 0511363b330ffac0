"""CUDA C++ gather by Hopper's bulk copies, through CuPy: rows go by shared memory, not registers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported, current_stream

PTX = r"""
// Instructions without a name in CUDA C++. Their addresses in shared memory have 32 bits.
typedef unsigned long long Barrier;

__device__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }
// A barrier for one arrival, visible to the copy engine too.
__device__ void begin(Barrier* barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// The one arrival: the phase ends once this many bytes have arrived.
__device__ void expect(Barrier* barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
__device__ void await(Barrier* barrier, unsigned parity) {
  for (unsigned over = 0; !over;)
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "  selp.u32 %0, 1, 0, p; }"
                 : "=r"(over) : "r"(shared_address(barrier)), "r"(parity) : "memory");
}
__device__ void bulk_load(void* slot, const void* row, unsigned bytes, Barrier* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
               ::"r"(shared_address(slot)), "l"(row), "r"(bytes), "r"(shared_address(barrier)) : "memory");
}
// Returns once the slot is read, and so can be filled anew.
__device__ void bulk_store(void* rows, const void* slot, unsigned bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
               ::"l"(rows), "r"(shared_address(slot)), "r"(bytes) : "memory");
  asm volatile("cp.async.bulk.commit_group;\n cp.async.bulk.wait_group.read 0;" ::: "memory");
}
"""

KERNEL = r"""
// Each thread has a slot of shared memory and a barrier of its own, and moves rows through it: TOKENS short
// ones, which are one piece of out, or a piece of a long one. blockIdx.x walks the pieces of a row,
// blockIdx.y the tokens. A block has few threads and there are many blocks: while one waits, others copy.
template <typename Index, int TOKENS>
__global__ void __launch_bounds__(32)
gather_bulk(const unsigned char* __restrict__ table, const Index* __restrict__ ids,
            unsigned char* __restrict__ out, long long batch, long long row_bytes) {
  extern __shared__ __align__(128) unsigned char memory[];
  const long long vectors = row_bytes / 16, pieces = gridDim.x;
  const long long piece_bytes = (vectors + pieces - 1) / pieces * 16, start = blockIdx.x * piece_bytes;
  const unsigned bytes = (unsigned)(row_bytes - start < piece_bytes ? row_bytes - start : piece_bytes);
  Barrier* barrier = reinterpret_cast<Barrier*>(memory) + threadIdx.x;
  unsigned char* slot = memory + 32 * sizeof(Barrier) + threadIdx.x * TOKENS * piece_bytes;
  const long long block_tokens = (long long)TOKENS * blockDim.x;
  unsigned parity = 0;
  begin(barrier);
  // The y extent of a grid ends at 65535 blocks: a longer batch comes round again.
  for (long long token = blockIdx.y * block_tokens + threadIdx.x * TOKENS; token < batch;
       token += gridDim.y * block_tokens) {
    const int count = batch - token < TOKENS ? (int)(batch - token) : TOKENS;
    Index id[TOKENS];
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) id[t] = __ldg(ids + token + (t < count ? t : count - 1));
    expect(barrier, count * bytes);
#pragma unroll
    for (int t = 0; t < TOKENS; ++t)
      if (t < count) bulk_load(slot + t * bytes, table + id[t] * row_bytes + start, bytes, barrier);
    await(barrier, parity);
    parity ^= 1;
    bulk_store(out + token * row_bytes + start, slot, count * bytes);
  }
}
"""

INDICES = {8: "long long", 4: "int"}
SLOT_BYTES, LEAST_PIECE, BLOCK_BYTES = 4096, 512, 16384


class Geometry(NamedTuple):
    """Which instance of the kernel to launch, and how."""

    kernel: str
    grid: tuple[int, int]
    block: tuple[int]
    shared_bytes: int


def geometry(row_bytes: int, index_bytes: int, batch: int, processors: int) -> Geometry:
    """How to launch for rows of a multiple of 16 bytes; ``processors``: how many there are to fill."""
    pieces, tokens, threads = -(-row_bytes // SLOT_BYTES), 8, 32
    while True:
        piece = -(-row_bytes // 16 // pieces) * 16
        pieces = -(-row_bytes // piece)  # rounding up may have left the last ones nothing
        blocks = max(1, -(-batch // (tokens * threads)))
        small = tokens * piece <= SLOT_BYTES and threads * tokens * piece <= BLOCK_BYTES
        least = (threads, tokens) == (1, 1) and piece <= LEAST_PIECE
        if small and (least or pieces * blocks >= 2 * processors):
            break
        # Too large, or few tokens: fewer rows in a slot, then smaller blocks, then shorter pieces.
        if tokens > 1 and (threads == 1 or tokens * piece > SLOT_BYTES):
            tokens //= 2
        elif threads > 1:
            threads //= 2
        else:
            pieces *= 2
    kernel = f"gather_bulk<{INDICES[index_bytes]}, {tokens}>"
    return Geometry(kernel, (pieces, min(blocks, 65535)), (threads,), 32 * 8 + threads * tokens * piece)


class CupyBulk(Backend):
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

        (device := cupy.cuda.Device(table.device.index)).use()
        batch, row_bytes = len(out), out.shape[1] * out.element_size()
        if device.attributes["ComputeCapabilityMajor"] < 9:
            raise Unsupported("needs the bulk copies of compute capability 9.0 or later")
        if (row_bytes | table.data_ptr() | out.data_ptr()) % 16:
            raise Unsupported("moves rows of multiples of 16 bytes, on 16-byte boundaries")
        kernel, grid, block, shared_bytes = geometry(
            row_bytes, indices.element_size(), batch, device.attributes["MultiProcessorCount"]
        )
        key = kernel, table.device.index
        if key not in self.compiled:
            module = cupy.RawModule(code=PTX + KERNEL, options=("-std=c++17",), name_expressions=(kernel,))
            self.compiled[key] = module.get_function(kernel).kernel
        launch = self.compiled[key]
        # In the form of cuLaunchKernel, so that CuPy need not wrap them anew at every launch.
        values = np.array([*(a.data_ptr() for a in (table, indices, out)), batch, row_bytes], np.int64)
        places = tuple(cupy.cuda.function.CPointer(values.ctypes.data + 8 * i) for i in range(values.size))
        address = current_stream(table)
        stream = cupy.cuda.ExternalStream(address) if address else cupy.cuda.Stream.null

        def lookup(_alive: object = (table, indices, values)) -> Array:
            launch(grid, block, places, shared_bytes, stream)
            return out

        return lookup
