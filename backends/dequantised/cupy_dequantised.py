"""CUDA C++ through CuPy and NVRTC: a thread dequantises four neighbouring elements at once, several times."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.base import Array, Backend, BackendUnavailable, Lookup, Unsupported, current_stream
from backends.dequantised.base import layout_of

SOURCE = r"""
// In one line, four elements at a time:
//
//   for each token t, for each column c:   out[t][c] = code(table[ids[t]], c) * scale + bias
//
// A row has `row` bytes, its codes from byte CODES on. Its scale is in the row, from byte INSIDE on (from its
// end if that is negative), with a bias after it; or in `scales`, one for each `block` columns, and OFFSET is
// added to each code instead. threadIdx.x walks the columns of a row, threadIdx.y the tokens of a block. A
// thread asks for four pieces before it waits for one, as a gather is bound by the latency of memory. Offsets
// have 64 bits. A code of fp8 that is no number comes out as if it were one.

enum Code { INT8, SIGNED, INT4, FP8 };
enum Kind { FLOAT32, FLOAT16, BFLOAT16, E8M0 };
enum { APART = 1 << 20, PIECES = 4 };

union Word {
  unsigned bits;
  float value;
};

__device__ inline float from_bits(unsigned bits) {
  Word word;
  word.bits = bits;
  return word.value;
}

__device__ inline float from_half(unsigned short bits) {
  const unsigned sign = (bits & 0x8000u) << 16, rest = bits & 0x7FFFu;
  const float whole = from_bits(rest << 13) * from_bits(0x77800000u);  // times 2^112
  Word word;
  word.value = rest >= 0x7C00u ? from_bits(0x7F800000u | rest << 13) : whole;
  word.bits |= sign;
  return word.value;
}

template <int KIND>
__device__ inline float number(const unsigned char* at) {
  if (KIND == FLOAT32) return __ldg(reinterpret_cast<const float*>(at));
  if (KIND == E8M0) return from_bits((unsigned)__ldg(at) << 23);
  const unsigned short bits = __ldg(reinterpret_cast<const unsigned short*>(at));
  return KIND == BFLOAT16 ? from_bits((unsigned)bits << 16) : from_half(bits);
}

// The nearest; the even one of two.
template <int KIND>
__device__ inline unsigned short narrow(float value) {
  Word word;
  word.value = value;
  if (KIND == BFLOAT16) return (unsigned short)((word.bits + (word.bits >> 16 & 1) + 0x7FFFu) >> 16);
  unsigned short bits;
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
  const _Float16 half = (_Float16)value;
  __builtin_memcpy(&bits, &half, 2);
#endif
  return bits;
}

template <int CODE>
__device__ inline unsigned packed(const unsigned char* at) {
  if (CODE == INT4) return __ldg(reinterpret_cast<const unsigned short*>(at));
  return __ldg(reinterpret_cast<const unsigned*>(at));
}

template <int CODE, int OFFSET>
__device__ inline float code(unsigned four, int which) {
  if (CODE == INT4) return (float)((int)(four >> 4 * which & 15) + OFFSET);
  const unsigned byte = four >> 8 * which & 255;
  if (CODE == INT8) return (float)((int)byte + OFFSET);
  if (CODE == SIGNED) return (float)(signed char)byte;
  const float size = from_bits((byte & 0x7F) << 20) * from_bits(0x7B800000u);  // times 2^120
  return byte & 0x80 ? -size : size;
}

template <int CODE, int CODES, int INSIDE, int OFFSET, int SCALE, int RESULT, typename Index>
__global__ void __launch_bounds__(256)
dequantise(const unsigned char* __restrict__ table, const Index* __restrict__ ids,
           const unsigned char* __restrict__ scales, void* __restrict__ out, long long batch, long long dim,
           long long row, long long block) {
  const int width = SCALE == FLOAT32 ? 4 : SCALE == E8M0 ? 1 : 2, fours = (int)(dim / 4), lanes = blockDim.x;
  const int each = (int)block, blocks = (int)dim / each;  // inside a row 32 bits are enough
  for (long long token = (long long)blockIdx.y * blockDim.y + threadIdx.y; token < batch;
       token += (long long)gridDim.y * blockDim.y) {
    const long long id = __ldg(ids + token);
    const unsigned char* from = table + id * row;
    for (int start = blockIdx.x * lanes * PIECES + threadIdx.x; start < fours;
         start += gridDim.x * lanes * PIECES) {
      unsigned held[PIECES];
      float scale[PIECES], bias[PIECES];
#pragma unroll
      for (int p = 0; p < PIECES; ++p) {
        // Past the end of the row, the first again: no branch stands between the loads.
        const int four = start + p * lanes < fours ? start + p * lanes : start;
        held[p] = packed<CODE>(from + CODES + (CODE == INT4 ? 2 : 4) * four);
        if (INSIDE == APART) {
          scale[p] = number<SCALE>(scales + (id * blocks + 4 * four / each) * width);
          bias[p] = 0;
        } else {
          const unsigned char* pair = from + INSIDE + (INSIDE < 0 ? row : 0);
          scale[p] = number<SCALE>(pair);
          bias[p] = number<SCALE>(pair + width);
        }
      }
#pragma unroll
      for (int p = 0; p < PIECES; ++p) {
        const long long four = start + p * lanes;
        if (four >= fours) break;
        float value[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          value[k] = code<CODE, OFFSET>(held[p], k) * scale[p];
          if (INSIDE != APART) value[k] += bias[p];  // not where -0.0 must keep its sign
        }
        if (RESULT == FLOAT32) {
          const float4 whole = {value[0], value[1], value[2], value[3]};
          __stcs(static_cast<float4*>(out) + token * fours + four, whole);
        } else {
          const ushort4 halves = {narrow<RESULT>(value[0]), narrow<RESULT>(value[1]),
                                  narrow<RESULT>(value[2]), narrow<RESULT>(value[3])};
          __stcs(static_cast<ushort4*>(out) + token * fours + four, halves);
        }
      }
    }
  }
}
"""

CODES = {"int8": 0, "signed": 1, "int4": 2, "fp8": 3}
KINDS = {"float32": 0, "float16": 1, "bfloat16": 2, "e8m0": 3}
APART, PIECES = 1 << 20, 4
INDICES = {8: "long long", 4: "int"}


def instance(variant: str, result: str, index_bytes: int) -> str:
    """The kernel's name for a variant, a type of the result and a width of ids."""
    layout = layout_of(variant)
    inside = APART if layout.scales is None else layout.scales
    numbers = CODES[layout.code], layout.codes, inside, layout.offset, KINDS[layout.scale or result]
    return f"dequantise<{', '.join(map(str, (*numbers, KINDS[result], INDICES[index_bytes])))}>"


def geometry(dim: int, batch: int, processors: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block: smaller blocks until there are two for each multiprocessor."""
    each = -(-dim // (4 * PIECES))
    threads = 256
    while True:
        lanes = min(threads, 1 << (each - 1).bit_length())
        across, down = -(-each // lanes), -(-batch // (threads // lanes))
        if across * down >= 2 * processors or threads == 32:
            return (across, max(1, min(down, 65535))), (lanes, threads // lanes)
        threads //= 2


class CupyDequantised(Backend):
    devices = ("cuda",)
    dtypes = ("float32", "float16", "bfloat16")
    view = "values"
    packages = ("cupy-cuda13x>=14|cupy-cuda12x>=14|cupy>=14",)
    whose = "suite"
    stream = "current"
    operation = "dequantised"

    def __init__(self) -> None:
        self.compiled: dict[tuple[str, int], Any] = {}

    def prepare(self, table: Array, indices: Array, out: Array, variant: str, scales: Array = None) -> Lookup:
        try:
            import cupy
        except ImportError as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error

        if table.data_ptr() % 4 or out.data_ptr() % 16:
            raise Unsupported("reads rows on 4-byte and writes on 16-byte boundaries only")
        device = cupy.cuda.Device(table.device.index)
        device.use()
        (batch, dim), layout = out.shape, layout_of(variant)
        name = instance(variant, str(out.dtype).removeprefix("torch."), indices.element_size())
        grid, block = geometry(dim, batch, device.attributes["MultiProcessorCount"])
        key = name, table.device.index
        if key not in self.compiled:
            module = cupy.RawModule(code=SOURCE, options=("-std=c++17",), name_expressions=(name,))
            # RawKernel looks up the device and the stream at each call; the function inside it does not.
            self.compiled[key] = module.get_function(name).kernel
        launch = self.compiled[key]
        addresses = [array.data_ptr() if array is not None else 0 for array in (table, indices, scales, out)]
        # cuLaunchKernel takes the address of each argument, which are made once.
        values = np.array([*addresses, batch, dim, table.shape[1], layout.block or dim], np.int64)
        places = tuple(cupy.cuda.function.CPointer(values.ctypes.data + 8 * i) for i in range(values.size))
        address = current_stream(table)
        stream = cupy.cuda.ExternalStream(address) if address else cupy.cuda.Stream.null

        def lookup(_alive: object = (table, indices, scales, values)) -> Array:
            launch(grid, block, places, 0, stream)
            return out

        return lookup
