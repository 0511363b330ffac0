"""An answer as a table of pandas: one row a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from suite.analysis import outcomes
from suite.analysis.folders import Given
from suite.best import question, words
from suite.best.answer import Answer, Bar, answer, asked
from suite.command import BadRequest

COLUMNS = {
    **dict.fromkeys(("run", "device", "backend", "whose", "basis", "clock"), "string"),
    **dict.fromkeys(("time_us", "low_us", "high_us", "ratio", "ratio_low", "ratio_high"), "float64"),
    "best": "boolean",
}


def best(*runs: Given, model: str | None = None, device: str | None = None, **axes: Any) -> pd.DataFrame:
    """The backends ranked for one table and batch, as ``python -m suite.best`` prints them.

    One row a backend, fastest first: its time in µs with its interval (95 % where ``basis`` is ``measured``,
    91 % where it is ``predicted``), how many times longer than the fastest of its clock it takes, and whether
    it is the fastest or not told from it. ``attrs`` has the ``verdict``, the ``nearest`` measured cases of a
    prediction, and the ``command`` that would measure it.

    Args:
        runs: as for ``suite.load``; without any, the published run of the default cases.
        model: a published token table. device: ``cpu`` or ``cuda:N``; by default the runs' GPU, if any.
        axes: ``vocab``, ``dim``, ``dtype``, ``batch``, ``index_dtype``, ``distribution``, ``cache``,
            ``operation``, ``variant`` and the others.

    Raises:
        BadRequest: no such case, operation or device; or it lies outside of what was measured.
        StoreError: no run can be read.
    """
    case = question.case_of(model, **axes)
    found = asked(outcomes.read(question.folders(runs)), case.operation, device)
    answers = [answer(place, case) for place in found]
    told = [one for one in answers if one.basis != "refused"]
    if not told:
        raise BadRequest(words.refusal(answers[-1]))
    rows = [row for one in told for row in _rows(one)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    table.attrs |= {
        "verdict": [line for one in told for line in words.verdict(one)],
        "nearest": [str(near) for one in told for near in one.nearest],
        "command": question.command(case, told[0].device),
    }
    return table


def _rows(one: Answer) -> Iterator[tuple[object, ...]]:
    for bar in one.bars:
        yield (
            one.runs[-1],
            one.device,
            bar.backend,
            bar.whose,
            one.basis,
            bar.clock,
            *_figures(bar),
            bar.best,
        )


def _figures(bar: Bar) -> tuple[float, ...]:
    time, ratio = bar.time, bar.ratio
    return (*(1e6 * end for end in (time.value, time.low, time.high)), ratio.value, ratio.low, ratio.high)
