"""The ways of PyTorch's DTensor, by its simulation of ranks in one process: each bit of every rank's result.

It runs one program for all ranks, so it can't stand for the other ways, which compute with their own number.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import distributed

from backends.ranks import load, names
from backends.ranks.base import Place
from suite.cases import ids
from suite.cases.case import Case
from suite.ranks import part, split

simulation = pytest.importorskip("torch.distributed._local_tensor", reason="torch simulates no ranks here")


@pytest.mark.parametrize("ranks", [1, 3, 8, 64])
@pytest.mark.parametrize("name", [name for name in names() if name.startswith("dtensor")])
def test_rows_are_right_on_every_simulated_rank(name: str, ranks: int) -> None:
    """But for the sign of zeros, where rows are summed; the last rank holds fewer rows than the others."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    way = load(name)
    case = Case(64 * 17 - 3, 6 if ranks == 3 else 128, "float32", 3 * 64)
    batch = torch.from_numpy(ids.draw_edges(case, 1).astype(np.int64))
    each = split.each_of(case.vocab if way.sharding == "row" else case.dim, ranks)
    distributed.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    try:
        group = distributed.group.WORLD
        places = [
            Place(rank, ranks, case.vocab, case.dim, each, case.batch, "cpu", "gloo", group)
            for rank in range(ranks)
        ]
        with simulation.LocalTensorMode(ranks) as mode:
            parts = mode.rank_map(lambda rank: part.build(case, way.sharding, places[rank]))
            given = mode.rank_map(lambda rank: batch.clone())
            rows = way().prepare(parts, given, places[0])(lambda _: None)
        for place in places:
            own = rows._local_tensors[place.rank]
            found = part.differing(own, batch.numpy(), case, way.sharding, place)
            assert not found or (found.zeros and way.sharding == "row"), found
    finally:
        distributed.destroy_process_group()
