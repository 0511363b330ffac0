"""Passes of a run: so many over all its tasks, then over the undecided ones while there is time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite import stats
from suite.analysis import comparison, floor, outcomes
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.records.record import Record
from suite.run.progress import Progress
from suite.worker.budget import MOST_PASSES, Budget

if TYPE_CHECKING:
    from suite.records.store import Run
    from suite.run.launch import Launch
    from suite.run.schedule import Task
    from suite.worker.supervisor import Supervisor

Done = dict[int, set[tuple[Case, str, str]]]
"""Case, device and name of the backends that have a record, by pass."""


class Passes:
    """Measures what is not on disk yet; the records of a task are there before the next one starts.

    Every pass has a new worker: tables, threads and memory are placed anew. What failed once is not tried
    again in a later pass.
    """

    def __init__(self, launch: Launch, run: Run, supervisor: Supervisor, budget: Budget) -> None:
        self.launch, self.run, self.supervisor, self.budget = launch, run, supervisor, budget
        self.asked = launch.request.passes
        self.done: Done = {}
        self.failed: set[tuple[Case, str, str]] = set()
        self.copies: dict[tuple[Case, str], str] = {}
        for item in run.read():
            if isinstance(item, Record):
                self._note(item)

    def measure(self) -> None:
        """All passes that were asked for, and those that time is left for, in order."""
        tasks = self.launch.tasks
        with Progress(self.asked * len(tasks)) as progress:
            for number in range(1, self.asked + 1):
                left = self._left(number, tasks)
                if left and number > 1 and not self.budget.fits(list(left)):
                    progress.cut_short(number - 1, self.asked)
                    return
                progress.begin(number, self.asked, len(tasks) - len(left))
                self._go_over(left, number, progress)
            if self.asked > 1 and self.budget.ends:  # who asks for one pass wants no more
                self._decide(progress)

    def _decide(self, progress: Progress) -> None:
        """Further passes, over what is undecided."""
        still = undecided(self.launch.tasks, self.run)
        for number in range(self.asked + 1, MOST_PASSES + 1):
            left = self._that_fit(self._left(number, still))
            if left:
                progress.begin(number, None, -len(left))
                self._go_over(left, number, progress)
                still = undecided(self.launch.tasks, self.run)

    def _left(self, number: int, tasks: Iterable[Task]) -> dict[int, Task]:
        """What is left of a pass, by its place in the plan."""
        over = self.done.get(number, set()) | self.failed
        known = {task: place for place, task in enumerate(self.launch.tasks)}
        left = {known[task]: task.without(over) for task in tasks}
        return {place: task for place, task in left.items() if task.backends}

    def _that_fit(self, left: Mapping[int, Task]) -> dict[int, Task]:
        fit: dict[int, Task] = {}
        for place, task in left.items():
            if self.budget.fits([*fit, place]):
                fit[place] = task
        return fit

    def _go_over(self, left: Mapping[int, Task], number: int, progress: Progress) -> None:
        later = max(0, self.asked - number)
        self.budget.begin(list(left), later)
        self.supervisor.close()
        for task in left.values():
            progress.start(str(task))
            copy = self.copies.get((task.case, str(task.device)))
            job = self.launch.job(task, self.budget.next_limit_s(), counted=number == 1, copy=copy)
            records = [replace(record, pass_number=number) for record in self.supervisor.measure(job)]
            self.budget.finished()
            self.run.append(records)
            for record in records:
                self._note(record)
            progress.finish(str(task), records)

    def _note(self, record: Record) -> None:
        if record.role == "ceiling":
            self.copies[record.case, record.device] = record.backend
        else:
            key = record.case, record.device, record.backend
            self.done.setdefault(record.pass_number, set()).add(key)
            if record.status != "ok":
                self.failed.add(key)


def undecided(tasks: Sequence[Task], run: Run) -> list[Task]:
    """The tasks of which more passes may decide something."""
    results = outcomes.read([run.path])
    known = floor.of_run(results)
    bound = stats.ASSUMED_NOISE_FLOOR if known is None else known
    groups: dict[tuple[Case, str], list[Outcome]] = {}
    for outcome in results.outcomes:
        groups.setdefault((outcome.case, outcome.device), []).append(outcome)
    of = {task: groups.get((task.case, str(task.device)), []) for task in tasks}
    return [task for task, group in of.items() if comparison.undecided(group, bound)]
