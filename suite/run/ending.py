"""End of a run: what its passes showed of its machine is written into its environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from suite.analysis import floor, outcomes, speed
from suite.analysis.outcomes import Results
from suite.records.record import Environment, Fact
from suite.records.store import Run, StoreError


def finished(run: Run) -> Results:
    """The run read back, after what it showed was written down: full speed, and the noise floor.

    Full speed is what this machine showed at its best, in this run or in those that lie beside it.

    Raises:
        StoreError: the run holds no records, or can't be read or written.
    """
    results = outcomes.read([run.path])
    (name,) = results.environments
    own: dict[str, Fact] = {str(threads): s for threads, s in results.full_speed_s[name].items()}
    best = _best(own, run)
    run = run.amended(full_speed_s=best)
    if best != own:  # other rounds are at full speed then
        results = outcomes.read([run.path])
    run = run.amended(noise_floor=floor.of_run(results))
    return replace(results, environments={name: run.environment})


def _best(own: dict[str, Fact], run: Run) -> dict[str, Fact]:
    """What the meter reads at full speed, on as many threads as in this run."""
    here = replace(run.environment, full_speed_s=own)
    known = speed.fullest([here, *_beside(run)])[speed.meter_of(here)]
    return {threads: known[threads] for threads in own}


def _beside(run: Run) -> Iterator[Environment]:
    """The environments of the runs in the same folder, of whatever machine."""
    own = run.path.absolute()
    for file in sorted(own.parent.glob("*/environment.json")):
        if file.parent != own:
            try:
                yield Run.open(file.parent).environment
            except StoreError:
                continue
