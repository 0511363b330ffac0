// What a CUDA kernel needs to be compiled by a host compiler and run one thread after another. Its source
// goes where KERNELS stands.
//
// It stands in for the language only as far as the kernels here use it: no warps, no shared memory, no
// barriers; such a kernel's threads are independent, so running them in turn is one of the orders a GPU may
// choose. All of a kernel's memory traffic goes through __ldg and __stcs, so both are the place to notice what
// hardware would punish (a misaligned vector) and what it would let pass (an access outside the operands).
#include <cstdint>

#define __global__
#define __launch_bounds__(...)

struct alignas(16) int4 {
  int x, y, z, w;
};

struct Extent {
  unsigned x, y;
};
static Extent threadIdx, blockIdx, blockDim, gridDim;

struct Range {
  std::uintptr_t start, stop;
  bool holds(std::uintptr_t at, std::size_t bytes) const { return at >= start && at + bytes <= stop; }
};

// Set by the caller before a launch; counted during it.
struct Watch {
  Range table, ids, out;
  long long misaligned, outside, stored_bytes;
};
static Watch watch;

template <typename T>
static T __ldg(const T* p) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  watch.misaligned += at % sizeof(T) != 0;
  if (!watch.table.holds(at, sizeof(T)) && !watch.ids.holds(at, sizeof(T))) {
    ++watch.outside;
    return T();
  }
  T value;
  __builtin_memcpy(&value, p, sizeof(T));
  return value;
}

template <typename T>
static void __stcs(T* p, T value) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  watch.misaligned += at % sizeof(T) != 0;
  if (!watch.out.holds(at, sizeof(T))) {
    ++watch.outside;
    return;
  }
  watch.stored_bytes += sizeof(T);
  __builtin_memcpy(p, &value, sizeof(T));
}

template <typename Body>
static void each_thread(Extent grid, Extent block, Body body) {
  gridDim = grid;
  blockDim = block;
  for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
      for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
        for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) body();
}

// KERNELS

template <typename Vector, typename Index>
static void run(void (*kernel)(const Vector*, const Index*, Vector*, long long, long long),
                const unsigned* shape, const long long* arguments) {
  each_thread({shape[0], shape[1]}, {shape[2], shape[3]}, [&] {
    kernel(reinterpret_cast<const Vector*>(arguments[0]), reinterpret_cast<const Index*>(arguments[1]),
           reinterpret_cast<Vector*>(arguments[2]), arguments[3], arguments[4]);
  });
}

extern "C" Watch* watched() { return &watch; }
