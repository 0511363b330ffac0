// What a CUDA kernel needs to be compiled by a host compiler and run one thread after another. Its source
// goes where KERNELS stands.
//
// It stands in for the language only as far as the kernels here use it: no warps, and of shared memory and
// barriers only what is a thread's own; such a kernel's threads are independent, so running them in turn is one
// of the orders a GPU may choose. All of a kernel's memory traffic goes through __ldg and __stcs or through bulk
// copies, so these are the place to notice what hardware would punish (a misaligned vector) and what it would
// let pass (an access outside the operands).
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__ static
#define __launch_bounds__(...)
#define __shared__
#define __align__(...)

struct alignas(16) int4 {
  int x, y, z, w;
};

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) ushort4 {
  unsigned short x, y, z, w;
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
  Range table, ids, out, offsets, weights;
  long long misaligned, outside, stored_bytes;
  Range beside;
};
static Watch watch;

template <typename T>
static T __ldg(const T* p) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  watch.misaligned += at % sizeof(T) != 0;
  bool held = false;
  for (const Range* one : {&watch.table, &watch.ids, &watch.offsets, &watch.weights, &watch.beside})
    held |= one->holds(at, sizeof(T));
  if (!held) {
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

// What PTX converts.
inline float of_half(unsigned short bits) {
  _Float16 value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
inline unsigned short to_half(float value) {
  const _Float16 half = static_cast<_Float16>(value);
  unsigned short bits;
  std::memcpy(&bits, &half, sizeof(bits));
  return bits;
}

// The shared memory of a block, and which of its threads filled each 16 bytes of it.
alignas(128) static unsigned char memory[48 << 10];
static unsigned shared_bytes, owner[sizeof(memory) / 16];

// In the eight bytes of a barrier: what is yet to come, whether its one arrival was, and the phase it is in.
typedef unsigned long long Barrier;
struct Phase {
  int due_bytes;
  std::int16_t arrived, parity;
};
static_assert(sizeof(Phase) == sizeof(Barrier), "");
struct Copy {
  unsigned char* slot;
  const void* row;
  unsigned bytes;
};
static std::vector<Copy> under_way;

inline bool fits(const void* slot, unsigned bytes) {
  const auto at = static_cast<const unsigned char*>(slot) - memory;
  return at >= 0 && at + bytes <= shared_bytes;
}
inline Phase* phase_of(Barrier* barrier) {
  watch.outside += !fits(barrier, sizeof(Barrier));
  return reinterpret_cast<Phase*>(barrier);
}
inline void count_misaligned(const void* a, const void* b, unsigned bytes) {
  watch.misaligned += (reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) | bytes) % 16 != 0;
}

inline void begin(Barrier* barrier) { *phase_of(barrier) = Phase{0, 0, 0}; }
inline void expect(Barrier* barrier, unsigned bytes) {
  phase_of(barrier)->due_bytes += bytes;
  phase_of(barrier)->arrived += 1;
}
// What a thread has asked for comes when it waits, and not before: a kernel that does not wait finds nothing.
inline void bulk_load(void* slot, const void* row, unsigned bytes, Barrier* barrier) {
  count_misaligned(slot, row, bytes);
  if (!watch.table.holds(reinterpret_cast<std::uintptr_t>(row), bytes) || !fits(slot, bytes)) {
    ++watch.outside;
    return;
  }
  for (auto at = static_cast<unsigned char*>(slot) - memory; bytes && at < shared_bytes; at += 16) {
    if (at >= static_cast<unsigned char*>(slot) - memory + bytes) break;
    watch.outside += owner[at / 16] != 0 && owner[at / 16] != threadIdx.x + 1;
    owner[at / 16] = threadIdx.x + 1;
  }
  under_way.push_back({static_cast<unsigned char*>(slot), row, bytes});
  phase_of(barrier)->due_bytes -= bytes;
}
inline void await(Barrier* barrier, unsigned parity) {
  Phase* phase = phase_of(barrier);
  for (const Copy& one : under_way) std::memcpy(one.slot, one.row, one.bytes);
  under_way.clear();
  // A GPU would wait for ever: for bytes that were never asked for, or for the end of a phase to come.
  const bool ends = phase->arrived == 1 && phase->due_bytes == 0;
  watch.outside += !ends || phase->parity != static_cast<int>(parity);
  *phase = Phase{0, 0, static_cast<std::int16_t>(phase->parity ^ 1)};
}
inline void bulk_store(void* rows, const void* slot, unsigned bytes) {
  count_misaligned(slot, rows, bytes);
  if (!watch.out.holds(reinterpret_cast<std::uintptr_t>(rows), bytes) || !fits(slot, bytes)) {
    ++watch.outside;
    return;
  }
  watch.stored_bytes += bytes;
  std::memcpy(rows, slot, bytes);
}

template <typename Body>
static void each_thread(Extent grid, Extent block, Body body) {
  gridDim = grid;
  blockDim = block;
  for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
      std::memset(memory, 0xCD, shared_bytes);
      std::memset(owner, 0, shared_bytes / 4);
      for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
        for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) body();
    }
}

// KERNELS

template <typename T>
static T argument(long long value) {
  if constexpr (std::is_pointer_v<T>) return reinterpret_cast<T>(value);
  else return static_cast<T>(value);
}

template <typename... T, std::size_t... I>
static void call(void (*kernel)(T...), const long long* arguments, std::index_sequence<I...>) {
  kernel(argument<T>(arguments[I])...);
}

template <typename... T>
static void run(void (*kernel)(T...), const unsigned* shape, const long long* arguments) {
  shared_bytes = shape[4];
  each_thread({shape[0], shape[1]}, {shape[2], shape[3]},
              [&] { call(kernel, arguments, std::index_sequence_for<T...>()); });
}

extern "C" Watch* watched() { return &watch; }
