"""Why backends/numba_cpu.py is as it is: its choices measured, then compared with C, torch, NumPy, a copy.

    python tests/tune_cpu.py [distance|stream|threads|pages|compare ...]

Rows are cold: the ids of each call are new, the table is far larger than the caches, and outputs rotate.
Competitors take turns in shuffled order; a figure is the median over the turns of the mean time of a call.
GB/s counts bytes read and written, 2 x batch x row.

Run it on an idle machine. OpenMP's threads spin at the end of each call, so where anything else wants a core,
one of them waits for the scheduler and every parallel call of every library takes milliseconds.
"""

import ctypes
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout, installed or not

from backends.base import Lookup
from backends.numba_cpu import NumbaCpu, _compiled, _last_level_cache_bytes

Prepare = Callable[[np.ndarray, np.ndarray, np.ndarray], Lookup]
TABLE_BYTES = 2 << 30
ROTATE_BYTES = 64 << 20
NEVER = 1 << 60
SECONDS_PER_CASE = 0.4
random = np.random.default_rng(1)


def pages(nbytes: int, huge: bool = True) -> np.ndarray:
    """Touched memory of its own, of 2-MB pages if asked for and granted."""
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if huge:
        memory.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(memory, np.int8)
    array[:] = 1
    return array


def variant(**choices: float) -> Prepare:
    """The backend with other choices than its own."""
    return type("Variant", (NumbaCpu,), choices)().prepare


def take_turns(prepares: dict[str, Prepare], memory: np.ndarray, size: int, batch: int, hot: bool = False):
    """Seconds of a call, by competitor."""
    table = memory[: len(memory) // size * size].reshape(-1, size).view(np.int32)
    calls = 2 if hot else max(3, min(256, ROTATE_BYTES // (batch * size)))
    ids = random.integers(0, len(table), (calls, batch))
    outs = pages(-(-calls * batch * size >> 21) << 21)[: calls * batch * size]
    outs = outs.view(np.int32).reshape(calls, batch, -1)
    lookups = {n: [p(table, i, o) for i, o in zip(ids, outs, strict=True)] for n, p in prepares.items()}
    seconds: dict[str, list[float]] = {name: [] for name in prepares}
    start, turn = time.perf_counter(), 0
    while turn < 5 or time.perf_counter() - start < SECONDS_PER_CASE:
        for name in random.permutation(list(prepares)):
            if not hot:
                ids[:] = random.integers(0, len(table), ids.shape)
            first, *rest = [lookups[name][0]] * 13 if hot else lookups[name]
            first()  # wakes the threads of this library
            before = time.perf_counter()
            for lookup in rest:
                lookup()
            seconds[name].append((time.perf_counter() - before) / len(rest))
        turn += 1
    return {name: float(np.median(s[1:])) for name, s in seconds.items()}


def index_select(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    rows, index, to = map(torch.from_numpy, (table, ids, out))
    return lambda: torch.index_select(rows, 0, index, out=to)


def take(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    return lambda: np.take(table, ids, axis=0, out=out, mode="clip")


def torch_copy(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    """As many bytes, contiguous, from a place as cold as the rows."""
    rows, to, batch = torch.from_numpy(table), torch.from_numpy(out), len(out)

    def copy() -> torch.Tensor:
        at = int(ids[0]) % (len(rows) - batch)
        return to.copy_(rows[at : at + batch])

    return copy


def numpy_copy(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
    batch = len(out)

    def copy() -> np.ndarray:
        at = int(ids[0]) % (len(table) - batch)
        np.copyto(out, table[at : at + batch])
        return out

    return copy


def c_kernel(folder: str) -> Prepare:
    """The kernel in C, with the same prefetch distance, the same choice to stream and to use threads."""
    library = Path(folder) / "gather.so"
    source = Path(__file__).parent / "c_gather" / "gather.c"
    flags = ["-O3", "-march=native", "-fopenmp", "-shared", "-fPIC"]
    subprocess.run([os.environ.get("CC", "cc"), *flags, source, "-o", library], check=True)
    function = ctypes.PyDLL(str(library)).gather
    function.restype = None

    def prepare(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
        size, mine = table.shape[1] * table.itemsize, NumbaCpu
        ahead = max(1, min(mine.ahead_rows, mine.ahead_bytes // size))
        stream = size >= mine.stream_row_bytes
        stream = stream and out.nbytes >= mine.stream_cache_fraction * _last_level_cache_bytes()
        every = len(ids) * (size + mine.row_cost_bytes) >= mine.parallel_bytes
        address = [ctypes.c_void_p(a.ctypes.data) for a in (table, ids, out)]
        whole = [ctypes.c_int64(n) for n in (size, len(ids), ahead)]
        flags = ctypes.c_int(stream), ctypes.c_int(torch.get_num_threads() if every else 1)
        return lambda: function(*address, *whole, *flags)

    return prepare


def show(title: str, names: list[str]) -> None:
    print(f"\n{title}\n{'row B':>6} {'batch':>7} {'out KB':>7} " + " ".join(f"{n:>9}" for n in names))


def row(size: int, batch: int, figures: list[float]) -> None:
    cells = " ".join(f"{f:9.2f}" if f < 100 else f"{f:9.0f}" for f in figures)
    print(f"{size:6} {batch:7} {size * batch >> 10:7} {cells}", flush=True)


def rates(size: int, batch: int, seconds: dict[str, float]) -> list[float]:
    return [2 * size * batch / s / 1e9 for s in seconds.values()]


def distance(memory: np.ndarray) -> None:
    rows = (1, 2, 4, 8, 16, 32, 64)
    show("prefetch distance in rows: GB/s", [str(r) for r in rows])
    for size, batch in ((32, 65536), (64, 16384), (128, 16384), (512, 4096), (1024, 4096), (4096, 1024)):
        tried = {str(r): variant(ahead_rows=r, ahead_bytes=NEVER) for r in rows}
        row(size, batch, rates(size, batch, take_turns(tried, memory, size, batch)))


def then_read(prepare: Prepare) -> Prepare:
    """The lookup and a reader of its whole output after it."""

    def both(table: np.ndarray, ids: np.ndarray, out: np.ndarray) -> Lookup:
        lookup, rows = prepare(table, ids, out), torch.from_numpy(out)
        return lambda: (lookup(), rows.max())

    return both


def stream(memory: np.ndarray) -> None:
    tried = {"plain": variant(stream_cache_fraction=1e9)}
    tried["streamed"] = variant(stream_cache_fraction=0, stream_row_bytes=64)
    show("streamed stores: us of a plain call; times faster streamed", ["plain", "cold", "+ read", "hot"])
    for size in (64, 128, 512, 4096):
        for out in (1 << 20, 1 << 22, 1 << 23, 1 << 25):
            cold = take_turns(tried, memory, size, out // size)
            read = take_turns({n: then_read(p) for n, p in tried.items()}, memory, size, out // size)
            hot = take_turns(tried, memory, size, out // size, hot=True)
            gains = [s["plain"] / s["streamed"] for s in (cold, read, hot)]
            row(size, out // size, [cold["plain"] * 1e6, *gains])


def threads(memory: np.ndarray) -> None:
    tried = {"one": variant(parallel_bytes=NEVER), "all": variant(parallel_bytes=0)}
    tried |= {"torch": index_select, "numpy": take}
    show("threads: us; cost = batch x (row + 256) in KB", ["cost", *tried])
    for size in (32, 64, 256, 1024, 4096):
        for cost in (16, 32, 64, 128):
            batch = max(1, (cost << 10) // (size + 256))
            seconds = take_turns(tried, memory, size, batch)
            row(size, batch, [cost, *(s * 1e6 for s in seconds.values())])


def huge_pages(memory: np.ndarray) -> None:
    names = ["numba", "torch", "numpy"]
    show("a table of huge pages: times faster than one of 4-KB pages", names)
    small = pages(len(memory), huge=False)
    for size, batch in ((64, 16384), (128, 16384), (512, 4096), (4096, 1024)):
        tried = dict(zip(names, (variant(), index_select, take), strict=True))
        slow, fast = (take_turns(tried, m, size, batch) for m in (small, memory))
        row(size, batch, [slow[n] / fast[n] for n in names])


def compare(memory: np.ndarray) -> None:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        tried = {"numba": variant(), "C": c_kernel(folder), "torch": index_select, "numpy": take}
        tried |= {"torchcopy": torch_copy, "numpycopy": numpy_copy}
        show("against others: GB/s", [*tried, "x best", "x torch", "of copy", "of C"])
        for size in (32, 64, 128, 256, 512, 3072, 16384):
            for batch in (16, 128, 1024, 8192, 65536):
                if size * batch > 1 << 28:
                    continue
                s = take_turns(tried, memory, size, batch)
                best, copy = min(s["torch"], s["numpy"]), min(s["torchcopy"], s["numpycopy"])
                ratios = [x / s["numba"] for x in (best, s["torch"], copy, s["C"])]
                wanted = [1, 2 if size <= 64 else 1.5 if size <= 512 else 1, 0.9 if size >= 4096 else 0, 0.9]
                row(size, batch, [*rates(size, batch, s), *ratios])
                names = zip(("best", "torch", "copy", "C"), ratios, wanted, strict=True)
                missed += [f"{size} B x {batch}: {r:.2f} of {n}, wanted {w}" for n, r, w in names if r < w]
    print("\ntargets missed: " + ("; ".join(missed) or "none"))


def main() -> None:
    start = time.perf_counter()
    _compiled()
    compiled_s = time.perf_counter() - start
    memory = pages(TABLE_BYTES)
    table, ids, out = memory[:8192].reshape(-1, 64), np.zeros(1, np.int64), np.zeros((1, 64), np.int8)
    call_s = {}
    for name, prepare in {"numba": variant(), "torch": index_select, "numpy": take}.items():
        lookup = prepare(table, ids, out)
        samples = []
        for _ in range(200):
            before = time.perf_counter()
            for _ in range(100):
                lookup()
            samples.append((time.perf_counter() - before) / 100)
        call_s[name] = float(np.median(samples))
    print(f"compiled in {compiled_s:.2f} s; {torch.get_num_threads()} threads; ", end="")
    print(f"last-level cache {_last_level_cache_bytes() >> 20} MB; load {os.getloadavg()[0]:.1f}")
    print("one row, hot: " + ", ".join(f"{n} {s * 1e9:.0f} ns" for n, s in call_s.items()))
    if os.getloadavg()[0] > 1:
        print("others are using this machine; figures of parallel calls below may be theirs")
    sections = {"distance": distance, "stream": stream, "threads": threads, "pages": huge_pages}
    sections["compare"] = compare
    for name in sys.argv[1:] or sections:
        sections[name](memory)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
