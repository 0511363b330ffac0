"""Merge runs of one plan, such as its shards: python -m suite.merge RUN… --out RUN"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.analysis import outcomes
from suite.command import CHECK_FAILED, DONE, BadRequest, Parser, execute, path_of, refuse
from suite.merge.missing import Plan, absent_shards, missing
from suite.merge.pool import Pool
from suite.merge.sources import Machine, Source, sources
from suite.merge.written import environment_of, written
from suite.records.store import StoreError
from suite.report import files
from suite.text import plain, shown
from suite.units import count

MOST_REFUSED_NAMED = 3
Merged = Mapping[Machine, tuple[Sequence[Source], Pool]]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 1 where results of the plan are missing."""
    parser = Parser(
        "python -m suite.merge",
        description="Put runs of one plan together, each machine's by themselves, and say what is missing.",
    )
    parser.add_argument("run", nargs="+", help="folder of a run or of runs, or a pattern such as 'shards/*'")
    out = "the merged run's folder; of several machines, the folder of their runs"
    parser.add_argument("--out", required=True, type=path_of, metavar="RUN", help=out)
    given = parser.parse_args(arguments)
    try:
        merged = {
            machine: (runs, Pool.of([source.run for source in runs]))
            for machine, runs in sources(given.run).items()
        }
        _check_records(merged)
        folders = written(Path(given.out), merged)
        for folder in folders:
            files.csv(outcomes.read([folder]), folder / "records.csv")
    except (BadRequest, StoreError) as error:
        return refuse(error)
    for folder, (runs, pool) in zip(folders, merged.values(), strict=True):
        print(shown(_summary(folder, runs, pool)))
    return _say_missing(merged)


def _check_records(merged: Merged) -> None:
    """Say which lines are no records, and refuse runs without any."""
    for runs, pool in merged.values():
        for refused in pool.refused[:MOST_REFUSED_NAMED]:
            print(plain(str(refused)), file=sys.stderr)
        if (more := len(pool.refused) - MOST_REFUSED_NAMED) > 0:
            print(f"merge: {count(more, 'more line')} that can't be read; left out", file=sys.stderr)
        if not pool.passes:
            named = ", ".join(str(source.run.path) for source in runs)
            raise BadRequest(f"{named}: no records in what there is of this machine; leave it out")


def _summary(folder: Path, runs: Sequence[Source], pool: Pool) -> str:
    where = environment_of(runs)
    device = where.gpu.get("name") or where.cpu.get("model") or "a processor"
    cases = len({(device, case) for device, case, *_ in pool.passes})
    parts = [f"{where.settings['merged_from']} of {count(len(runs), 'run')}", count(cases, "case")]
    if pool.duplicates:
        parts.append(f"{count(pool.duplicates, 'record')} twice, taken once")
    return f"{folder}  {device}: {'; '.join(parts)}"


def _say_missing(merged: Merged) -> int:
    """Print what the plan has and no run; returns the exit code."""
    first = next(source for runs, _ in merged.values() for source in runs)
    plan = Plan.of(first.environment)
    if isinstance(plan, str):
        every = [source for runs, _ in merged.values() for source in runs]
        lines = list(absent_shards(every))
        print(plain(f"merge: can't say which cases are missing, {plan}"), file=sys.stderr)
    else:
        lines = list(missing(plan, list(merged.values())))
    for line in lines:
        print(shown(line))
    return CHECK_FAILED if lines else DONE


if __name__ == "__main__":
    execute(main)
