"""CUDA C++ bags through CuPy and NVRTC: the widest aligned vectors, four rows in flight, sums in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.base import Array, Backend, BackendUnavailable, Lookup, current_stream

PTX = r"""
__device__ float of_half(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
__device__ unsigned short to_half(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
"""

KERNEL = r"""
// In one line:
//
//   for each bag b, for each column c:   out[b][c] = sum of weights[i] * table[ids[i]][c], i in the bag
//
// A column is one Vector of a row: 16 bytes where rows and addresses allow it, else an element, whose type is
// one of FLOAT, HALF and BRIEF (bfloat16). threadIdx.x walks the columns of a row, threadIdx.y the bags of a
// block. A thread asks for the columns of FOUR rows before it adds up the first. Offsets have 64 bits.
enum { FLOAT, HALF, BRIEF };
union Word {
  unsigned bits;
  float value;
};

template <int TYPE>
__device__ float widened(unsigned bits) {
  Word word;
  if (TYPE == HALF) return of_half((unsigned short)bits);
  word.bits = TYPE == BRIEF ? bits << 16 : bits;
  return word.value;
}
template <int TYPE>
__device__ unsigned narrowed(float value) {
  Word word;
  word.value = value;
  if (TYPE == HALF) return to_half(value);
  return TYPE == BRIEF ? (word.bits + 0x7FFF + (word.bits >> 16 & 1)) >> 16 : word.bits;
}

template <typename Vector, typename Element>
union Piece {
  Vector vector;
  Element elements[sizeof(Vector) / sizeof(Element)];
};

template <typename Vector, typename Element, typename Index, int TYPE, bool WEIGHTED>
__global__ void __launch_bounds__(256, 4)
add_bags(const Vector* __restrict__ table, const Index* __restrict__ ids, const Index* __restrict__ offsets,
         const Element* __restrict__ weights, Vector* __restrict__ out, long long bags, long long row_vectors,
         long long mean) {
  const int FOUR = 4, PARTS = sizeof(Vector) / sizeof(Element);
  for (long long bag = blockIdx.y * blockDim.y + threadIdx.y; bag < bags; bag += gridDim.y * blockDim.y) {
    const long long start = __ldg(offsets + bag), end = __ldg(offsets + bag + 1);
    for (long long at = blockIdx.x * blockDim.x + threadIdx.x; at < row_vectors;
         at += gridDim.x * blockDim.x) {
      float sums[PARTS] = {};
      for (long long first = start; first < end; first += FOUR) {
        // Past the end of the bag, load its last row again: no branch stands between the loads.
        Piece<Vector, Element> rows[FOUR];
        float factors[FOUR];
#pragma unroll
        for (int k = 0; k < FOUR; ++k) {
          const long long place = first + k < end ? first + k : end - 1;
          rows[k].vector = __ldg(table + (long long)__ldg(ids + place) * row_vectors + at);
          factors[k] = WEIGHTED ? widened<TYPE>(__ldg(weights + place)) : 1.0f;
        }
#pragma unroll
        for (int k = 0; k < FOUR; ++k)
          if (first + k < end)
#pragma unroll
            for (int part = 0; part < PARTS; ++part)
              sums[part] += factors[k] * widened<TYPE>(rows[k].elements[part]);
      }
      const float over = mean && end > start ? (float)(end - start) : 1.0f;
      Piece<Vector, Element> result;
#pragma unroll
      for (int part = 0; part < PARTS; ++part) result.elements[part] = narrowed<TYPE>(sums[part] / over);
      __stcs(out + bag * row_vectors + at, result.vector);
    }
  }
}
"""

ELEMENTS = {4: "unsigned", 2: "unsigned short"}
INDICES = {8: "long long", 4: "int"}
TYPES = {"float32": 0, "float16": 1, "bfloat16": 2}
THREADS = 256
MOST_BLOCKS = 65535  # the y extent of a grid: more bags come round again


def kernel_of(dtype: str, item: int, index: int, vector: int, weighted: bool) -> str:
    """The instance of the kernel for elements, ids and vectors of so many bytes."""
    word = "int4" if vector == 16 else ELEMENTS[item]
    return f"add_bags<{word}, {ELEMENTS[item]}, {INDICES[index]}, {TYPES[dtype]}, {str(weighted).lower()}>"


class CupyBag(Backend):
    devices = ("cuda",)
    view = "values"
    dtypes = ("float32", "float16", "bfloat16")
    # Before 14 a CPointer holds the address of the Python number that it is given, not that number.
    packages = ("cupy-cuda13x>=14|cupy-cuda12x>=14|cupy>=14",)
    whose = "suite"
    stream = "current"
    operation = "bag"

    def __init__(self) -> None:
        self.compiled: dict[tuple[str, int], Any] = {}

    def prepare(
        self, table: Array, indices: Array, offsets: Array, out: Array, mode: str, weights: Array = None
    ) -> Lookup:
        try:
            import cupy
        except ImportError as error:
            raise BackendUnavailable(str(error).strip().partition("\n")[0]) from error

        cupy.cuda.Device(table.device.index).use()
        (bags, dim), item = out.shape, table.element_size()
        aligned = (dim * item | table.data_ptr() | out.data_ptr()) % 16 == 0
        vector = 16 if aligned else item
        dtype = str(table.dtype).removeprefix("torch.")
        name = kernel_of(dtype, item, indices.element_size(), vector, weights is not None)
        key = name, table.device.index
        if key not in self.compiled:
            module = cupy.RawModule(code=PTX + KERNEL, options=("-std=c++17",), name_expressions=(name,))
            self.compiled[key] = module.get_function(
                name
            ).kernel  # looks up no device, no stream at each call
        launch, vectors = self.compiled[key], dim * item // vector
        across = min(THREADS, 1 << max(0, vectors - 1).bit_length())
        block = across, THREADS // across
        grid = -(-vectors // across), min(MOST_BLOCKS, -(-bags // block[1]))
        given = (table, indices, offsets, weights, out)
        places_of = [0 if one is None else one.data_ptr() for one in given]
        values = np.array([*places_of, bags, vectors, mode == "mean"], np.int64)
        places = tuple(cupy.cuda.function.CPointer(values.ctypes.data + 8 * i) for i in range(values.size))
        address = current_stream(table)
        stream = cupy.cuda.ExternalStream(address) if address else cupy.cuda.Stream.null

        def lookup(_alive: object = (given, values)) -> Array:
            launch(grid, block, places, 0, stream)
            return out

        return lookup
