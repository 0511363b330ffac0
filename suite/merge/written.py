"""The merged run on disk: one for each machine, all of them there or none."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from suite.analysis import speed
from suite.machine.lock import RUNS_AT_ONCE
from suite.merge.pool import BLOCK, Pool
from suite.merge.sources import Machine, Source, options_of
from suite.records.record import Environment, Fact
from suite.records.store import Run, StoreError
from suite.run.ending import finished


def written(out: Path, merged: Mapping[Machine, tuple[Sequence[Source], Pool]]) -> list[Path]:
    """Write the merged runs; returns their folders.

    Args:
        out: the run's folder; where there are several machines, the one that holds a run of each.

    Raises:
        StoreError: something is there, or it can't be written.
    """
    several = len(merged) > 1
    names = [f"machine-{number}" if several else "." for number in range(1, len(merged) + 1)]
    with _draft(out) as draft:
        for name, (runs, pool) in zip(names, merged.values(), strict=True):
            run = Run.create(draft / name, environment_of(runs))
            records = pool.chosen()
            while block := list(itertools.islice(records, BLOCK)):
                run.append(block)
            finished(run)
    return [out / name for name in names]


def environment_of(runs: Sequence[Source]) -> Environment:
    """The environment of a merged run: what its runs have in common; of the load, the first one's."""
    every = [source.environment for source in runs]
    first = min(every, key=lambda e: e.created)
    whose = [str(source.shard) if source.shard else "the whole plan" for source in runs]
    settings = {name: fact for name, fact in first.settings.items() if name != "shard"}
    return replace(
        first,
        argv=tuple(options_of(first)),
        settings={**settings, "merged_from": ", ".join(dict.fromkeys(whose))},
        system={**first.system, RUNS_AT_ONCE: _most([e.system.get(RUNS_AT_ONCE) for e in every])},
        full_speed_s=dict(speed.fullest(every)[speed.meter_of(first)]),
        noise_floor=None,
    )


def _most(known: Sequence[Fact]) -> int | None:
    numbers = [number for number in known if isinstance(number, int)]
    return max(numbers) if len(numbers) == len(known) else None


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A folder that becomes ``out`` once it is whole."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError(f"{out}: is there already; give a new folder with --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".merge-", dir=out.parent))
    except OSError as error:
        raise _unwritten(out, error) from None
    try:
        draft = beside / "run"
        yield draft
        draft.rename(out)
    except OSError as error:
        raise _unwritten(out, error) from None
    except StoreError as error:
        said = str(error).replace(str(draft), str(out))
        raise StoreError(said.replace("go on with --resume", "merge again")) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unwritten(out: Path, error: OSError) -> StoreError:
    why = str(error.strerror or error).lower()
    return StoreError(f"{out}: can't be written ({why}); give another folder with --out")
