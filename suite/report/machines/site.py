"""Site of results: a folder of pages for any static host, one a machine, and one of all machines."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from suite.analysis.columns import with_mixture
from suite.analysis.outcomes import Results
from suite.command import BadRequest
from suite.records.record import Environment
from suite.report import sentences
from suite.report.files import STDOUT
from suite.report.machines import overview
from suite.report.machines.seat import FOLDER, Seat, machines, of_runs, seats
from suite.report.page import html
from suite.text import plain
from suite.units import count

INDEX, OVERVIEW = "index.html", "overview.html"
MARK = '<meta name="generator" content="embedding-lookup-suite">'
"""In every page of a site; so a file without it is another's."""
MARK_WITHIN = 4096
"""Bytes of a page, from its beginning, that hold the mark."""
NEWEST = 10
_PAGE = re.compile(rf"{INDEX}|{OVERVIEW}|{FOLDER}/[a-z0-9-]+\.html")
_COMMIT = re.compile(r"[0-9a-f]{8,64}")
_PLACES = {"--out", "--resume"}
"""Options that name folders of the machine that a run was made on."""
MOST_ARGUMENT = 200


def write(results: Results, folder: str, baseline: str | None = None, by_call: Results | None = None) -> None:
    """Write the site; pages of an earlier one in the folder that it has no more are taken away.

    Args:
        by_call: the same runs read by call times, for the pages of machines.

    Raises:
        BadRequest: the folder holds other things than a site, or can't be written.
    """
    if folder == STDOUT:
        raise BadRequest("--site -: a site is a folder of files; give the name of one")
    with _told(folder):
        _check(Path(folder))
        texts = pages(results, baseline, by_call)
        for name, text in texts.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8"))
        for name in set(_inside(Path(folder))) - set(texts):
            Path(folder, name).unlink()


def pages(results: Results, baseline: str | None = None, by_call: Results | None = None) -> dict[str, str]:
    """The pages of a site by path, the same for the same runs; links between them are relative."""
    baseline, _ = sentences.known(results, baseline)
    found = {INDEX: _index(results, baseline), OVERVIEW: overview.html(results, baseline, INDEX)}
    for page, runs in machines(results).items():
        own = with_mixture(_newest(results, runs))
        known = baseline if any(outcome.backend == baseline for outcome in own.outcomes) else None
        kernel = any(outcome.clock == "kernel" for outcome in own.outcomes)
        calls = of_runs(by_call, list(own.environments)) if by_call and kernel else None
        found[page] = html.html(own, known, calls, f"../{INDEX}")
    return found


def _newest(results: Results, runs: Sequence[str]) -> Results:
    """Of the runs of a machine, newest first, as many as one page of all figures holds; the newest always."""
    sizes = Counter(outcome.run for outcome in results.outcomes)
    whole = list(itertools.accumulate(sizes[run] for run in runs))
    held = max(1, sum(size <= overview.MOST_RECORDS for size in whole))
    own = of_runs(results, runs[:held])
    left = f"{count(len(runs) - held, 'older run')} of this machine left out here; {OVERVIEW} has all"
    return replace(own, notes=(*own.notes, left)) if held < len(runs) else own


def _index(results: Results, baseline: str | None) -> str:
    found, baselines = seats(results), sentences.by_operation(results, baseline)
    by_machine: dict[str, list[dict[str, object]]] = {}
    for seat in found:
        if seat.newest:
            by_machine.setdefault(seat.page, []).append(overview.row(seat, baselines))
    runs = list({seat.run: seat for seat in reversed(found)}.values())  # of each its first device
    runs.sort(key=lambda seat: (seat.environment.created, seat.run), reverse=True)
    return overview.rendered(
        "index.html",
        about=overview.about(results),
        machines=list(by_machine.items()),
        newest=[_line(seat) for seat in runs[:NEWEST]],
        rest=[_line(seat) for seat in runs[NEWEST:]],
        overview=OVERVIEW,
    )


def _line(seat: Seat) -> dict[str, object]:
    """A run with what makes it again."""
    return {
        "run": plain(seat.run),
        "name": seat.name,
        "page": seat.page,
        "created": plain(seat.environment.created[:10]),
        "version": plain(html.version(seat.environment)),
        "again": again(seat.environment),
    }


def again(environment: Environment) -> list[str]:
    """The commands that make a run again in a clone of the repository, and what they can't restore."""
    lines = []
    if _COMMIT.fullmatch(environment.commit):
        lines.append(f"git checkout {environment.commit}")
    else:
        lines.append("# its commit is unknown")
    if environment.dirty is not False and _COMMIT.fullmatch(environment.commit):
        lines.append(
            f"# {'with changes' if environment.dirty else 'perhaps with changes'} that are not there"
        )
    lines.append(shlex.join(["python", "-m", "suite.run", *_arguments(environment.argv)]))
    return lines


def _arguments(argv: Sequence[str]) -> Iterator[str]:
    """The words of a run's command, less the folders that it wrote to."""
    words = iter(argv)
    for word in words:
        if word in _PLACES:
            next(words, None)
        elif word.partition("=")[0] not in _PLACES:
            yield plain(word)[:MOST_ARGUMENT]


def _inside(folder: Path) -> Mapping[str, Path]:
    """The files in a folder by their path in it; empty folders too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_dir() or path.is_symlink() or not any(path.iterdir()):
            found[path.relative_to(folder).as_posix()] = path
    return found


def _check(folder: Path) -> None:
    for name, path in _inside(folder).items():
        if name == FOLDER and path.is_dir() and not path.is_symlink():
            continue
        if not _PAGE.fullmatch(name) or path.is_symlink() or not _is_ours(path):
            raise BadRequest(f"{folder}: holds {plain(name)}, which is of no site; give an empty folder")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(MARK_WITHIN)


@contextlib.contextmanager
def _told(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise BadRequest(f"{os.fspath(folder)}: can't be written ({why}); give another folder") from None
