"""Residency: pages are put in and out of the page cache, counted, and what can't be so has its reason."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.cases.case import Case
from suite.engine.placement import pages, residency, table_file
from suite.engine.placement.residency import Residency
from suite.machine.filesystem import FileSystem, filesystem
from suite.records import figures

COLD = Case(20_000, 256, "float32", 16, placement="file")
HOT = Case(20_000, 256, "float32", 16, cache="hot", placement="file")
DISK = FileSystem("ext4", "vda", 10**9)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("tables")
    if filesystem(folder).why_not_cold():
        pytest.skip("the folder of temporary files is on no disk")
    yield table_file.mapped(folder, COLD)


def test_a_file_is_brought_to_the_cache_state_of_its_case(table: Any) -> None:
    of = Residency(table, 1, DISK)
    assert residency.why_not(table, HOT) is None
    assert of.resident().value == 1.0
    assert residency.why_not(table, COLD) is None
    assert of.resident().value == 0.0, "though all of it was in this process's page table"
    table[7].max()
    assert 0 < (of.resident().value or 0) <= 1, "a lookup has brought some of it back"


def test_a_table_in_memory_has_no_pages_to_watch() -> None:
    memory = np.zeros((4, 4), np.int32)
    assert Residency.of(memory, Case(4, 4), 1) is None
    assert residency.why_not(memory, Case(4, 4)) is None


def test_what_a_turn_reads_is_counted_by_page_and_by_byte(table: Any) -> None:
    """By pread, whose pages are known; a mapping reads as far around them as its device is told to."""
    of = Residency(table, 10 * COLD.row_bytes, filesystem(str(table.filename)))
    watch, file = of.watch(), os.open(str(table.filename), os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(residency.LOOKS + 1):
        of.evict()
        with watch.turn(lookups=2):
            for row in range(0, 20_000, 1000):  # 20 rows, each a quarter of a page
                os.pread(file, COLD.row_bytes, row * COLD.row_bytes)
    os.close(file)
    facts = watch.facts()
    assert set(facts) == {name for name in figures.TELEMETRY if name.startswith("file_")}
    assert facts["file_resident_fraction_before"] == 0.0
    assert facts["file_resident_fraction_after"] == pytest.approx(20 / 5000)
    assert facts["file_read_pages_per_lookup"] == 10
    if facts["file_device"] is not None:
        assert facts["file_read_bytes_per_lookup"] == 10 * 4096
        assert facts["file_over_read"] == 4.0


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("tmpfs", "tmpfs keeps its files in memory"),
        ("nfs4", "nfs4 is served from elsewhere"),
        ("fuse.sshfs", "fuse.sshfs is served from elsewhere"),
    ],
)
def test_where_nothing_can_be_made_cold_that_is_the_reason(
    table: Any, monkeypatch: pytest.MonkeyPatch, kind: str, says: str
) -> None:
    monkeypatch.setattr(residency, "filesystem", lambda _: FileSystem(kind, None, 0))
    assert str(residency.why_not(table, COLD)).startswith(f"cold: {says}")
    assert residency.why_not(table, HOT) is None


def refused(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_kernel_that_evicts_nothing_is_a_reason(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fadvise", refused)
    assert residency.why_not(table, COLD) == "cold: its pages can't be evicted (Operation not permitted)"
    pages.load(table)
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: None)
    assert (
        residency.why_not(table, COLD)
        == "cold: 100% of its pages stay in the page cache, whatever it is told"
    )


def test_where_mincore_is_refused_the_figures_have_a_reason(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pages._call
    monkeypatch.setattr(
        pages, "_call", lambda name, *more: (refused if name == "mincore" else real)(name, *more)
    )
    assert residency.why_not(table, COLD) is None, "it is evicted, as far as anyone knows"
    watch = Residency(table, 1, DISK).watch()
    with watch.turn(1):
        table[5].max()
    facts = watch.facts()
    assert facts["file_resident_fraction_before"] is None
    assert facts["file_resident_fraction_before_missing"] == "mincore is refused (Operation not permitted)"
    assert facts["file_read_pages_per_lookup"] is None
    assert isinstance(facts["file_read_bytes_per_lookup"], float)


def test_where_the_bytes_are_not_counted_there_is_a_reason(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Residency(table, 1, FileSystem("nfs", None, 0)).watch()
    with watch.turn(1):
        pass
    assert watch.facts()["file_over_read_missing"] == "nfs has no device of its own"
    monkeypatch.setattr(residency, "text", lambda *_: None)
    watch = Residency(table, 1, DISK).watch()
    with watch.turn(1):
        pass
    assert watch.facts()["file_read_bytes_per_lookup_missing"] == "/proc/self/io can't be read"


def test_a_kernel_before_5_14_loads_by_touching_the_pages(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pages._call

    def older(name: str, start: int, length: int, what: Any) -> None:
        if name == "madvise" and what.value == pages._MADV_POPULATE_READ:
            raise OSError(errno.EINVAL, "no such advice")
        real(name, start, length, what)

    residency.why_not(table, COLD)
    monkeypatch.setattr(pages, "_call", older)
    pages.load(table)
    assert Residency(table, 1, DISK).resident().value == 1.0


def test_small_pages_are_small(tmp_path: Path) -> None:
    from suite.engine.arrays import HostArrays
    from suite.engine.operands import build_table

    arrays = HostArrays()
    small = build_table(arrays, Case(20_000, 256, "float32", placement="small-pages"))
    assert arrays.huge_pages(small) == 0.0
    assert np.array_equal(small, build_table(arrays, Case(20_000, 256, "float32")))
