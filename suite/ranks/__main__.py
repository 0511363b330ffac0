"""Lookups of one table over ranks, each started by torchrun or srun: python -m suite.ranks"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from suite.cases.case import Case
from suite.command import CHECK_FAILED, DONE, BadRequest, execute, refuse
from suite.ranks import split
from suite.ranks.agent import Agent
from suite.ranks.job import Job
from suite.ranks.options import Here, Request, here, parse
from suite.ranks.result import SCHEMA, Result
from suite.ranks.terminal import lines
from suite.stats import ASSUMED_NOISE_FLOOR

MEET_S = 600.0
"""So long an agent waits for the others."""
MEMORY_SHARE = 0.8
"""Of the memory that is free, what the parts of all ranks of a host may take."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of every rank; returns the exit code, which is rank 0's to mean something."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        request, place = parse(argv), here()
        store = _store(place)
        hosts = _hosts(store, place)
        _require_room(request, place, hosts)
        results = list(_measured(request, place, store, len(set(hosts))))
        if place.rank:
            return DONE
        print(*lines(results, ASSUMED_NOISE_FLOOR), sep="\n", flush=True)
        if request.out:
            _write(Path(request.out), _json(results, argv, place))
    except BadRequest as error:
        return refuse(error)
    failed = [r for r in results if not r.completed and r.status not in ("unavailable", "unsupported")]
    return CHECK_FAILED if failed or not any(r.completed for r in results) else DONE


def _store(place: Here) -> Any:
    """Where all agents meet: torchrun's own, or else one that rank 0 keeps."""
    from torch import distributed

    kind: Any = distributed  # its stores have no types
    try:
        return kind.TCPStore(
            place.host,
            place.port,
            place.ranks,
            is_master=place.rank == 0 and not place.served,
            timeout=timedelta(seconds=MEET_S),
            wait_for_workers=False,
        )
    except distributed.DistError as error:
        reason = " ".join(str(error).split())[:200]
        raise BadRequest(f"{place.host}:{place.port}: can't be met at ({reason}); set MASTER_PORT") from None


def _hosts(store: Any, place: Here) -> list[str]:
    """Which host each rank is on."""
    store.set(f"host/{place.rank}", socket.gethostname())
    return [store.get(f"host/{rank}").decode() for rank in range(place.ranks)]


def _require_room(request: Request, place: Here, hosts: Sequence[str]) -> None:
    """Refuse a table whose parts do not fit the memory of a host, before anything is built."""
    from suite.machine.environment import available_bytes

    if request.gpu:
        return
    here_too = hosts.count(hosts[place.rank])
    room = MEMORY_SHARE * available_bytes()
    for case in request.cases:
        need = here_too * max(split.part_bytes(case, s, place.ranks) for s in request.shardings)
        if need > room:
            parts = f"{here_too} parts of {case.table_text} take {need / 1e9:.1f} GB"
            have = f"{room / 1e9:.1f} GB are free"
            raise BadRequest(f"memory: {parts}, {have}; use more hosts, or a smaller table")


def _measured(request: Request, place: Here, store: Any, nodes: int) -> Any:
    """The results of all cases, in order."""
    at = (place.host, store.port)
    gpu = place.local if request.gpu else None
    agent = Agent(place.rank, place.ranks, gpu, store, at, request.threads)
    for case in request.cases:
        for sharding in request.shardings:
            refusal = split.refusal(case, sharding, place.ranks)
            if refusal:
                raise BadRequest(refusal)
            if not place.rank:
                print(f"{case.table_text} batch {case.batch} by {sharding}", file=sys.stderr, flush=True)
            for result in agent.measure(_job_of(request, place, case, sharding), request.ways_of(sharding)):
                yield replace(result, way=replace(result.way, nodes=nodes))


def _job_of(request: Request, place: Here, case: Case, sharding: str) -> Any:
    gpu = place.local if request.gpu else None

    def job(ways: tuple[str, ...]) -> Job:
        return Job(
            *(case, sharding, ways, place.rank, place.ranks, gpu, "", 0, ""),
            limit_s=request.limit_s,
            timeout_s=request.timeout_s,
            seed=request.seed,
        )

    return job


def _json(results: Sequence[Result], argv: Sequence[str], place: Here) -> str:
    """All that was measured, and where."""
    from suite.machine.environment import collect

    environment = collect(argv, 0, "", [], {"ranks": place.ranks}, packages=["torch"])
    found = {"schema": SCHEMA, "environment": asdict(environment), "results": [asdict(r) for r in results]}
    return json.dumps(found, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}; give another --out") from None


if __name__ == "__main__":
    execute(main)
