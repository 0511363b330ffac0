"""Backends that cheat or slip are caught for what they do, and cost nobody else a record."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backends import choose
from suite.cases import ids
from suite.cases.case import Case, Sweep
from suite.engine.measure import Settings
from suite.records.device import CPU
from suite.records.record import Record
from suite.records.store import Run
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor
from tests.support.commands import NUMPY_ALONE

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests/adversaries"
TABLE = FOLDER / "README.md"
HONEST = ("numpy_take", "torch_index_select", "torch_embedding", "numba_cpu")
CASE = ("--vocab", "1000", "--dim", "64", "--batch", "17", "--threads", "1", "--passes", "1")
COMPANIES: dict[str, tuple[str, ...]] = {
    "bombs": ("--time-budget", "2s"),
    "soft": ("--time-budget", "1s"),
    "behind": ("--time-budget", "2s"),
    "dies": ("--time-budget", "1s"),
    "hangs": ("--time-budget", "1s", "--timeout", "2s"),
    "timed": ("--cache", "hot", "--time-budget", "2s"),
    "trusted": ("--time-budget", "1s"),
    "meters": ("--cache", "hot", "--time-budget", "2s"),
}
"""Adversaries that are measured together, beside an honest one, and the options of their run."""
LEAKS = "leaks"
"""A company without a run: its worker may take less memory than those of a run."""
WHOLE = {"PYTHONPATH": str(ROOT)}
"""For runs with all libraries: one of the soft ones has a tensor, a bomb needs workers that begin slowly."""
LIMIT_BYTES = 500_000_000


@dataclass(frozen=True)
class Adversary:
    """A row of the table."""

    name: str
    does: str
    company: str
    status: str
    says: str
    caught_by: str


@dataclass
class Outcome:
    """What a run of one company came to."""

    code: int
    records: dict[str, list[Record]] = field(default_factory=dict)
    said: str = ""


def _adversaries() -> list[Adversary]:
    rows = [line.strip("| \n").split(" | ") for line in TABLE.read_text().splitlines() if line[:3] == "| `"]
    return [Adversary(row[0].strip("`"), *map(str.strip, row[1:])) for row in rows]


def _marks(company: str) -> tuple[pytest.MarkDecorator, ...]:
    """Two companies take half a minute each."""
    return (pytest.mark.slow,) if company in ("bombs", "meters") else ()


def _members(company: str) -> list[str]:
    """Paths that begin in the folder of the run, which one of them leaves."""
    return [
        str((FOLDER / f"{each.name}.py").relative_to(ROOT))
        for each in _adversaries()
        if each.company == company
    ]


def _measure(folder: Path, *arguments: str, variables: Mapping[str, str] = NUMPY_ALONE) -> Outcome:
    command = [sys.executable, "-m", "suite.run", *CASE, "--out", str(folder), "--backend", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    outcome = Outcome(done.returncode, said=done.stderr)
    assert (folder / "records.jsonl").is_file(), done.stderr
    records, refused = Run.open(folder).records()
    assert not refused
    for record in records:
        outcome.records.setdefault(record.backend, []).append(record)
    return outcome


def _leaking() -> Outcome:
    which = ("numpy_take", *_members(LEAKS))
    case = Case(1000, 64, batch=17, cache="hot")
    supervisor = Supervisor(timeout_s=60.0, memory_bytes=LIMIT_BYTES, threads=1)
    try:
        job = Job(
            case,
            CPU,
            tuple(map(choose, which)),
            "m",
            Settings(precision=0.001, limit_s=2.0, cache_bytes=2**20),
        )
        records = supervisor.measure(job)
    finally:
        supervisor.close()
    return Outcome(0, {record.backend: [record] for record in records if record.role == "backend"})


Ran = Callable[[str], Outcome]


@pytest.fixture(scope="module")
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The outcome of a company's run, which happens once; two at a time of those that tests ask for."""

    def run(company: str, folder: Path) -> Outcome:
        if company == LEAKS:
            return _leaking()
        if company == "honest":
            return _measure(folder, *HONEST, "--cache", "cold,hot", "--time-budget", "2s", variables=WHOLE)
        members = _members(company)
        half = len(members) // 2
        backends = (*members[:half], "numpy_take", *members[half:])
        variables = WHOLE if company in ("soft", "bombs") else NUMPY_ALONE
        return _measure(folder, *backends, *COMPANIES[company], variables=variables)

    asked = _asked(request)
    folders = {company: tmp_path_factory.mktemp(company) / "run" for company in asked}
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setenv("PYTHONPATH", NUMPY_ALONE["PYTHONPATH"])  # of the worker that leaks
        began = {company: pool.submit(run, company, folders[company]) for company in asked}
        yield lambda company: began[company].result()


def _asked(request: pytest.FixtureRequest) -> list[str]:
    """The companies of the tests selected; a test that names none takes the soft one."""
    asked = set()
    for item in request.session.items:
        if isinstance(item, pytest.Function) and "ran" in item.fixturenames:
            given = item.callspec.params if hasattr(item, "callspec") else {}
            asked.add(given["adversary"].company if "adversary" in given else given.get("company", "soft"))
    return [company for company in (LEAKS, *COMPANIES, "honest") if company in asked]


def test_the_table_names_every_file_and_says_what_it_says() -> None:
    files = {path.stem: ast.get_docstring(ast.parse(path.read_text())) for path in FOLDER.glob("*.py")}
    assert {each.name: each.does for each in _adversaries()} == files
    assert {each.company for each in _adversaries()} == {*COMPANIES, LEAKS}
    assert len(files) >= 24


@pytest.mark.parametrize(
    "adversary",
    [
        pytest.param(each, id=each.name, marks=_marks(each.company))
        for each in _adversaries()
        if each.company in COMPANIES
    ],
)
def test_it_is_caught(adversary: Adversary, ran: Ran) -> None:
    records = ran(adversary.company).records[adversary.name]
    assert len(records) == 1
    for record in records:
        assert record.status == adversary.status, record.reason
        assert adversary.says in (record.reason or "")
        assert len((record.reason or "").splitlines()) < 2


@pytest.mark.parametrize("company", [pytest.param(name, marks=_marks(name)) for name in COMPANIES])
def test_it_costs_nobody_else_a_record(company: str, ran: Ran) -> None:
    outcome = ran(company)
    assert [record.status for record in outcome.records["numpy_take"]] == ["ok"], outcome.said
    assert all(record.samples and record.samples.call_s for record in outcome.records["numpy_take"])
    ceilings = [r for records in outcome.records.values() for r in records if r.role == "ceiling"]
    assert len(ceilings) == 1
    assert {r.measurement for r in ceilings} == {r.measurement for r in outcome.records["numpy_take"]}
    failed = any(record.status != "ok" for records in outcome.records.values() for record in records)
    assert outcome.code == (1 if failed else 0), "all of them are asked for by name"


def test_a_clock_that_stands_still_is_nobodys_time(ran: Ran) -> None:
    for record in ran("soft").records["patches_clock"]:
        assert record.samples
        assert all(time > 0 for turn in record.samples.call_s for time in turn)


@pytest.mark.slow
@pytest.mark.parametrize("company", ["meters"])
def test_nobody_makes_the_meter_read_fast_or_fail(company: str, ran: Ran) -> None:
    """Against the honest one's turns in the same rounds; a slow reading is no gain."""
    records = ran(company).records
    least = {name: _least_reading(record) for name, (record,) in records.items() if record.role == "backend"}
    (honest,) = records["numpy_take"]
    assert least["numpy_take"] > 1e-6
    for name, reading in least.items():
        assert reading > 0.8 * least["numpy_take"], name
    assert honest.samples and honest.samples.meter_threads == 1


def _least_reading(record: Record) -> float:
    samples = record.samples
    assert samples and len(samples.meter_s) == len(samples.call_s)
    assert all(len(turn) >= 2 for turn in samples.meter_s), "before and after"
    return min(reading for turn in samples.meter_s for reading in turn)


def test_who_changes_folder_or_prints_is_measured_beside_the_honest_one(ran: Ran) -> None:
    records = ran("soft").records
    for name in ("changes_folder", "floods_stdout", "meddles", "leaves_a_sleeper"):
        assert [r.measurement for r in records[name]] == [r.measurement for r in records["numpy_take"]]


@pytest.mark.parametrize("company", [LEAKS])
def test_a_leak_is_ended_and_blamed_on_who_leaks(company: str, ran: Ran) -> None:
    """In the company of an honest one whose turns come between."""
    records = ran(company).records
    assert [record.status for record in records["numpy_take"]] == ["ok"]
    for leak in (each for each in _adversaries() if each.company == company):
        (record,) = records[leak.name]
        assert record.status == leak.status, record.reason
        assert leak.says in (record.reason or "")


@pytest.mark.parametrize("company", ["honest"])
def test_honest_backends_pass_where_adversaries_fall(company: str, ran: Ran) -> None:
    outcome = ran(company)
    for name in HONEST:
        assert [r.status for r in outcome.records[name]] == ["ok", "ok"], outcome.records[name][0].reason
    assert outcome.code == 0


def test_checked_ids_hold_the_edges() -> None:
    """The last row, row 0; adversaries that miss one of them are caught by these."""
    for case in Sweep((1000,), (64,), batch=(1, 2, 3, 4, 17)):
        drawn = ids.draw_edges(case, 0)
        assert drawn[0] == case.vocab - 1
        assert case.batch == 1 or drawn[-1] == 0
