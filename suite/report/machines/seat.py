"""Seat of results: one device of one run, which of its machine's it is, and where its page is."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.analysis.columns import device_name
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.records.device import CPU
from suite.records.record import Environment
from suite.report import tables
from suite.report.page.gpu import reference
from suite.text import cut, plain

FOLDER = "machines"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_NOISE = re.compile(r"\((?:R|TM|C)\)|\b(?:CPU|Processor|\d+-Core)\b|@ [\d.]+ ?GHz", re.IGNORECASE)
"""What is in a model's name but tells no model from another."""
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Seat:
    """One device of one run.

    Attributes:
        run, device: as in the results. environment: of the run. operations: by operation the outcomes of
            the device in the run.
        newest: whether no later run is of the same device of the same machine.
        beside: whether it is the processor beside a GPU, with the reference only.
        page: the path of its machine's page, from the folder of a site.
    """

    run: str
    device: str
    environment: Environment
    operations: Mapping[str, tuple[Outcome, ...]]
    newest: bool
    beside: bool
    page: str

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Those of all operations."""
        return tuple(itertools.chain(*self.operations.values()))

    @property
    def usual(self) -> bool:
        """Whether a reader sees it who has chosen nothing."""
        return self.newest and not self.beside

    @property
    def name(self) -> str:
        """The processor with its threads, or the GPU, in words."""
        return name_of(self.device, self.environment)


def name_of(device: str, environment: Environment) -> str:
    """A processor with the threads that are used, or a GPU, in words."""
    whole = plain(device_name(device, environment) or "") or plain(device)
    short = plain(_NOISE.sub(" ", whole))
    model = cut(short if " " in short else whole, LONGEST_NAME)
    threads = environment.settings.get("threads")
    return f"{model}, {cut(str(threads), 8)} threads" if device == str(CPU) and threads else model


def seats(results: Results) -> list[Seat]:
    """All of them: those of one machine together, of each the newest run first."""
    by_machine = machines(results)
    pages = {run: page for page, runs in by_machine.items() for run in runs}
    groups = tables.devices(results)
    order = [run for runs in by_machine.values() for run in runs]
    found: list[Seat] = []
    seen: set[tuple[str, str, str]] = set()
    for run, device in sorted(groups, key=lambda place: order.index(place[0])):
        environment = results.environments[run]
        known = pages[run], device, name_of(device, environment)
        operations = groups[run, device]
        beside = all(reference(here, environment) is not None for here in operations.values())
        found.append(Seat(run, device, environment, operations, known not in seen, beside, pages[run]))
        seen.add(known)
    return found


def machines(results: Results) -> dict[str, list[str]]:
    """By the path of each machine's page its runs that hold records, the newest first."""
    known = {outcome.run for outcome in results.outcomes}
    by_machine: dict[str, list[str]] = defaultdict(list)
    for run in sorted(known, key=lambda run: (results.environments[run].created, run), reverse=True):
        by_machine[results.environments[run].machine].append(run)
    named = {_page(results.environments[runs[0]]): runs for runs in by_machine.values()}
    return dict(sorted(named.items()))


def several(results: Results) -> bool:
    """Whether runs are of more than one machine."""
    return len(machines(results)) > 1


def _page(environment: Environment) -> str:
    """A path of letters, digits and hyphens, unlike that of any other machine."""
    device = next(iter(environment.devices), str(CPU))
    words = re.sub(r"[^a-z0-9]+", "-", (device_name(device, environment) or "").lower())
    name = words[:LONGEST_NAME].strip("-") or "machine"
    return f"{FOLDER}/{name}-{_digest(environment.machine)}.html"


def _digest(machine: str) -> str:
    if _DIGEST.fullmatch(machine):
        return machine
    return hashlib.sha256(machine.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def of_runs(results: Results, runs: Sequence[str]) -> Results:
    """The results of some runs, with the notes that name them."""
    folders = "|".join(re.escape(run.partition("@")[0]) for run in runs)
    named = re.compile(rf"(?<![\w.-])({folders})(?![\w.-])")
    return Results(
        {run: results.environments[run] for run in runs},
        tuple(outcome for outcome in results.outcomes if outcome.run in set(runs)),
        tuple(filter(named.search, results.notes)),
        {run: results.speeds[run] for run in runs if run in results.speeds},
        {run: results.full_speed_s[run] for run in runs if run in results.full_speed_s},
    )
