"""End of a run: what its passes showed of its machine is written into its environment."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from suite.analysis import floor, outcomes, speed
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.records.record import Environment, Fact
from suite.records.store import Run, StoreError
from suite.report import verdict
from suite.report.tables import only_lookups


def finished(run: Run) -> Results:
    """The run read back, after what it showed was written down: full speed, and the noise floor.

    All of it, with what it showed in environments before this one.

    Full speed is what this machine showed at its best, in this run or in those that lie beside it.

    Raises:
        StoreError: the run holds no records, or can't be read or written.
    """
    results = outcomes.read_part(run)
    if not results.outcomes:  # it may have been done in another environment
        return outcomes.read([run.path])
    (name,) = results.environments
    own: dict[str, Fact] = {str(threads): s for threads, s in results.full_speed_s[name].items()}
    best = _best(own, run)
    run = run.amended(full_speed_s=best)
    if best != own:  # other rounds are at full speed then
        results = outcomes.read_part(run)
    run = run.amended(noise_floor=floor.of_run(results))
    return outcomes.read([run.path]) if run.others else replace(results, environments={name: run.environment})


def shortfall(results: Results, named: Sequence[str], environments: Iterable[str | None]) -> str | None:
    """Why a run is no success, in one line: no case completed, or a backend asked for by name has no result.

    Args:
        named: the backends asked for by name. environments: in each of these they were to run.
    """
    done = {(o.backend, o.environment) for o in results.outcomes if o.completed}
    if not done:
        return "run: no case completed; the reasons are above"
    wanted = [(name, environment) for name in named for environment in environments]
    lacking = [f"{b} @{e}" if e else b for b, e in wanted if (b, e) not in done]
    if not lacking:
        return None
    has = "has no result" if len(lacking) == 1 else "have no result"
    return f"{', '.join(lacking)}: {has}; the reasons are above"


def closing(results: Results, path: Path) -> list[tuple[str, bool]]:
    """The last lines of a run: what came out, where to see it, and what made it less sure.

    Each with whether it may be broken: not a command, so that it can be copied whole.
    """
    *_, (run, environment) = results.environments.items()  # the one it went on in
    own = [o for o in results.outcomes if (o.run, o.environment) == (run, None)]
    said = list(_verdicts(own, environment)) or [f"all is in {path}"]
    folder = shlex.quote(str(path))
    lines = [
        *((f"verdict: {line}", True) for line in said),
        (f"page:    python -m suite.report {folder} --html {shlex.quote(str(path / 'page.html'))}", False),
        ("doctor:  python -m suite.doctor says what here disturbs a measurement", False),
    ]
    errors = sorted(path.glob("errors/*.txt"))
    return lines + ([(f"errors:  {', '.join(map(str, errors))}", True)] if errors else [])


def _verdicts(own: Sequence[Outcome], environment: Environment) -> Iterator[str]:
    """The verdict on each operation, in a line."""
    operations = dict.fromkeys(o.case.operation for o in own)
    for operation in operations:
        here = [o for o in own if o.case.operation == operation]
        if said := verdict.lines(here, environment):
            yield said[0] if only_lookups(operations) else f"{operation}: {said[0]}"


def _best(own: dict[str, Fact], run: Run) -> dict[str, Fact]:
    """What the meter reads at full speed, on as many threads as in this run."""
    here = replace(run.environment, full_speed_s=own)
    known = speed.fullest([here, *_beside(run)])[speed.meter_of(here)]
    return {threads: known[threads] for threads in own}


def _beside(run: Run) -> Iterator[Environment]:
    """The environments of the runs in the same folder, of whatever machine, and the run's own others."""
    own = run.path.absolute()
    for file in sorted(own.parent.glob("*/environment.json")):
        with contextlib.suppress(StoreError):
            for part in Run.parts(file.parent):
                if file.parent != own or part.number != run.number:
                    yield part.environment
