"""The page of many machines: cases by machines or by backends, and nothing averaged over machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.analysis.comparison import checks_only
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.records.record import Environment
from suite.report import sentences, tables, verdict
from suite.report.machines.packed import kept, packed
from suite.report.machines.seat import Seat, machines, seats, several
from suite.report.page.data import as_json
from suite.report.page.gpu import reference
from suite.report.page.html import STYLE, machine, part, policy, version
from suite.text import plain, shown
from suite.units import count

_HERE = Path(__file__).parent
MOST_RECORDS = 100_000
"""Of one machine, on the page that has all figures of every record."""


def wanted(results: Results) -> bool:
    """Whether this page shows the results, rather than the one with all figures: there are too many."""
    return several(results) or len(results.outcomes) > MOST_RECORDS


def html(results: Results, baseline: str | None = None, home: str | None = None) -> str:
    """The results of many machines as one HTML page, the same for the same runs.

    Args:
        baseline: the backend that others are compared with in the sentences.
        home: where the first page of a site is, if this one is of a site; then each machine has a page.
    """
    found = seats(results)
    baseline, unknown = sentences.known(results, baseline)
    scripts = [part("elements.js"), own("overview.js"), part("theme.js"), own("ready.js")]
    return rendered(
        "overview.html",
        scripts,
        data=as_json(packed(found)),
        home=home,
        about=about(results),
        seats=[row(seat, sentences.by_operation(results, baseline)) for seat in found],
        notes=[*unknown, *(plain(note) for note in (*results.notes, *_left_out(found)))],
    )


def _left_out(found: Sequence[Seat]) -> Iterator[str]:
    for seat in found:
        if left := kept(seat)[1]:
            yield f"{seat.run}: {count(left, 'backend')} with the fewest cases left out, too many for a page"


def own(name: str) -> str:
    """The text of a file of these pages."""
    return (_HERE / name).read_text(encoding="utf-8")


def rendered(name: str, scripts: Sequence[str] = (), **words: Any) -> str:
    """A page from its template, with its policy."""
    import jinja2

    loader = jinja2.FileSystemLoader(_HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    style = part(STYLE) + own("machines.css")
    return environment.get_template(name).render(
        policy=policy(scripts, style), style=style, scripts=scripts, **words
    )


def about(results: Results) -> str:
    """How many of what there are."""
    runs, cases = {o.run for o in results.outcomes}, {o.case for o in results.outcomes}
    numbers = (
        *((len(machines(results)), "machine"), (len(runs), "run")),
        *((len(cases), "case"), (len(results.outcomes), "record")),
    )
    return " · ".join(count(number, noun) for number, noun in numbers)


def row(seat: Seat, baselines: Mapping[str, str]) -> dict[str, object]:
    """What the table of machines says of a seat.

    Args:
        baselines: by operation the backend that others are compared with, if one was asked for.
    """
    cases = len({outcome.case for outcome in seat.outcomes})
    return {
        "name": seat.name,
        "machine": machine(seat.device, seat.environment),
        "device": plain(seat.device),
        "run": plain(seat.run),
        "created": plain(seat.environment.created[:10]),
        "version": plain(version(seat.environment)),
        "size": f"{count(cases, 'case')} · {count(len(seat.outcomes), 'record')}",
        "verdicts": list(_verdicts(seat, baselines)),
        "newest": seat.newest,
        "page": seat.page,
    }


def _verdicts(seat: Seat, baselines: Mapping[str, str]) -> Iterator[str]:
    """What each operation of a seat came to."""
    for operation, here in seat.operations.items():
        said = next(_said(here, seat.environment, baselines.get(operation)), "")
        yield shown(said if tables.only_lookups(seat.operations) else f"{operation}: {said}")


def _said(here: Sequence[Outcome], environment: Environment, baseline: str | None) -> Iterator[str]:
    """What is said of the backends of a place, the verdict first."""
    if beside := reference(here, environment):
        yield beside
    if not checks_only(environment) and len({outcome.environment for outcome in here}) == 1:
        yield from verdict.lines(here, environment, baseline)
    yield from sentences.of_backends(here, environment, baseline)
