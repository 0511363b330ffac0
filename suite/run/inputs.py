"""Inputs of a run that are files: ids, backends, the suite itself; each known by what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends import Choice
from suite.command import BadRequest
from suite.units import count

if TYPE_CHECKING:
    from suite.cases.case import Case
    from suite.records.record import Fact
    from suite.run.options import Request


def with_ids(request: Request) -> tuple[Request, list[str]]:
    """The request, its cases named by the ids in its file: other ids are another case.

    And a line each on what of the file is not used, and on batches that repeat it.

    Raises:
        BadRequest: the file holds no ids, or some that a table of the cases has no row for.
    """
    traced = any(case.kind.cuts(case) for case in request.cases)
    if request.ids_file is None:
        if traced:
            raise BadRequest("--variant trace: has the bags of a file; give --indices FILE, with offsets")
        return request, []
    from suite.cases import formats, ids

    path, notes = request.ids_file, list[str]()
    try:
        given = ids.read_file(path)
        lengths = ids.read_lengths(path, len(given)) if traced else None
    except ValueError as error:
        raise BadRequest(str(error)) from None
    for vocab in sorted({case.vocab for case in request.cases}):
        reason = ids.out_of_range(given, vocab)
        if reason:
            raise BadRequest(f"{path}: {reason}; give ids of that table, or its --vocab")
    others = [name for name in formats.beside(path) if not (traced and name == "offsets")]
    if others:
        notes.append(f"{path}: {', '.join(others)} not used; --operation bag --variant trace takes offsets")
    if longer := sorted({case.batch for case in request.cases if case.batch > len(given)}):
        batches = f"a batch of {', '.join(map(str, longer))} repeats them"
        notes.append(f"{path}: holds {count(len(given), 'id')}; {batches}")
    return replace(request, cases=tuple(_named(case, given, lengths) for case in request.cases)), notes


def _named(case: Case, given: Any, lengths: Any) -> Case:
    """A case by its ids and, if it is of a trace, by how many of them a bag has."""
    from suite.cases import ids
    from suite.cases.operations import bag

    cut = lengths if case.kind.cuts(case) else None
    variant = case.variant if cut is None else bag.traced(cut)
    return replace(case, distribution=f"{case.distribution}@{ids.digest(given, cut)}", variant=variant)


def digests(cases: Iterable[Case], backends: Iterable[Choice]) -> dict[str, Fact]:
    """What tells the contents of a run's inputs from others: of the suite, its ids, each backend's file."""
    from suite.machine.software import code_digest

    named = [case.distribution.partition("@") for case in cases if "@" in case.distribution]
    found: dict[str, Fact] = {"suite": code_digest()}
    found |= {f"ids {name.removeprefix('file:')}": digest for name, _, digest in named}
    if any(case.of_text for case in cases):
        from suite.cases import ids

        found["ids text"] = ids.TEXT_DIGEST
    return found | {f"backend {b.name}": b.digest for b in sorted(backends, key=lambda b: b.name)}
