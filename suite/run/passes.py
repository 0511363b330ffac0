"""Passes of a run: so many over all its tasks, then over the undecided ones while there is time."""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite import stats
from suite.analysis import comparison, floor, outcomes
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.command import BadRequest
from suite.machine.software import code_digest
from suite.records.record import Record, Status
from suite.records.store import Run
from suite.run.progress import Progress
from suite.run.schedule import least_rounds
from suite.worker.budget import MOST_PASSES, Budget

if TYPE_CHECKING:
    from suite.machine.lock import Lock
    from suite.run.launch import Launch
    from suite.run.schedule import Parts, Task
    from suite.worker.crew import Crew
    from suite.worker.messages import Job

Keys = dict[str | None, set[tuple[Case, str, str]]]
"""Case, device and name of backends, by environment."""
Contender = tuple[str | None, str, str]
"""Environment, device and name of a backend."""
ENDS_A_WORKER: tuple[Status, ...] = ("timed_out", "crashed")
"""Failures that cost a limit of time, or a new worker and its table, in every case there is."""
NO_TIME = "no time"
"""How the reason begins of what was left out for time; --resume measures it."""
MOST_ENDED = 2
"""In so many cases a backend may do so."""


class Passes:
    """Measures what is not on disk yet; the records of a task are there before the next one starts.

    Every pass has new workers: tables, threads and memory are placed anew. What failed once is not tried
    again in a later pass; what ended its worker in two cases is left out of the others, unless insisted on.

    Attributes:
        done: what has a record, by pass. failed: what has one of a failure.
        ended: how a backend ended its workers, by case, of each environment, device and name.
        copies: the plain copy that was fastest, by case and device, then by environment.
    """

    def __init__(
        self, launch: Launch, run: Run, crew: Crew, budget: Budget, held: Lock | None = None
    ) -> None:
        self.launch, self.run, self.crew, self.budget, self.held = launch, run, crew, budget, held
        self.asked = launch.request.passes
        self.done: dict[int, Keys] = defaultdict(lambda: defaultdict(set))
        self.failed: Keys = defaultdict(set)
        self.ended: dict[Contender, dict[Case, Status]] = defaultdict(dict)
        self.copies: dict[tuple[Case, str], dict[str | None, str]] = defaultdict(dict)
        for part in Run.parts(run.path):
            for item in part.read():
                if isinstance(item, Record) and not self._wanted_after_all(item):
                    self._note(item, own=part.number == run.number)

    def measure(self) -> None:
        """All passes that were asked for, and those that time is left for, in order."""
        tasks = self.launch.tasks
        with Progress(self.asked * len(tasks)) as progress:
            for number in range(1, self.asked + 1):
                left = self._left(number, tasks)
                if left and number > 1 and not self.budget.fits(list(left)):
                    progress.cut_short(number - 1, self.asked)
                    return
                if number == 1:
                    left = self._that_are_afforded(left)
                progress.begin(number, self.asked, len(tasks) - len(left))
                self._go_over(left, number, progress)
            if self.asked > 1 and self.budget.ends:  # who asks for one pass wants no more
                self._decide(progress)

    def _decide(self, progress: Progress) -> None:
        """Further passes: over the cases whose fastest is open, then over those with imprecise results."""
        for open_of in (undecided, imprecise):
            still = open_of(self.launch.tasks, self.run)
            for number in range(self.asked + 1, MOST_PASSES + 1):
                left = self._that_fit(self._left(number, still))
                if left:
                    progress.begin(number, None, -len(left))
                    self._go_over(left, number, progress)
                    still = open_of(self.launch.tasks, self.run)

    def _left(self, number: int, tasks: Iterable[Task]) -> dict[int, Parts]:
        """What is left of a pass, by its place in the plan."""
        over = {
            name: self.done[number][name] | self.failed[name] for name in self.launch.request.interpreters
        }
        known = {task: place for place, task in enumerate(self.launch.tasks)}
        left: dict[int, Parts] = {}
        for task in tasks:
            parts = {name: task.without(done) for name, done in over.items()}
            left[known[task]] = {name: part for name, part in parts.items() if part.backends}
        return {place: parts for place, parts in left.items() if parts}

    def _that_fit(self, left: Mapping[int, Parts]) -> dict[int, Parts]:
        fit: dict[int, Parts] = {}
        for place, parts in left.items():
            if self.budget.fits([*fit, place]):
                fit[place] = parts
        return fit

    def _that_are_afforded(self, left: Mapping[int, Parts]) -> dict[int, Parts]:
        """What a first pass has time for; the others are left out, rather than measured badly."""
        afforded = set(self.budget.affordable(list(left)))
        for place, parts in left.items():
            if place not in afforded:
                self._leave_out(parts)
        return {place: parts for place, parts in left.items() if place in afforded}

    def _leave_out(self, parts: Parts) -> None:
        """Records of what there is no time for."""
        why = f"{NO_TIME} for it within the budget; --resume RUN measures it"
        measurement = uuid.uuid4().hex[:12]
        records = [
            Record(b.name, str(task.device), task.case, "left_out", why, measurement, environment=name)
            for name, task in parts.items()
            for b in task.backends
        ]
        self.run.append(records)
        for record in records:
            self._note(record)

    def _go_over(self, left: Mapping[int, Parts], number: int, progress: Progress) -> None:
        later = max(0, self.asked - number)
        self.budget.begin(list(left), later, first=number == 1)
        self.crew.close()
        for place, parts in left.items():
            task = self.launch.tasks[place]
            if number == 1 and place != next(iter(left)) and not self.budget.in_time():
                self.budget.leave_out()
                self._leave_out(parts)
                progress.no_time(str(task))
                continue
            progress.start(str(task))
            self._check_code()
            if self.held:
                self.run = self.held.noted(self.run)
            copies = self.copies[task.case, str(task.device)]
            limit_s, wanted = self.budget.next_limit_s(), self._wanted(parts)
            jobs = self._with_an_interval(self.launch.jobs(wanted, limit_s, number, copies))
            measured = self.crew.measure(jobs) if wanted else []
            records = [replace(r, pass_number=number) for r in [*measured, *self._left_out(parts)]]
            self.budget.finished(sum(map(_counted_s, records)))
            self.run.append(records)
            before = set(self._given_up())
            for record in records:
                self._note(record)
            progress.finish(str(task), records)
            for who, why in self._given_up().items():
                if who not in before:
                    progress.left_out(_named(who), why)

    def _check_code(self) -> None:
        """Raise BadRequest where a worker started now would run other code than those before."""
        began = self.run.environment.digests.get("suite")
        if began is not None and began != code_digest():
            what = "the suite's code is not what it was when the run began"
            raise BadRequest(
                f"{self.run.path}: {what}; restore it and --resume, or go on apart with --anyway"
            )

    def _with_an_interval(self, jobs: dict[str | None, Job]) -> dict[str | None, Job]:
        """The same, with the rounds that an interval needs of a pass that stays the only one."""
        if not self.budget.alone:
            return jobs
        return {
            name: replace(job, settings=replace(job.settings, least_rounds=least_rounds(1)))
            for name, job in jobs.items()
        }

    def _given_up(self) -> dict[Contender, str]:
        """What is not measured any more, and why."""
        if self.launch.request.insist:
            return {}
        return {who: _why(list(of.values())) for who, of in self.ended.items() if len(of) >= MOST_ENDED}

    def _wanted(self, parts: Parts) -> Parts:
        """The parts of a task, less what is left out."""
        out = self._given_up()
        wanted = {
            name: task.without({(task.case, device, who) for of, device, who in out if of == name})
            for name, task in parts.items()
        }
        return {name: task for name, task in wanted.items() if task.backends}

    def _left_out(self, parts: Parts) -> list[Record]:
        """The records of what is left out of a task."""
        out, measurement = self._given_up(), uuid.uuid4().hex[:12]
        return [
            Record(who, device, task.case, "left_out", why, measurement, environment=of)
            for name, task in parts.items()
            for (of, device, who), why in out.items()
            if of == name and device == str(task.device) and who in {b.name for b in task.backends}
        ]

    def _wanted_after_all(self, record: Record) -> bool:
        """Whether it is of what was left out then and is not to be now."""
        insist = self.launch.request.insist or (record.reason or "").startswith(NO_TIME)
        return record.status == "left_out" and insist

    def _note(self, record: Record, own: bool = True) -> None:
        """One more record; of what another environment showed, only what has a result there counts."""
        if not own and (record.role == "ceiling" or record.status != "ok"):
            return
        if record.role == "ceiling":
            self.copies[record.case, record.device][record.environment] = record.backend
        else:
            key = record.case, record.device, record.backend
            self.done[record.pass_number][record.environment].add(key)
            if record.status != "ok":
                self.failed[record.environment].add(key)
            if record.status in ENDS_A_WORKER:
                who = record.environment, record.device, record.backend
                self.ended[who].setdefault(record.case, record.status)


def _why(statuses: Sequence[Status]) -> str:
    first, second = statuses[:MOST_ENDED]
    how = f"{first} in two cases" if first == second else f"{first} in a case and {second} in another"
    return f"{how}; --resume RUN --insist measures it"


def _named(who: Contender) -> str:
    environment, device, backend = who
    return f"{backend} on {device}" if environment is None else f"{backend} @{environment} on {device}"


def _counted_s(record: Record) -> float:
    """Length of the phase for the counters, which the first pass alone has."""
    known = record.telemetry.get("sustained_s")
    return known if isinstance(known, float) else 0.0


def undecided(tasks: Sequence[Task], run: Run) -> list[Task]:
    """The tasks whose fastest is open, or how a backend does in two environments; the least decided first."""
    groups, bound = _groups(tasks, run)
    return _most_first({task: _doubt(group, bound) for task, group in groups.items()})


def imprecise(tasks: Sequence[Task], run: Run) -> list[Task]:
    """The tasks of which a result has not the precision asked for; the widest interval first."""
    return _most_first({task: comparison.imprecision(of) for task, of in _groups(tasks, run)[0].items()})


def _most_first(tasks: Mapping[Task, float]) -> list[Task]:
    return sorted((task for task, amount in tasks.items() if amount > 0), key=lambda task: -tasks[task])


def _groups(tasks: Sequence[Task], run: Run) -> tuple[dict[Task, list[Outcome]], float]:
    """What is known of each task, and the noise floor so far."""
    results = outcomes.read_part(run)
    known = floor.of_run(results)
    bound = stats.ASSUMED_NOISE_FLOOR if known is None else known
    groups: dict[tuple[Case, str], list[Outcome]] = {}
    for outcome in results.outcomes:
        groups.setdefault((outcome.case, outcome.device), []).append(outcome)
    return {task: groups.get((task.case, str(task.device)), []) for task in tasks}, bound


def _doubt(group: Sequence[Outcome], bound: float) -> float:
    twins = (
        comparison.openness(a, b)
        for a, b in itertools.combinations([o for o in group if o.completed], 2)
        if a.backend == b.backend and comparison.verdict(a, b, bound) == "UNCLEAR"
    )
    return max(comparison.doubt(group, bound), *twins, 0.0)
