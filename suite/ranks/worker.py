"""A rank's worker, started by its agent: python -m suite.ranks.worker ORDERS ANSWERS NOTES PARENT"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.ranks.base import Place
from suite.ranks import split
from suite.ranks.job import Job, Notes
from suite.ranks.result import Answer, Rank, Result, Ways
from suite.worker.process import belong_to

if TYPE_CHECKING:
    from suite.ranks.contest import Contest

PATIENCE = 4
"""The ranks' own limit of an exchange, in limits of a step: the agents are to notice first, and say who."""


def main(orders: int, answers: int, noted: int, parent: int) -> None:
    """Do one job and answer with one line."""
    belong_to(parent)
    notes = Notes(noted)
    with os.fdopen(orders, "rb") as given:
        job = Job.of_line(given.readline())
    notes.begin(None, "meet the other ranks")
    place = _meet(job)

    from suite.ranks.contest import Contest

    contest = Contest(job, place, notes)
    contest.run()
    notes.begin(None, "gather the samples")
    answer = json.dumps(asdict(Answer(_results(contest)))) + "\n"
    with os.fdopen(answers, "wb") as pipe:
        pipe.write(answer.encode())


def _meet(job: Job) -> Place:
    """This rank among the others."""
    import torch
    from torch import distributed as dist

    distributed: Any = dist  # its stores have no types

    device, backend = ("cpu", "gloo") if job.gpu is None else (f"cuda:{job.gpu}", "nccl")
    if job.gpu is not None:
        torch.cuda.set_device(job.gpu)
    limit = timedelta(seconds=PATIENCE * job.timeout_s)
    store = distributed.TCPStore(job.host, job.port, is_master=False, timeout=limit)
    distributed.init_process_group(
        backend,
        store=distributed.PrefixStore(f"{job.attempt}/group", store),
        rank=job.rank,
        world_size=job.ranks,
        timeout=limit,
    )
    size = job.case.vocab if job.sharding == "row" else job.case.dim
    each = split.each_of(size, job.ranks)
    case, group = job.case, distributed.group.WORLD
    return Place(job.rank, job.ranks, case.vocab, case.dim, each, case.batch, device, backend, group)


def _results(contest: Contest) -> tuple[Result, ...]:
    """What came of each way, every rank's samples in it; on all ranks the same."""
    place, case = contest.place, contest.case
    distinct, imbalance = _of_the_ids(contest)
    found = []
    for one in contest.contenders:
        times = tuple(map(tuple, one.samples_s)), tuple(one.lookup_s), tuple(one.exchange_s), one.sent_bytes
        ranks = tuple(Rank(*each) for each in contest.of_all(times))
        shares = distinct["share" if one.way.ids == "share" else "all"]
        wire = one.way.wire_bytes(place, case.row_bytes, round(shares))
        ways = Ways(
            one.name, contest.job.sharding, place.ranks, place.backend, place.device.partition(":")[0]
        )
        found.append(Result(case, ways, one.status, one.reason, ranks, wire, imbalance))
    return tuple(found)


def _of_the_ids(contest: Contest) -> tuple[dict[str, float], float]:
    """Different ids of what one rank is given, on average; and how unevenly rows are asked of ranks."""
    place, batches = contest.place, contest.batches
    shares = [np.array_split(batch, place.ranks) for batch in batches]
    distinct = {
        "all": float(np.mean([len(np.unique(batch)) for batch in batches])),
        "share": float(np.mean([len(np.unique(share)) for each in shares for share in each])),
    }
    if contest.job.sharding == "column":
        return distinct, 1.0
    asked = [np.bincount(batch // place.each, minlength=place.ranks) for batch in batches]
    return distinct, float(np.mean([counts.max() / counts.mean() for counts in asked]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
