"""Lines that are no records are refused alone."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.records import store, strict
from suite.records.record import to_json
from suite.records.store import Refused, Run, StoreError
from tests.support import fabricate
from tests.support.stored import QUICK, block, one_line

CASE = fabricate.CASES[0]


def test_a_torn_last_line_is_reported_and_the_next_append_heals_it(run: Run) -> None:
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


def test_a_last_line_that_lacks_only_its_end_counts(run: Run) -> None:
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


def test_a_record_from_before_offsets_is_of_an_aligned_table(run: Run) -> None:
    older = LINE.replace(',"offset":0,"placement":"memory","operation":"lookup","variant":""', "")
    assert older != LINE
    with (run.path / "records.jsonl").open("a") as file:
        file.write(older + "\n")
    assert run.records() == ([block()[1]], [])


def test_keys_are_known_by_their_names_in_any_order(run: Run) -> None:
    turned = json.dumps(json.loads(LINE, object_pairs_hook=lambda pairs: dict(reversed(pairs))))
    swapped = LINE.replace('"vocab":50257,"dim":768', '"dim":768,"vocab":50257')
    unknown = LINE.replace('"vocab"', '"vokab"')
    (run.path / "records.jsonl").write_text("\n".join((LINE, turned, swapped, unknown)) + "\n")
    found, refused = run.records()
    assert found == [block()[1]] * 3
    assert [one.why for one in refused] == ["Record.case.vokab: unknown field"]


def test_what_is_equal_but_of_another_type_is_never_taken_for_what_was_read_before(run: Run) -> None:
    with (run.path / "records.jsonl").open("a") as file:
        for value in ("4", "4.0", "false"):
            line = LINE.replace('"offset":0', f'"offset":{value}')
            file.write(line + "\n")
    found, refused = run.records()
    assert [record.case.offset for record in found] == [4]
    assert ["Record.case.offset: " in one.why for one in refused] == [True, True]


def test_equal_cases_are_one_and_the_sign_of_a_zero_is_kept(run: Run) -> None:
    shares = [LINE.replace('"huge_pages":null', f'"huge_pages":{share}') for share in ("0.0", "-0.0")]
    (run.path / "records.jsonl").write_text("\n".join(shares) + "\n")
    (one, other), _ = run.records()
    assert one.case is other.case
    assert [math.copysign(1, record.traffic.huge_pages) for record in (one, other)] == [1, -1]


@dataclass(frozen=True)
class Later:
    first: int
    second: int = 2
    third: int = 3


@dataclass(frozen=True)
class Misplaced:
    first: int = 1
    second: int = 2


def test_fields_of_later_versions_are_absent_from_the_last_on(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"Later": {"second", "third"}, "Misplaced": {"first"}}
    monkeypatch.setattr(strict, "ABSENT_BEFORE", known)
    assert strict.build(Later, {"first": 7}) == Later(7)
    assert strict.build(Later, {"second": 8, "first": 7}) == Later(7, 8)
    with pytest.raises(ValueError, match=r"Later\.second: missing"):
        strict.build(Later, {"first": 7, "third": 9})
    with pytest.raises(TypeError, match="Misplaced"):
        strict.build(Misplaced, {"first": 7, "second": 9})


@pytest.mark.parametrize("line", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_line_is_refused_alone(run: Run, line: Any) -> None:
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
def test_samples_are_finite_numbers_in_rounds(run: Run, samples: Any, read: Any) -> None:
    ours = json.dumps(json.loads(LINE)["samples"]["call_s"], separators=(",", ":"))
    (run.path / "records.jsonl").write_text(LINE.replace(ours, samples) + "\n")
    (item,) = run.read()
    if read is None:
        assert isinstance(item, Refused) and "Record.samples.call_s: " in item.why
    else:
        assert item.samples.call_s == read
        assert {type(one) for taken in item.samples.call_s for one in taken} <= {float}


@pytest.mark.parametrize("clock", ["kernel_s", "enqueue_s", "graph_s"])
@pytest.mark.parametrize(("rounds", "taken"), [(-1, False), (0, True), (1, False)])
def test_every_clock_has_the_rounds_of_the_others(run: Run, clock: str, rounds: int, taken: bool) -> None:
    tree = json.loads(LINE)
    tree["samples"][clock] = [[1.0]] * (len(tree["samples"]["call_s"]) + rounds)
    (run.path / "records.jsonl").write_text(json.dumps(tree) + "\n")
    (item,) = run.read()
    assert isinstance(item, Refused) != taken
    assert taken or "of the same rounds" in item.why


@QUICK
@given(at=st.integers(0, len(LINE) - 1), byte=st.integers(0, 255).filter(lambda b: b != 10))
def test_whatever_byte_is_edited_reading_goes_on(
    tmp_path_factory: pytest.TempPathFactory, at: Any, byte: Any
) -> None:
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    data = bytearray(LINE.encode() + b"\n")
    data[at] = byte
    (run.path / "records.jsonl").write_bytes(bytes(data) + LINE.encode() + b"\n")
    items = list(run.read())
    assert len(items) == 2
    assert items[1] == block()[1]
    assert isinstance(items[0], Refused) or to_json(items[0])


@pytest.mark.parametrize("excess", [0, 1, 50, 5000])
def test_a_line_beyond_the_limit_is_refused_and_never_held_whole(
    run: Run, monkeypatch: pytest.MonkeyPatch, excess: Any
) -> None:
    monkeypatch.setattr(store, "MAX_LINE_BYTES", 4000)
    short = fabricate.failure("b", CASE, "m")
    run.append([short])
    with (run.path / "records.jsonl").open("ab") as file:
        file.write(b"x" * (4000 + excess) + b"\n")
    run.append([short])
    found, refused = run.records()
    assert found == [short, short]
    assert [r.why for r in refused] == ["longer than 4000 bytes"]


def test_a_record_too_long_to_be_read_again_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_LINE_BYTES", 200)
    with pytest.raises(StoreError) as error:
        run.append(block())
    one_line(error, "200 bytes", "fewer samples")
    assert (run.path / "records.jsonl").read_bytes() == b""
