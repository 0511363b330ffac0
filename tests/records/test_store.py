"""A run directory: what was appended is what is read, whatever happens to the disk or the file between."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suite.cases.case import ABSENT_BEFORE
from suite.records import store, strict
from suite.records.record import to_json
from suite.records.store import Refused, Run, StoreError
from tests.support import fabricate

ROOT = Path(__file__).resolve().parents[2]

CASE = fabricate.CASES[0]
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path / "a run", fabricate.ENVIRONMENT)


def block(number=0):
    return fabricate.measurement(CASE, number, shape={"count": 6, "each": 3})


def one_line(error, *words):
    text = str(error.value)
    assert "\n" not in text and ": " in text and "; " in text
    for word in words:
        assert word in text
    return text


# --- what was written is read ---


def test_records_come_back_equal_and_in_order(run):
    run.append(block(0))
    run.append(block(1))
    assert Run.open(run.path).records() == ([*block(0), *block(1)], [])


def test_the_environment_comes_back_equal_and_is_readable_by_people(run):
    assert Run.open(run.path).environment == fabricate.ENVIRONMENT
    assert len((run.path / "environment.json").read_text().splitlines()) > 10


@quick
@given(reason=st.text(st.characters(), min_size=1), backend=st.text(st.characters(), min_size=1))
def test_any_text_comes_back(tmp_path_factory, reason, backend):
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    written = fabricate.failure(backend, CASE, "m0", status="error", reason=reason)
    run.append([written])
    assert run.records() == ([written], [])


@quick
@given(st.lists(st.lists(st.floats(1e-9, 1e3), max_size=4).map(tuple), min_size=1, max_size=4).map(tuple))
def test_any_samples_come_back_to_the_last_bit(tmp_path_factory, taken):
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    base = block()[1]
    written = replace(base, samples=replace(base.samples, call_s=taken))
    run.append([written])
    assert run.records() == ([written], [])


def test_no_record_is_ever_written_with_nan(run):
    base = block()[1]
    with pytest.raises(ValueError):
        run.append([base, replace(base, samples=replace(base.samples, call_s=((float("nan"),),)))])
    assert run.records() == ([], [])


def test_paths_with_spaces_and_any_letters(tmp_path):
    path = tmp_path / "läuft bei 東京" / "a b\tc"
    Run.create(path, fabricate.ENVIRONMENT).append(block())
    assert len(Run.open(path).records()[0]) == len(block())


# --- lines that are none of ours ---


def test_a_torn_last_line_is_reported_and_the_next_append_heals_it(run):
    run.append(block(0))
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(to_json(block(1)[0]).encode()[:-40])
    found, refused = run.records()
    assert found == block(0)
    assert [r.line_number for r in refused] == [len(block()) + 1]
    assert "cut short" in refused[0].why
    run.append(block(2))
    found, refused = run.records()
    assert found == [*block(0), *block(2)]
    assert len(refused) == 1


def test_a_last_line_that_lacks_only_its_end_counts(run):
    run.append(block())
    with (run.path / "records.jsonl").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 1)
    assert run.records() == (block(), [])
    run.append(block())
    assert run.records() == (block() * 2, [])


LINE = to_json(block()[1])
FOREIGN = {
    "empty": b"",
    "not JSON": b"hello",
    "not an object": b"[1]",
    "null": b"null",
    "two records": LINE.encode() * 2,
    "a letter after it": LINE.encode() + b" x",
    "another schema": LINE.replace('"schema":1', '"schema":99').encode(),
    "no schema": b"{}",
    "an unknown field": LINE.replace('"backend":', '"surprise":1,"backend":').encode(),
    "a missing field": LINE.replace('"reason":null,', "").encode(),
    "a doubled key": LINE.replace('"reason":null,', '"reason":null,"reason":null,').encode(),
    "a text for a number": LINE.replace('"vocab":50257', '"vocab":"50257"').encode(),
    "a flag for a number": LINE.replace('"vocab":50257', '"vocab":true').encode(),
    "an impossible case": LINE.replace('"vocab":50257', '"vocab":-1').encode(),
    "NaN": LINE.replace('"overhead_s":null', '"overhead_s":NaN').encode(),
    "infinity": LINE.replace('"overhead_s":null', '"overhead_s":1e999').encode(),
    "an integer beyond floats": LINE.replace('"overhead_s":null', '"overhead_s":1' + "0" * 400).encode(),
    "an integer beyond reading": LINE.replace('"overhead_s":null', '"overhead_s":1' + "0" * 9000).encode(),
    "ok without samples": to_json(fabricate.failure("b", CASE, "m")).replace("unsupported", "ok").encode(),
    "not UTF-8": LINE.replace("numba_cpu", "n").encode() + b"\xff",
    "deep": b'{"schema":1,"samples":' + b"[" * 100_000,
    "deep in a fact": LINE.replace(
        '"telemetry":{}', '"telemetry":{"a":' + "[" * 50 + "]" * 50 + "}"
    ).encode(),
    "a NUL": b"\0" * 100,
    "a list for a status": LINE.replace('"status":"ok"', '"status":[]').encode(),
}


def test_a_record_from_before_offsets_is_of_an_aligned_table(run):
    older = LINE.replace(',"offset":0', "")
    assert older != LINE
    with (run.path / "records.jsonl").open("a") as file:
        file.write(older + "\n")
    assert run.records() == ([block()[1]], [])


def test_keys_are_known_by_their_names_in_any_order(run):
    turned = json.dumps(json.loads(LINE, object_pairs_hook=lambda pairs: dict(reversed(pairs))))
    swapped = LINE.replace('"vocab":50257,"dim":768', '"dim":768,"vocab":50257')
    unknown = LINE.replace('"vocab"', '"vokab"')
    (run.path / "records.jsonl").write_text("\n".join((LINE, turned, swapped, unknown)) + "\n")
    found, refused = run.records()
    assert found == [block()[1]] * 3
    assert [one.why for one in refused] == ["Record.case.vokab: unknown field"]


def test_what_is_equal_but_of_another_type_is_never_taken_for_what_was_read_before(run):
    ones = LINE.replace('"offset":0', '"offset":4')
    with (run.path / "records.jsonl").open("a") as file:
        for line in (ones, ones.replace('"offset":4', '"offset":4.0'), LINE.replace(":0}", ":false}")):
            file.write(line + "\n")
    found, refused = run.records()
    assert [record.case.offset for record in found] == [4]
    assert ["Record.case.offset: " in one.why for one in refused] == [True, True]


def test_equal_cases_are_one_and_the_sign_of_a_zero_is_kept(run):
    shares = [LINE.replace('"huge_pages":null', f'"huge_pages":{share}') for share in ("0.0", "-0.0")]
    (run.path / "records.jsonl").write_text("\n".join(shares) + "\n")
    (one, other), _ = run.records()
    assert one.case is other.case
    assert [math.copysign(1, record.traffic.huge_pages) for record in (one, other)] == [1, -1]


@dataclass(frozen=True)
class Later:
    first: int
    second: int = field(default=2, metadata=ABSENT_BEFORE)
    third: int = field(default=3, metadata=ABSENT_BEFORE)


@dataclass(frozen=True)
class Misplaced:
    first: int = field(default=1, metadata=ABSENT_BEFORE)
    second: int = 2


def test_fields_of_later_versions_are_absent_from_the_last_on():
    assert strict.build(Later, {"first": 7}) == Later(7)
    assert strict.build(Later, {"second": 8, "first": 7}) == Later(7, 8)
    with pytest.raises(ValueError, match=r"Later\.second: missing"):
        strict.build(Later, {"first": 7, "third": 9})
    with pytest.raises(TypeError, match="Misplaced"):
        strict.build(Misplaced, {"first": 7, "second": 9})


@pytest.mark.parametrize("line", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_line_is_refused_alone(run, line):
    run.append(block(0))
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(line + b"\n")
    run.append(block(1))
    found, refused = run.records()
    assert found == [*block(0), *block(1)]
    assert [(r.path, r.line_number) for r in refused] == [(run.path / "records.jsonl", len(block()) + 1)]
    assert refused[0].why and "\n" not in refused[0].why


@pytest.mark.parametrize(
    ("samples", "read"),
    [
        ("[[1.5,2],[],[3]]", ((1.5, 2.0), (), (3.0,))),
        ("[[1e308,1e308],[1e308]]", ((1e308, 1e308), (1e308,))),
        ("[]", ()),
        ("[[1.5,1e999]]", None),
        ("[[1e999],[-1e999]]", None),
        ("[[1.5,true]]", None),
        ('[[1.5,"2"]]', None),
        ("[[1.5,null]]", None),
        ("[[1.5],[[2.5]]]", None),
        ("[[1.5],2.5]", None),
        ("[[1.5],{}]", None),
        ("[1.5,2.5]", None),
        ("{}", None),
        ("[[9007199254740993]]", ((9007199254740992.0,),)),
        (f"[[{10**400}]]", None),
    ],
)
def test_samples_are_finite_numbers_in_rounds(run, samples, read):
    ours = json.dumps(json.loads(LINE)["samples"]["call_s"], separators=(",", ":"))
    (run.path / "records.jsonl").write_text(LINE.replace(ours, samples) + "\n")
    (item,) = run.read()
    if read is None:
        assert isinstance(item, Refused) and "Record.samples.call_s: " in item.why
    else:
        assert item.samples.call_s == read
        assert {type(one) for taken in item.samples.call_s for one in taken} <= {float}


@quick
@given(at=st.integers(0, len(LINE) - 1), byte=st.integers(0, 255).filter(lambda b: b != 10))
def test_whatever_byte_is_edited_reading_goes_on(tmp_path_factory, at, byte):
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    data = bytearray(LINE.encode() + b"\n")
    data[at] = byte
    (run.path / "records.jsonl").write_bytes(bytes(data) + LINE.encode() + b"\n")
    items = list(run.read())
    assert len(items) == 2
    assert items[1] == block()[1]
    assert isinstance(items[0], Refused) or to_json(items[0])


@pytest.mark.parametrize("excess", [0, 1, 50, 5000])
def test_a_line_beyond_the_limit_is_refused_and_never_held_whole(run, monkeypatch, excess):
    monkeypatch.setattr(store, "MAX_LINE_BYTES", 4000)
    short = fabricate.failure("b", CASE, "m")
    run.append([short])
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b"x" * (4000 + excess) + b"\n")
    run.append([short])
    found, refused = run.records()
    assert found == [short, short]
    assert [r.why for r in refused] == ["longer than 4000 bytes"]


def test_a_record_too_long_to_be_read_again_is_not_written(run, monkeypatch):
    monkeypatch.setattr(store, "MAX_LINE_BYTES", 200)
    with pytest.raises(StoreError) as error:
        run.append(block())
    one_line(error, "200 bytes", "fewer samples")
    assert (run.path / "records.jsonl").read_bytes() == b""


# --- a disk that fails ---


def test_a_short_write_is_noticed_and_continued(run, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:700])))
    run.append(block())
    assert run.records() == (block(), [])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(run, monkeypatch, code):
    run.append(block(0))
    write, calls = os.write, []

    def failing(fd, data):
        calls.append(fd)
        if len(calls) == 2:
            raise OSError(code, os.strerror(code))
        return write(fd, bytes(data[:700]))

    monkeypatch.setattr(os, "write", failing)
    before = (run.path / "records.jsonl").read_bytes()
    with pytest.raises(StoreError) as error:
        run.append(block(1))
    one_line(error, str(run.path), "input/output error" if code == errno.EIO else "disk full")
    assert (run.path / "records.jsonl").read_bytes() == before


def test_a_record_that_did_not_reach_the_disk_is_not_kept(run, monkeypatch):
    def failing(fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StoreError):
            run.append(block())
    assert run.records() == ([], [])


def test_every_append_reaches_the_disk_in_one_write(run, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    run.append(block())
    assert calls == ["write", "fsync"]


LIMITED = """
import resource, sys
sys.path.insert(0, {root!r})
from suite.records.store import Run, StoreError
from tests.support import fabricate
run = Run.open({path!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
try:
    run.append(fabricate.measurement(fabricate.CASES[0], 1))
except StoreError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_keeps_its_earlier_records(run):
    run.append(block(0))
    size = (run.path / "records.jsonl").stat().st_size
    code = LIMITED.format(root=str(ROOT), path=str(run.path), size=size + 1000)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "disk full" in child.stdout and child.stderr == ""
    assert (run.path / "records.jsonl").stat().st_size == size
    assert run.records() == (block(0), [])


def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        run = Run.create(disk / "run", fabricate.ENVIRONMENT)
        kept = []
        with pytest.raises(StoreError, match="disk full"):
            for number in range(100):
                run.append(block(number))
                kept += block(number)
        assert kept and run.records() == (kept, [])
        with pytest.raises(StoreError, match="disk full"):
            Run.create(disk / "other", replace(fabricate.ENVIRONMENT, argv=("x" * 60_000,)))
        assert not list((disk / "other").iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


# --- folders that are no runs ---


def test_a_run_is_not_made_where_something_is(run, tmp_path):
    with pytest.raises(StoreError) as error:
        Run.create(run.path, fabricate.ENVIRONMENT)
    one_line(error, "holds a run already", "--resume")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full", fabricate.ENVIRONMENT)
    one_line(error, "not empty")
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full" / "file", fabricate.ENVIRONMENT)
    one_line(error, "--out")
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full" / "file" / "below", fabricate.ENVIRONMENT)
    one_line(error, "can't be written")


def test_a_run_is_made_in_an_empty_folder(tmp_path):
    assert Run.create(tmp_path, fabricate.ENVIRONMENT).records() == ([], [])


def test_where_nothing_may_be_written(tmp_path, monkeypatch):
    def refusing(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    one_line(error, "permission denied", "--out")


def test_an_environment_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def failing(self, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(StoreError):
            Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    assert not list((tmp_path / "r").iterdir())
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT)


def test_a_noise_floor_written_later_changes_nothing_else(run):
    run.append(block())
    amended = run.amended(0.015)
    assert amended.environment == Run.open(run.path).environment
    assert amended.environment == replace(fabricate.ENVIRONMENT, noise_floor=0.015)
    assert amended.records() == (block(), [])


@pytest.mark.parametrize("step", ["rename", "open"])
def test_a_noise_floor_that_can_not_be_written_costs_no_record(run, monkeypatch, step):
    def failing(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.append(block())
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, failing)
        with pytest.raises(StoreError) as error:
            run.amended(0.5)
    one_line(error, "disk full")
    assert Run.open(run.path).records() == (block(), [])
    assert Run.open(run.path).environment == fabricate.ENVIRONMENT
    assert sorted(p.name for p in run.path.iterdir()) == ["environment.json", "records.jsonl"]


def open_fails(path, *words):
    with pytest.raises(StoreError) as error:
        Run.open(path)
    return one_line(error, str(path), *words)


def test_what_is_no_run_is_not_opened(run, tmp_path):
    open_fails(tmp_path / "missing", "no such folder")
    open_fails(run.path / "environment.json", "no folder")
    open_fails(tmp_path, "environment.json is missing")
    (run.path / "records.jsonl").unlink()
    open_fails(run.path, "records.jsonl is missing")
    os.mkfifo(run.path / "records.jsonl")
    open_fails(run.path, "records.jsonl is missing")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "Expecting value"),
        ("{}", "schema None"),
        (json.dumps({**json.loads(to_json(fabricate.ENVIRONMENT)), "schema": 0}), "schema 0"),
        (to_json(fabricate.ENVIRONMENT).replace('"seed":0', '"seed":"0"'), "seed"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_an_environment_of_another_version_or_none(run, text, word):
    (run.path / "environment.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    open_fails(run.path, word, "version of the suite")


def test_an_unreadable_environment(run, monkeypatch):
    def refusing(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refusing)
    open_fails(run.path, "permission denied")


@pytest.mark.parametrize(
    "module",
    ["suite.records.store", "suite.analysis.outcomes", "suite.compare.__main__", "suite.report.__main__"],
)
def test_reading_needs_no_heavy_library(module):
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'pandas', 'rich', 'numba') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert child.stdout.strip() == "[]", child.stderr


def test_fabricated_runs_depend_on_nothing_but_their_seed():
    assert block() == block()
    random.seed(7)
    assert (
        fabricate.measurement(CASE, seed=1)
        == fabricate.measurement(CASE, seed=1)
        != fabricate.measurement(CASE)
    )
