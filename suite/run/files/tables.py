"""Table files of a run: the folder they lie in, whether they fit it, and their end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from suite.cases.case import Case
from suite.command import BadRequest

FOLDER = "tables"
"""Where table files lie if no folder is given."""


@contextlib.contextmanager
def table_files(folder: str, keep: bool, cases: Iterable[Case]) -> Iterator[str | None]:
    """The folder while a run lasts; at its end it is without the files that the run made, unless kept.

    Yields:
        What is to be known before any is built; None where no table lies in a file.

    Raises:
        BadRequest: the files that are still to be made do not fit, one is in use by another run, or nothing
            can be written there.
    """
    tables = {case.table: case for case in cases if case.placement == "file"}
    if not tables:
        yield None
        return
    from suite.engine.placement import table_file

    place = Path(folder)
    paths = {table_file.path_of(place, case): case for case in tables.values()}
    with _owned(place, paths):
        made = _missing(place, paths)
        try:
            yield _announced(place, list(made.values()), keep)
        finally:
            for path in () if keep else made:
                for file in (path, *place.glob(f"{path.name}.*.part")):
                    file.unlink(missing_ok=True)


@contextlib.contextmanager
def _owned(place: Path, paths: Iterable[Path]) -> Iterator[None]:
    """The folder, made if need be, and removed if nothing is left there; these of its files no other run's.

    Raises:
        BadRequest: one of them is another run's, or nothing can be written there.
    """
    from suite.engine.placement import table_file
    from suite.machine.lock import Busy

    with contextlib.ExitStack() as held:
        try:
            place.mkdir(parents=True, exist_ok=True)
            (probe := place / f".probe-{os.getpid()}").touch()
            probe.unlink()
        except OSError as error:
            what = f"can't be written ({(error.strerror or str(error)).lower()})"
            raise BadRequest(f"{place}: {what}; give another folder for table files with --tables") from None
        held.callback(_remove_if_empty, place)
        for path in sorted(paths):
            try:
                held.enter_context(table_file.alone(path))
            except Busy as busy:
                what = f"in use by {busy}; wait for its end, or give another folder with --tables"
                raise BadRequest(f"{path}: {what}") from None
        yield


def _remove_if_empty(place: Path) -> None:
    with contextlib.suppress(OSError):  # others' files lie there too
        place.rmdir()


def _missing(place: Path, paths: dict[Path, Case]) -> dict[Path, Case]:
    """The files that are not there; there must be room for them.

    Raises:
        BadRequest: there is not.
    """
    from suite.engine.placement import table_file
    from suite.machine.filesystem import filesystem

    made = {path: case for path, case in paths.items() if not table_file.fits(path, case)}
    need, free = sum(map(table_file.size_bytes, made.values())), filesystem(place).free_bytes
    if need > free:
        what = f"{_gb(need)} of table files do not fit, {_gb(free)} are free"
        raise BadRequest(f"{place}: {what}; give another folder with --tables, or a smaller --vocab")
    return made


def _announced(place: Path, made: Sequence[Case], keep: bool) -> str:
    from suite.engine.placement import table_file
    from suite.machine.filesystem import filesystem

    system, need = filesystem(place), sum(map(table_file.size_bytes, made))
    after = "kept" if keep else "removed at the end"
    new = (
        f"{_gb(need)} of table files are built in it and {after}"
        if made
        else "its table files are used again"
    )
    said = f"{place}: {system}, {_gb(system.free_bytes)} free; {new}"
    why = system.why_not_cold()
    return f"{said}; cold is not measured, as {why}" if why else said


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
