"""Disk of a folder for table files: how many threads of reads saturate it, in some seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from backends import describe, load, missing_packages, needs
from suite import stats
from suite.cases.case import Case
from suite.command import BadRequest
from suite.units import bytes_of, gigabytes

READER = "numba_pread"
THREADS = (2, 4, 8, 16, 32, 64)
ROWS = Case(2**18, 1024, "float32", 1, placement="file")
"""A table of rows of one page each, 1.1 GB."""
ROWS_OF_A_THREAD = 16
ROUNDS, READ_S, WHOLE_S = 6, 0.1, 6.0
"""Rounds over the numbers of threads, the least time of each, and after so long no further round begins."""
SATURATED = 1.1
"""A disk is saturated by threads that take no longer than that many times as long as the fastest number."""
Rates = Mapping[int, Sequence[float]]
"""Rows a second by the number of threads, of each round."""


def in_words(folder: str) -> str:
    """How many threads saturate the disk of a folder, as a line.

    Raises:
        BadRequest: a table file can't be made there.
    """
    from suite.machine.filesystem import filesystem
    from suite.machine.lock import Busy

    if lacking := missing_packages(describe(READER).packages):
        return f"reads: not measured, as {READER} {needs(lacking)}"
    place, made = Path(folder), not Path(folder).exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        system = filesystem(place)
        if why := system.why_not_cold():
            return f"reads: not measured, as {why}"
        with _table(place) as table:
            found = measured(table)
    except Busy as busy:
        raise BadRequest(f"{folder}: its table file is in use by {busy}; wait for its end") from None
    except OSError as error:
        what = f"no table file can be made and read ({(error.strerror or str(error)).lower()})"
        room = gigabytes(ROWS.table_bytes)
        raise BadRequest(f"{folder}: {what}; give another folder with {room} free to --tables") from None
    finally:
        if made:
            with contextlib.suppress(OSError):
                place.rmdir()
    return f"reads: {system}: {_said(found)}"


def measured(table: Any, clock: Callable[[], float] = perf_counter) -> dict[int, list[float]]:
    """Rates of cold reads, the numbers of threads in turns.

    Args:
        table: ``ROWS`` in its file.
    """
    import numpy as np

    from suite.engine.placement import pages

    reader: type[Any] = load(READER)
    pools = {n: type("Pool", (reader,), {"threads": n, "least_rows": 1})() for n in THREADS}
    found: dict[int, list[float]] = {n: [] for n in THREADS}
    rng, began = np.random.default_rng(0), clock()
    while len(found[THREADS[0]]) < ROUNDS and (not found[THREADS[0]] or clock() - began < WHOLE_S):
        for n in rng.permutation(THREADS).tolist():
            ids = rng.permutation(len(table))
            size = ROWS_OF_A_THREAD * n
            out, spent_s, done = np.empty((size, table.shape[1]), table.dtype), 0.0, 0
            pages.evict(table)
            while spent_s < READ_S and done + size <= len(ids):
                lookup = pools[n].prepare(table, ids[done : done + size], out)
                start = clock()
                lookup()
                spent_s, done = spent_s + clock() - start, done + size
            found[n].append(done / spent_s)
    return found


@contextlib.contextmanager
def _table(place: Path) -> Iterator[Any]:
    from suite.engine.placement import table_file

    path = table_file.path_of(place, ROWS)
    with table_file.alone(path):
        made = not table_file.fits(path, ROWS)
        try:
            yield table_file.mapped(place, ROWS)
        finally:
            if made:
                path.unlink(missing_ok=True)


def _said(rates: Rates) -> str:
    """By how many threads it is saturated, with the interval over rounds, and the rates of all numbers."""
    known = {n: stats.order_statistics(rates[n]) for n in sorted(rates)}
    fastest = max(known, key=lambda n: known[n].value)

    def slower(n: int) -> float:
        pairs = zip(rates[fastest], rates[n], strict=True)
        return stats.order_statistics([best / own for best, own in pairs]).value

    enough = next(n for n in known if slower(n) <= SATURATED)
    rate = known[enough]
    within = f"{rate.low:,.0f} to {rate.high:,.0f}" if rate.bounded else "no interval"
    each = ", ".join(f"{n}: {one.value:,.0f}" for n, one in known.items())
    size = bytes_of(ROWS.row_bytes)
    return f"saturated by {enough} threads, {rate.value:,.0f} rows of {size} a second ({within}; {each})"
