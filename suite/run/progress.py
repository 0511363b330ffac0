"""How far a run is, on standard error: a bar on a terminal, a line a case elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from suite.records.record import Record


class Progress:
    """Counts finished tasks out of ``total``, all passes together, and says what went wrong as it happens."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.of = ""
        self.began = time.monotonic()
        self.bar: tuple[Bar, TaskID] | None = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            # Drawn seldom: a redraw takes a processor from what is being measured.
            columns = (
                BarColumn(30),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
            )
            bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
            bar.start()
            self.bar = bar, bar.add_task("", total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar[0].stop()

    def begin(self, number: int, asked: int | None, done: int) -> None:
        """A pass begins.

        Args:
            asked: how many there are to be; null of a further one, over what is undecided.
            done: so many of its tasks were done before; of a further pass, minus those that it adds.
        """
        if asked is None:
            self.of = f"pass {number}, of what is undecided"
            self.total -= done
        else:
            self.of = f"pass {number} of {asked}" if asked > 1 else ""
            self.done += done
        if self.bar:
            self.bar[0].update(self.bar[1], completed=self.done, total=self.total)

    def cut_short(self, passes: int, asked: int) -> None:
        """There is no time for more passes than these."""
        self._say(f"run: time for {passes} of {asked} passes; give more with --time-budget")

    def no_time(self, what: str) -> None:
        """A task is left out for want of time."""
        self.done += 1
        self._say(f"run: no time for {what}; give more with --time-budget, or go on with --resume")

    def left_out(self, who: str, why: str) -> None:
        """A backend, by name and device, is not measured any more."""
        self._say(f"run: {who} is left out from here on: {why}")

    def _say(self, line: str) -> None:
        if self.bar:
            self.bar[0].console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def start(self, what: str) -> None:
        """A task begins."""
        if self.bar:
            self.bar[0].update(self.bar[1], description=f"{self.of}  {what}".strip(), refresh=True)

    def finish(self, what: str, records: Sequence[Record]) -> None:
        """A task is over, and these are its records."""
        self.done += 1
        failures = [r for r in records if r.status not in ("ok", "unsupported", "unavailable", "left_out")]
        lines = [f"{_named(r)}: {r.status}: {r.reason}" for r in failures]
        if self.bar:
            bar, task = self.bar
            for line in lines:
                bar.console.print(f"{what}  {line}", markup=False, highlight=False)
            bar.update(task, completed=self.done, refresh=True)
        else:
            elapsed = time.monotonic() - self.began
            print(
                f"[{self.done}/{self.total} {elapsed:.0f}s]",
                *filter(None, [self.of]),
                what,
                *lines,
                sep="  ",
                file=sys.stderr,
                flush=True,
            )


def _named(record: Record) -> str:
    return record.backend if record.environment is None else f"{record.backend} @{record.environment}"
