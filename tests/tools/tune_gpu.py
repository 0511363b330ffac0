"""Why the GPU kernels are launched as they are: rows x vector width x loads in flight x threads, measured.

    python -m tests.tools.tune_gpu [--gpu N] [--backend NAME ...] [--seconds S] [--dry-run]

writes a section a backend into results/tuning/<gpu>.md: for each shape the speed as the backend launches
itself, the fastest of all choices, and the one over the other; and every choice into a .csv beside it.

Ids are uniform, rows cold: the cache is swept before each kernel. Choices take turns in shuffled order behind
a held queue; a speed is that of the median kernel. Each choice is checked bit for bit first.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from backends import cupy_bulk, cupy_rawkernel, distributions, load, numba_cuda, triton_gather
from suite.cases.case import Case
from suite.records.device import Device
from tests.tools.tuning import Section, report_of, write

Geometry = Callable[..., Any]
Choices = dict[str, Geometry]
Speeds = dict[str, float | str]

CHOSEN = "chosen"
SHAPES = (
    *((row, 65536) for row in (16, 32, 64, 128, 256, 512, 1024)),
    *((row, 8192) for row in (4096, 8192, 32768)),
    *((row, batch) for row in (1024, 16384) for batch in (1, 4, 16, 17, 128, 1024)),
    *((row, 8192) for row in (28, 516, 6404)),
)
"""(bytes of a row, batch): short rows by the many, long ones, few tokens, rows that no 8 bytes divide."""
TABLE_BYTES = 2**31
THREADS = (64, 128, 256)
SLOTS = 2
"""Batches: to prepare one for each choice takes as long as to compile it."""
SAMPLES = 16
MOST_ROUNDS = 200


def case_of(row_bytes: int, batch: int) -> Case:
    """A table of rows of int8, so that any width of row can be; larger than any cache."""
    return Case(TABLE_BYTES // max(row_bytes, 64), row_bytes, "int8", batch)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)


def _widths(row_bytes: int, most: int, least: int) -> list[int]:
    """The widths of a load, widest first, that divide the row."""
    return [w for w in (16, 8, 4, 2, 1) if least <= w <= most and row_bytes % w == 0][:3]


def cupy_choices(row_bytes: int, batch: int) -> Choices:
    """By width of a vector, loads a thread has in flight along the batch and along the row, and threads."""
    found: Choices = {}
    for width in _widths(row_bytes, 16, 1):
        vectors = row_bytes // width
        for tokens, columns in ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (2, 2), (1, 4), (2, 4), (1, 8)):
            if columns > 1 and vectors < 32 * columns // 2:
                continue
            for threads in THREADS:
                segments = _ceil(vectors, columns * threads)
                lanes = _ceil(vectors, columns * segments)
                groups = threads // lanes
                grid = segments, min(_ceil(batch, tokens * groups), 65535)

                def geometry(
                    _row: int,
                    index_bytes: int,
                    *_: int,
                    width: int = width,
                    loads: tuple[int, int] = (tokens, columns),
                    launch: Any = (grid, (lanes, groups), vectors),
                ) -> Any:
                    types = cupy_rawkernel.VECTORS[width], cupy_rawkernel.INDICES[index_bytes]
                    return cupy_rawkernel.Geometry(
                        f"gather_rows<{', '.join(types)}, {loads[0]}, {loads[1]}>", *launch
                    )

                found[f"{width} B, {tokens} tokens x {columns}, {threads} threads"] = geometry
    return found


def bulk_choices(row_bytes: int, batch: int) -> Choices:
    """By bytes of a piece of a row, rows in a slot, and slots of a block; none for rows of other sizes."""
    found: Choices = {}
    for most in (512, 1024, 2048, 4096, 8192) if row_bytes % 16 == 0 else ():
        pieces = _ceil(row_bytes, most)
        piece = _ceil(row_bytes // 16, pieces) * 16
        for tokens in (1, 2, 4, 8) if pieces == 1 else (1,):
            for threads in (1, 2, 4, 8, 16, 32):
                shared = 32 * 8 + threads * tokens * piece
                grid = _ceil(row_bytes, piece), min(_ceil(batch, tokens * threads), 65535)

                def geometry(
                    _row: int,
                    index_bytes: int,
                    *_: int,
                    tokens: int = tokens,
                    launch: Any = (grid, (threads,), shared),
                ) -> Any:
                    kernel = f"gather_bulk<{cupy_bulk.INDICES[index_bytes]}, {tokens}>"
                    return cupy_bulk.Geometry(kernel, *launch)

                if shared <= 48 << 10:
                    found[f"pieces of {piece} B, {tokens} rows, {threads} slots"] = geometry
    return found


def numba_choices(row_bytes: int, batch: int) -> Choices:
    """By width of an element, four loads along the batch or along the row, and threads."""
    found: Choices = {}
    for width in _widths(row_bytes, 8, 1):
        columns = row_bytes // width
        for tall in (0, 1):
            for threads in (*THREADS, 512):
                steps = 1 if tall else 4
                segments = _ceil(columns, steps * threads)
                lanes = _ceil(columns, steps * segments)
                groups = threads // lanes
                blocks = min(_ceil(batch, groups * 4 if tall else groups), 65535)
                made = numba_cuda.Geometry(np.dtype(f"i{width}"), tall, (segments, blocks), (lanes, groups))
                along = "4 tokens" if tall else "4 of a row"
                found[f"{width} B, {along}, {threads} threads"] = _always(made)
    return found


def triton_choices(row_bytes: int, batch: int) -> Choices:
    """By width of an element and bytes of a tile."""
    found: Choices = {}
    for width in _widths(row_bytes, 8, 1):
        columns = row_bytes // width
        for tile_bytes in (1024, 2048, 4096, 8192, 16384):
            wide = min(tile_bytes // width, 1 << (columns - 1).bit_length())
            high = tile_bytes // width // wide
            made = triton_gather.Geometry(width, (high, wide), (_ceil(batch, high), _ceil(columns, wide)))
            found[f"{width} B, tile of {tile_bytes} B"] = _always(made)
    return found


def _always(made: Any) -> Geometry:
    return lambda *_: made


BACKENDS: dict[str, tuple[ModuleType, Callable[[int, int], Choices]]] = {
    "cupy_rawkernel": (cupy_rawkernel, cupy_choices),
    "cupy_bulk": (cupy_bulk, bulk_choices),
    "numba_cuda": (numba_cuda, numba_choices),
    "triton_gather": (triton_gather, triton_choices),
}


def choices(name: str, row_bytes: int, batch: int) -> Choices:
    """What a backend chooses, then everything else; by a label that says what it is."""
    module, others = BACKENDS[name]
    return {CHOSEN: module.geometry, **others(row_bytes, batch)}


@contextmanager
def launched(module: ModuleType, geometry: Geometry) -> Iterator[None]:
    """A backend's module with another geometry than its own."""
    own = module.geometry
    module.geometry = geometry  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.geometry = own  # type: ignore[attr-defined]


def speeds(name: str, row_bytes: int, batch: int, place: tuple[Device, int], seconds: float) -> Speeds:
    """GB/s of payload by choice, or why there is none.

    Args:
        place: the device, and the bytes of its last-level cache.
    """
    from suite.cases import ids
    from suite.engine import check, operands, rotation
    from suite.engine.arrays import arrays_on
    from suite.engine.clocks.choice import clock_of
    from suite.engine.clocks.cuda import Flushes

    case, (device, cache_bytes) = case_of(row_bytes, batch), place
    arrays = arrays_on(device)
    table = operands.build_table(arrays, case)
    laid_out = operands.lay_out(case, arrays, table, ids.draw_apart(case, SLOTS, 0))
    found: Speeds = {}
    lookups: dict[str, list[Any]] = {}
    for label, geometry in choices(name, row_bytes, batch).items():
        backend = load(name)()
        try:
            with launched(BACKENDS[name][0], geometry):
                lookups[label] = [laid_out.prepared(backend, slot) for slot in laid_out.slots]
            reason = check.check(laid_out, laid_out.slots[0], lookups[label][0], backend.clock, 0)[0]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        if reason:
            found[label] = reason
            lookups.pop(label, None)
    flush = rotation.flush_of(arrays, cache_bytes)
    clock = clock_of(device, "device", Flushes(flush, flush), SLOTS)
    times: dict[str, list[float]] = {label: [] for label in lookups}
    rng, deadline = np.random.default_rng(0), time.monotonic() + seconds
    for rounds in range(MOST_ROUNDS):
        for label in rng.permutation(list(lookups)):
            turn = clock.turn(lookups[label][:1], lookups[label] * (SAMPLES // SLOTS), 1)
            times[label] += turn.kernel_s
        if rounds >= 2 and time.monotonic() > deadline:
            break
    return found | {label: case.payload_bytes / float(np.median(s)) / 1e9 for label, s in times.items()}


def tune(name: str, place: tuple[Device, int], seconds: float, path: Path) -> Section:
    """One backend over all shapes; ``path`` is the report's."""
    about = (
        "GB/s of payload as the backend launches itself, by the fastest choice, and the one over the other; "
        f"of the shapes and choices of `{Path(__file__).name} --dry-run`."
    )
    section = Section(name, about, ["row B", "batch", "chosen", "fastest", "ratio", "which"])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.stem}-{name}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["row_bytes", "batch", "choice", "gb_per_s", "reason"])
        for row_bytes, batch in SHAPES:
            found = speeds(name, row_bytes, batch, place, seconds)
            for label, speed in found.items():
                cells = ("", speed) if isinstance(speed, str) else (speed, "")
                rows.writerow([row_bytes, batch, label, *cells])
            known = {label: speed for label, speed in found.items() if not isinstance(speed, str)}
            if CHOSEN not in known:
                section.add(str(row_bytes), str(batch), "", "", "", str(found[CHOSEN]))
                continue
            best = max(known, key=lambda label: known[label])
            ratio = known[CHOSEN] / known[best]
            section.add(str(row_bytes), str(batch), known[CHOSEN], known[best], ratio, best)
    return section


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit code."""
    form, every = argparse.RawDescriptionHelpFormatter, list(BACKENDS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--gpu", type=int, default=0, metavar="N")
    parser.add_argument("--backend", nargs="+", choices=every, default=every, metavar="NAME")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="a shape (default: 1)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and end")
    given = parser.parse_args(argv)
    if given.dry_run:
        total = 0
        for name in given.backend:
            for row_bytes, batch in SHAPES:
                labels = list(choices(name, row_bytes, batch))
                total += len(labels)
                print(f"{name}  {case_of(row_bytes, batch)}  {len(labels)} choices: {'; '.join(labels)}")
        print(f"{len(given.backend) * len(SHAPES)} shapes, {total} choices, each checked and timed")
        return 0
    from suite.machine.cuda_device import probe

    found = probe(given.gpu)
    if isinstance(found, str):
        print(f"gpu {given.gpu}: not there, {found}; try --dry-run", file=sys.stderr)
        return 2
    path, place = report_of(found.name), (Device("cuda", given.gpu), found.l2_bytes)
    for name in given.backend:
        section = tune(name, place, given.seconds, path)
        facts = f"{datetime.now(UTC):%Y-%m-%d}, {found.name}, {_versions(name)}"
        write(path, "python -m tests.tools.tune_gpu", section, facts, every)
    return 0


def _versions(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    known = []
    for package in distributions(load(name).packages):
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(known) or "nothing installed"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
