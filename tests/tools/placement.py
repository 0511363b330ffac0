"""Tables in files against their targets: python -m tests.tools.placement [--tables DIR] [--gb 6]

Three questions, each of two things that take turns: whether a lookup in a mapped file, its pages in the page
cache, is as fast as one on small pages; whether the pool of ``numba_pread`` reads as fast as so many threads
that only read blocks, and with how many it is fastest; whether a file is built as fast as the disk writes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from backends import load
from suite.cases import ids
from suite.cases.case import Case
from suite.engine.arrays import HostArrays
from suite.engine.operands import Operands, build_table, lay_out
from suite.engine.placement import pages, table_file
from suite.machine.filesystem import filesystem

DIM, BATCH, SLOTS, ROUNDS = 1024, 8192, 16, 15
THREADS = (2, 4, 8, 16, 32, 64)
BLOCK_BYTES = 2**20
MAPPED, READ, BUILT = 0.9, 0.9, 0.8
"""The targets: shares of the speed of what each is measured beside."""
Timed = Callable[[], float]


def in_turns(rounds: int, **timed: Timed) -> dict[str, float]:
    """The median seconds of each, one after the other in every round, in an order that changes."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for number in range(rounds):
        for name in list(timed)[:: 1 - 2 * (number % 2)]:
            found[name].append(timed[name]())
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def lookups(which: str, operands: Operands) -> Callable[[], None]:
    """A lookup of every slot, one after the other."""
    backend = load(which)
    each = [operands.prepared(backend(), slot) for slot in operands.slots]

    def call() -> None:
        for lookup in each:
            lookup()

    return call


def mapped_beside_small_pages(folder: Path, vocab: int) -> str:
    case, arrays = Case(vocab, DIM, batch=BATCH, placement="file", cache="hot"), HostArrays()
    batches = ids.draw_apart(case, SLOTS, 0)
    file = table_file.mapped(folder, case)
    pages.load(file)
    small = build_table(arrays, Case(vocab, DIM, "float32", placement="small-pages"))
    tables = {"file": file, "small": small}
    calls = {name: lookups("numba_cpu", lay_out(case, arrays, t, batches)) for name, t in tables.items()}
    for call in calls.values():
        call()
    took = in_turns(ROUNDS, **{name: lambda call=call: seconds(call) for name, call in calls.items()})
    share = took["small"] / took["file"]
    return f"numba_cpu on a mapped file: {share:.3f} of its speed on small pages (target {MAPPED})"


def reads_beside_plain_ones(folder: Path, vocab: int) -> list[str]:
    case, arrays = Case(vocab, DIM, batch=BATCH, placement="file"), HostArrays()
    table = table_file.mapped(folder, case)
    operands = lay_out(case, arrays, table, ids.draw_apart(case, 1, 0))
    lines = []
    for count in THREADS:
        backend = type("Pool", (load("numba_pread"),), {"threads": count})
        pool = operands.prepared(backend(), operands.slots[0])

        def cold(call: Callable[[], object]) -> float:
            pages.evict(table)
            time.sleep(0.05)
            pages.evict(table)
            return seconds(call)

        numbers = operands.slots[0].batch
        took = in_turns(
            5,
            pool=lambda: cold(pool),  # noqa: B023 - called in this turn of the loop
            plain=lambda: cold(lambda: plain_reads(str(table.filename), numbers, count)),  # noqa: B023
        )
        share, per_s = took["plain"] / took["pool"], BATCH / took["pool"]
        lines.append(f"{count:3} threads: {per_s:9,.0f} rows/s, {share:.3f} of plain reads (target {READ})")
    return lines


def plain_reads(path: str, blocks: np.ndarray, threads: int) -> None:
    """Read these blocks of 4 KB, so many threads a share each, and do nothing with them."""
    file, size = os.open(path, os.O_RDONLY), 4 * DIM

    def read(share: Sequence[int]) -> None:
        buffer = [bytearray(size)]
        for number in share:
            os.preadv(file, buffer, number * size)

    workers = [
        threading.Thread(target=read, args=(part.tolist(),)) for part in np.array_split(blocks, threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    os.close(file)


def building_beside_writing(folder: Path, vocab: int, rounds: int = 3) -> str:
    case = Case(vocab, DIM, placement="file")
    path, plain = table_file.path_of(folder, case), folder / "plain"
    block = np.random.default_rng(0).bytes(BLOCK_BYTES)

    def build() -> float:
        path.unlink(missing_ok=True)
        return seconds(lambda: table_file.mapped(folder, case))

    def write() -> float:
        def whole() -> None:
            with plain.open("wb", buffering=0) as file:
                for _ in range(-(-case.table_bytes // BLOCK_BYTES)):
                    file.write(block)
                os.fsync(file.fileno())

        took = seconds(whole)
        plain.unlink()
        return took

    took = in_turns(rounds, build=build, write=write)
    share, speed = took["write"] / took["build"], case.table_bytes / took["build"] / 1e9
    return (
        f"a table file of {case.table_bytes / 1e9:.1f} GB: built at {speed:.2f} GB/s, {share:.3f} of plain "
        + (f"writing (target {BUILT})")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", default="tables", type=Path)
    parser.add_argument("--gb", default=6.0, type=float)
    given = parser.parse_args()
    given.tables.mkdir(parents=True, exist_ok=True)
    vocab = round(given.gb * 1e9 / (4 * DIM))
    print(f"{given.tables}: {filesystem(given.tables)}")
    try:
        print(building_beside_writing(given.tables, vocab))
        print(mapped_beside_small_pages(given.tables, vocab))
        print("\n".join(reads_beside_plain_ones(given.tables, vocab)))
    finally:
        table_file.path_of(given.tables, Case(vocab, DIM)).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
