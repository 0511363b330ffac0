"""Performer: does a job in this process, and keeps what the next one may need: the table, the user's ids."""

from __future__ import annotations

from typing import Any

from suite.cases import ids
from suite.engine.measure import Notice, Setup, measure
from suite.engine.placement import residency
from suite.engine.placement.table_file import NO_ROOM
from suite.machine import threads
from suite.records.record import Record, Status
from suite.worker.devices import Tables
from suite.worker.messages import Job, failed


class Unready(Exception):
    """A job can't begin: the status that all its backends have, and why."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Performer:
    """Does jobs; keeps the table of the last one, and the user's ids.

    Args:
        protected: whether a write to the table ends the process, as in a worker, rather than be found later.
    """

    def __init__(self, protected: bool = True) -> None:
        self.tables = Tables(protected)
        self.asked = threads.asked()
        self.ids: dict[tuple[str, bool], tuple[ids.Ids, ids.Ids | None]] = {}

    def perform(self, job: Job, notice: Notice, **how: Any) -> list[Record]:
        """The records of a job; out_of_memory for all of it where its table does not fit.

        Args:
            notice: told of each step before it. how: more of what ``measure`` takes, such as a gate.

        Raises:
            Tampered: the operands changed, by which of the backends is not known.
        """
        try:
            setup = self.set_up(job, notice)
        except Unready as why:
            return [failed(job, backend, why.status, str(why)) for backend in job.backends]
        return measure(setup, job.backends, job.measurement, notice, **how)

    def set_up(self, job: Job, notice: Notice) -> Setup:
        """What a job is measured with: its ids read, its table built.

        Raises:
            Unready: the ids are not the case's, or the table does not fit.
        """
        notice(None, "read the ids")
        try:
            file_ids, lengths = self._ids_of(job)
        except ValueError as error:
            raise Unready("error", str(error)) from None
        notice(None, f"build the table {job.case.table}")
        self.tables.folder = job.tables
        short = self.tables.shortage(job.case, job.device, job.settings.cache_bytes)
        if short:
            raise Unready("out_of_memory", short)
        opened = self.tables.opened(job.device)
        try:
            table = self.tables.of(job.case, job.device)
            why_not = residency.why_not(table.rows, job.case)
        except OSError as error:
            status: Status = "out_of_memory" if error.errno in NO_ROOM else "error"
            raise Unready(status, f"its table can't be placed ({error.strerror or error})") from None
        if why_not:
            raise Unready("unsupported", why_not)
        return Setup(
            case=job.case,
            arrays=opened.arrays,
            table=table.rows,
            table_memory=table.memory,
            observer=opened.observer,
            settings=job.settings,
            telemetry={**opened.facts(), **self.asked},
            file_ids=file_ids,
            file_lengths=lengths,
        )

    def _ids_of(self, job: Job) -> tuple[ids.Ids | None, ids.Ids | None]:
        """The user's ids and lengths of bags, where the case has such, read once.

        Raises:
            ValueError: they are not the case's.
        """
        if job.ids_file is None:
            if job.case.of_text:
                ids.check_text()
            return None, None
        key = job.ids_file, job.case.kind.cuts(job.case)
        if key not in self.ids:
            self.ids = {key: ids.of_file(job.case, job.ids_file)}
        return self.ids[key]
