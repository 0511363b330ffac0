"""Options of a run over ranks, and which rank this process is: all a user can get wrong is caught here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends import UnknownBackend
from backends.ranks import names, sharding_of
from suite.cases.case import DISTRIBUTIONS, MAX_SIZE, Case, Sweep, plan
from suite.cases.dtypes import DTYPE_BYTES
from suite.cases.presets import MODELS, model_sweep
from suite.command import BadRequest, Parser, list_of, named, path_of, seconds_of, whole_of
from suite.machine.threads import number_of_threads
from suite.ranks import split

PORT = 29500
LIMIT_S, TIMEOUT_S = 5.0, 60.0
MOST_RANKS = 65_536


@dataclass(frozen=True, slots=True)
class Here:
    """Which rank this is, as torchrun or SLURM said it.

    Attributes:
        local: its number on its host. host, port: where rank 0 listens. served: whether torchrun does.
    """

    rank: int
    ranks: int
    local: int
    host: str
    port: int
    served: bool


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured; values only."""

    cases: tuple[Case, ...]
    shardings: tuple[str, ...]
    ways: tuple[str, ...]
    gpu: bool
    limit_s: float
    timeout_s: float
    seed: int
    out: str | None
    threads: int

    def ways_of(self, sharding: str) -> tuple[str, ...]:
        """Those of one sharding."""
        return tuple(way for way in self.ways if sharding_of(way) == sharding)


def here(environ: Mapping[str, str] = os.environ) -> Here:
    """Which rank this process is; the only one, where nothing started several.

    Raises:
        BadRequest: the variables are there and say nothing that holds together.
    """
    words = {name: environ.get(name) or environ.get(other) for name, other in _NAMES.items()}
    if words["RANK"] is None and words["WORLD_SIZE"] is None:
        return Here(0, 1, 0, "127.0.0.1", 0, False)
    try:
        rank, ranks, local = (int(words[name] or "") for name in _NAMES)
        port = int(environ.get("MASTER_PORT") or PORT)
    except ValueError:
        raise BadRequest(
            f"{', '.join(_NAMES)}: not all are numbers; start it with torchrun or srun"
        ) from None
    if not (0 <= rank < ranks <= MOST_RANKS and 0 <= local < ranks and 0 < port < 65536):
        raise BadRequest(f"RANK {rank} of WORLD_SIZE {ranks}: no such rank; start it with torchrun or srun")
    host = environ.get("MASTER_ADDR") or ("127.0.0.1" if ranks == 1 else None)
    if host is None:
        raise BadRequest("MASTER_ADDR: not set; set it to the host of rank 0")
    return Here(rank, ranks, local, host, port, environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True")


_NAMES = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}


def parse(argv: Sequence[str]) -> Request:
    """The request in argv.

    Raises:
        BadRequest: for a value nobody can use, in one line.
        SystemExit: after ``--help`` (0) and after a complaint of the parser (2).
    """
    given = _parser().parse_args(argv)
    axes = {name: getattr(given, name) for name in ("vocab", "dim", "dtype", "batch", "distribution")}
    if bool(given.vocab) != bool(given.dim):
        raise BadRequest("--vocab: and --dim are given together; give both, or --model")
    if given.model and given.vocab:
        raise BadRequest("--model: given together with --vocab; give one of them")
    sweeps = [model_sweep(name) for name in given.model or (() if given.vocab else ("llama-3-8b",))]
    try:
        cases = plan(sweeps or [Sweep(given.vocab, given.dim)], **axes)
        ways = tuple(given.way or names())
        shardings = tuple(dict.fromkeys(sharding_of(way) for way in ways))
        threads = given.threads or number_of_threads()
    except (ValueError, UnknownBackend) as error:
        raise BadRequest(str(error)) from None
    wanted = tuple(s for s in given.sharding or split.SHARDINGS if s in shardings)
    if not wanted:
        raise BadRequest(f"--sharding: no way of it; the ways given are for {', '.join(shardings)}")
    return Request(cases, wanted, ways, given.gpu, given.limit, given.timeout, given.seed, given.out, threads)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        "torchrun --nproc-per-node N -m suite.ranks",
        description="Measure lookups of one table in parts on N ranks, and check every bit on each.",
    )
    size = list_of(whole_of("size", 1, MAX_SIZE))
    parser.add_argument("--model", metavar="NAME,…", type=list_of(named("model", MODELS)))
    parser.add_argument("--vocab", metavar="N,…", type=size, help="rows of the whole table")
    parser.add_argument("--dim", metavar="N,…", type=size, help="elements of a row")
    parser.add_argument("--dtype", metavar="D,…", type=list_of(named("dtype", DTYPE_BYTES)))
    parser.add_argument("--batch", metavar="N,…", type=size, help="ids of a lookup, of all ranks together")
    parser.add_argument("--distribution", metavar="D,…", type=list_of(named("distribution", DISTRIBUTIONS)))
    parser.add_argument(
        "--sharding", metavar="S,…", type=list_of(named("sharding", split.SHARDINGS)), help="row, column"
    )
    parser.add_argument("--way", nargs="+", metavar="NAME|FILE", help=f"of {', '.join(names())}; default all")
    parser.add_argument("--gpu", action="store_true", help="a GPU a rank, by its number on the host; NCCL")
    parser.add_argument("--threads", metavar="N", type=whole_of("threads", 1, 4096), help="of each rank")
    parser.add_argument("--limit", metavar="T", type=seconds_of, default=LIMIT_S, help="for a case's rounds")
    parser.add_argument("--timeout", metavar="T", type=seconds_of, default=TIMEOUT_S, help="for one step")
    parser.add_argument("--seed", metavar="N", type=whole_of("seed", 0, 2**32), default=0)
    parser.add_argument("--out", metavar="F", type=path_of, help="write the results there, as JSON")
    return parser
