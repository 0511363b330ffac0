"""What a merge lacks: results of a plan that no run has, with the command that measures them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from suite.command import BadRequest
from suite.merge.pool import Contender, Pool
from suite.merge.sources import Source, options_of
from suite.records.record import Environment
from suite.run.inputs import with_ids
from suite.run.options import parse
from suite.run.schedule import Task, digest, tasks_of
from suite.run.shard import Shard
from suite.units import count
from suite.worker.budget import MOST_PASSES

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The tasks of a plan, and the environments that each is measured in."""

    tasks: Sequence[Task]
    environments: Sequence[str | None]

    @classmethod
    def of(cls, environment: Environment) -> Plan | str:
        """The plan that a run was made by, from its options; or why it is not known here."""
        words, threads = options_of(environment), environment.settings.get("threads")
        if any(word == "--help" or word.startswith("-h") for word in words):
            return "its options ask for help"
        try:
            request, _ = with_ids(parse([*words, "--threads", str(threads)]))
            tasks = tasks_of(request)
        except BadRequest as error:
            return f"its options do not do here ({error})"
        if digest(request, tasks) != environment.plan:
            return "with what is here it would be another plan"
        return cls(tasks, list(request.interpreters))

    def contenders(self, tasks: Iterable[Task]) -> list[Contender]:
        """All that some of its tasks measure."""
        return [
            (str(task.device), task.case, environment, backend.name)
            for task in tasks
            for environment in self.environments
            for backend in task.backends
        ]

    def part(self, source: Source) -> Sequence[Task]:
        """What a run is to measure of it."""
        return source.shard.part(self.tasks) if source.shard else self.tasks


def missing(plan: Plan, merged: Sequence[tuple[Sequence[Source], Pool]]) -> Iterator[str]:
    """Lines that say what no run has, each with its command and then some of the results by name.

    Args:
        merged: of each machine, its runs, and the pool that their records are in.
    """
    passes, failed = dict[Contender, set[int]](), set[Contender]()
    for _, pool in merged:
        failed |= pool.failed
        for contender, own in pool.passes.items():
            passes[contender] = passes.get(contender, set()) | own
    covered: set[Task] = set()
    for runs, pool in merged:
        for source, begun in zip(runs, pool.begun, strict=True):
            tasks = plan.part(source)
            covered.update(tasks)
            lacking = []
            for number in sorted(begun & _asked(source)) or [1]:
                for contender in plan.contenders(tasks):
                    had = passes.setdefault(contender, set())
                    if number not in had and contender not in failed:
                        had.add(number)  # so that it is said once
                        lacking.append(contender)
            command = f"python -m suite.run --resume {shlex.quote(str(source.run.path))}"
            yield from _listed(str(source.run.path), command, lacking)
    yield from _unbegun(plan, [source for runs, _ in merged for source in runs], covered)


def _asked(source: Source) -> set[int]:
    """The passes that are over all tasks."""
    passes = source.environment.settings.get("passes")
    return {*range(1, passes + 1)} if isinstance(passes, int) and passes < MOST_PASSES else {1}


def absent_shards(runs: Sequence[Source]) -> Iterator[str]:
    """Lines that say of which shards there is no run: all that can be said where the plan is not known."""
    of = max((s.shard.of for s in runs if s.shard), default=1)
    have = {s.shard.number for s in runs if s.shard and s.shard.of == of}
    if all(s.shard for s in runs):
        for number in sorted(set(range(1, of + 1)) - have):
            yield f"missing: shard {number}/{of}: no run; {_command(runs[0], Shard(number, of))}"


def _unbegun(plan: Plan, runs: Sequence[Source], covered: set[Task]) -> Iterator[str]:
    """What is in no shard that was begun, by the shards that would have it."""
    of = max((s.shard.of for s in runs if s.shard), default=1)
    for number in range(1, of + 1):
        shard = Shard(number, of)
        own = [task for task in shard.part(plan.tasks) if task not in covered]
        yield from _listed(f"shard {shard}", _command(runs[0], shard), plan.contenders(own))


def _listed(what: str, command: str, lacking: Sequence[Contender]) -> Iterator[str]:
    if not lacking:
        return
    yield f"missing: {what}: {count(len(lacking), 'result')}; {command}"
    for device, case, environment, backend in lacking[:MOST_NAMED]:
        at = f" @{environment}" if environment else ""
        yield f"  {device} {case}  {backend}{at}"
    if len(lacking) > MOST_NAMED:
        yield f"  and {count(len(lacking) - MOST_NAMED, 'more')}".removesuffix("s")


def _command(source: Source, shard: Shard) -> str:
    words = [*options_of(source.environment), "--shard", str(shard)]
    return f"python -m suite.run {shlex.join(words)}"
