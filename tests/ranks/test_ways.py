"""Every way, with as many ranks as threads of one process: each bit of every rank's result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import distributed

from backends.base import Unsupported
from backends.ranks import load, names
from backends.ranks.base import Place
from suite.cases import ids
from suite.cases.case import Case
from suite.ranks import part, split

DTYPES = ("float32", "bfloat16")


@pytest.fixture(scope="module", autouse=True)
def threads_are_ranks() -> Iterator[None]:
    """torch's own process group of threads, as its tests use it."""
    from torch.testing._internal.distributed import multi_threaded_pg

    multi_threaded_pg._install_threaded_pg()
    torch._C._distributed_c10d._set_thread_isolation_mode(True)
    yield
    torch._C._distributed_c10d._set_thread_isolation_mode(False)
    multi_threaded_pg._uninstall_threaded_pg()


def on_all(ranks: int, work: Callable[[int], Any]) -> list[Any]:
    """What each rank gives, in order; the first error of any is raised."""
    store, done, errors = distributed.HashStore(), [None] * ranks, []

    def run(rank: int) -> None:
        try:
            distributed.init_process_group("threaded", rank=rank, world_size=ranks, store=store)
            done[rank] = work(rank)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)
    return done


def looked_up(name: str, case: Case, ranks: int) -> list[Any]:
    """What differs from the right rows, by rank."""
    way = load(name)
    size = case.vocab if way.sharding == "row" else case.dim
    batch = ids.draw_edges(case, 1).astype(np.int64)

    def work(rank: int) -> Any:
        each, group = split.each_of(size, ranks), distributed.group.WORLD
        place = Place(rank, ranks, case.vocab, case.dim, each, case.batch, "cpu", "gloo", group)
        mine = part.build(case, way.sharding, place)
        share = batch[rank * place.ids_each : (rank + 1) * place.ids_each]
        given = torch.from_numpy((share if way.ids == "share" else batch).copy())
        call = way().prepare(mine, given, place)
        result = call(lambda _: None)
        return part.differing(result, share if way.result == "share" else batch, case, way.sharding, place)

    return on_all(ranks, work)


@pytest.mark.parametrize("ranks", [1, 3, 8, 64])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in names() if not name.startswith(("dtensor", "torchrec"))])
def test_rows_are_right_on_every_rank(name: str, dtype: str, ranks: int) -> None:
    """Sums that see values may lose the sign of zeros and nothing else; the others lose no bit."""
    dim = 128 if load(name).sharding == "column" and ranks != 3 else 6
    found = [each for each in looked_up(name, Case(64 * 17 - 3, dim, dtype, 3 * 64), ranks) if each]
    sums_values = name in ("masked_all_reduce", "masked_reduce_scatter")
    assert not [each for each in found if not (sums_values and each.zeros)]


def test_columns_that_do_not_divide_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="7 columns do not divide by 3 ranks"):
        looked_up("column_all_gather", Case(50, 7), 3)


def test_the_bytes_of_a_sum_are_counted_as_rings_count_them() -> None:
    place = Place(0, 4, 1000, 16, 250, 64, "cpu", "nccl")
    sent = {name: load(name).wire_bytes(place, 64, 10) for name in names()}
    whole = 64 * 64 * 3 / 4
    assert sent["masked_all_reduce"] == sent["masked_all_reduce_bits"] == sent["dtensor_row"] == 2 * whole
    assert sent["masked_reduce_scatter"] == sent["column_all_gather"] == sent["dtensor_column"] == whole
    assert sent["all_to_all"] == 16 * 3 / 4 * (8 + 64) + 8 * 3
    assert sent["all_to_all_distinct"] == 10 * 3 / 4 * (8 + 64) + 8 * 3
