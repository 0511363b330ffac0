"""The quick reader against the strict one: what it reads is the same to the bit; all else it leaves alone."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.records import fast, strict
from suite.records.record import Environment, Record, from_json, to_json
from tests.support import fabricate

pytest.importorskip("msgspec", reason="the quick reader is msgspec's")

CASE = fabricate.CASES[0]
_, OK, *_ = fabricate.measurement(CASE, shape={"count": 3, "each": 2})
COUNTED = replace(
    fabricate.record("b:c", CASE, 1e-3, random.Random(0), "m", clock="kernel", device="cuda:0"),
    telemetry=fabricate.counted(CASE, 1e-3) | {"a:b": "c: d", "flag": True},
)
FAILED = fabricate.failure("é", CASE, "m", reason="took 1: 2")
LINES = [to_json(one).encode() for one in (OK, COUNTED, FAILED)]
PIECES = (
    *(b"1", b"-0", b"4.0", b"-0.0", b"1e999", b"1" + b"0" * 30, b"9007199254740993", b"1E5", b"NaN", b"01"),
    *(
        b"null",
        b"true",
        b'"x"',
        b'":"',
        b'"\\u003a"',
        b"[]",
        b"[[]]",
        b"{}",
        b'{"a":1,"a":2}',
        b"\xff",
        b"\x01",
    ),
    *(b",", b":", b'"', b" ", b'"role":"backend",', b'"offset":0', b'"batch":512,', b"\xed\xa0\x80"),
)


def strictly(line: bytes) -> str | None:
    try:
        return repr(strict.build(Record, strict.parse(line.decode())))
    except ValueError:
        return None


@pytest.mark.parametrize("line", LINES, ids=["ok", "counted", "failed"])
def test_what_the_suite_writes_is_read_quickly(line: bytes) -> None:
    assert repr(fast.read(Record, line)) == strictly(line) != "None"


def test_an_environment_is_read_quickly() -> None:
    text = json.dumps(json.loads(to_json(fabricate.ENVIRONMENT)), indent=2)
    assert fast.read(Environment, text.encode()) == fabricate.ENVIRONMENT


@settings(max_examples=3000, deadline=None)
@given(
    line=st.sampled_from(LINES),
    at=st.integers(0, 2**16),
    length=st.integers(0, 12),
    piece=st.sampled_from(PIECES) | st.binary(max_size=3),
)
def test_an_edited_line_is_read_alike_or_left_alone(line: bytes, at: int, length: int, piece: bytes) -> None:
    at %= len(line)
    edited = line[:at] + piece + line[at + length :]
    found = fast.read(Record, edited)
    assert found is None or repr(found) == strictly(edited)


VALUES = [
    b"1",
    b"-1",
    b"0",
    b"2.5",
    b"4.0",
    b"1" + b"0" * 25,
    b"1" + b"0" * 400,
    b"null",
    b"true",
    b'"x"',
    b"[]",
]
VALUES += [b"[[1]]", b"[[1,2.5],[]]", b'[["x"]]', b"[[null]]", b"{}", b'{"a":{}}', b"1e-400", b"-0.0", b"-0"]


@pytest.mark.parametrize("line", LINES, ids=["ok", "counted", "failed"])
def test_a_field_with_another_value_is_read_alike_or_left_alone(line: bytes) -> None:
    read = 0
    for path in paths(json.loads(line)):
        for value in VALUES:
            edited = with_value(line, path, value)
            found = fast.read(Record, edited)
            read += found is not None
            assert found is None or repr(found) == strictly(edited), (path, value)
    assert read > 20


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"role":', b'"rolle":'),
        (b'"role":"backend",', b'"reason":null,'),
        (b'"role":"backend",', b'"offset":0,'),
        (b'"reason":null,', b'"reason":null,"reason":null,'),
        (b'"reason":null', b'"reason":null,"reason" :null'),
        (b'"measurement":"m0"', b'"measurement":"m\\u003a0","backend":"x"'),
        (b'"telemetry":{}', b'"telemetry":{"a":1,"a":1}'),
        (b'"batch":512', b'"batch":512,"batch":512'),
        (b'"schema":1', b'"schema":1,"schema":1'),
    ],
)
def test_a_doubled_missing_or_unknown_key_is_left_to_the_strict_reader(old: bytes, new: bytes) -> None:
    assert old in LINES[0]
    assert fast.read(Record, LINES[0].replace(old, new, 1)) is None


def test_fields_of_later_versions_may_be_absent() -> None:
    line = LINES[0]
    for field in (
        b',"offset":0,"placement":"memory","operation":"lookup","variant":""',
        b',"huge_pages":null',
        b',"graph_s":null,"graph_missing":null',
        b',"began_s":[],"meter_s":[],"meter_threads":null',
        b',"pass_number":1,"environment":null',
    ):
        assert field in line
        line = line.replace(field, b"")
        assert fast.read(Record, line) == OK and strictly(line) == repr(OK), field


def test_a_field_is_not_absent_before_one_that_is_there() -> None:
    for field in (b'"began_s":[],', b'"meter_s":[],', b'"pass_number":1,'):
        line = LINES[0].replace(field, b"")
        assert line != LINES[0]
        assert fast.read(Record, line) is None and strictly(line) is None, field


def test_fields_of_earlier_versions_are_dropped() -> None:
    """As a run of several processes had them, before passes."""
    for held in (b"[]", b"[12, 12]", b"[1.5,2]"):
        line = LINES[0].replace(b',"began_s"', b',"processes":' + held + b',"began_s"')
        assert line != LINES[0]
        assert fast.read(Record, line) == OK and strictly(line) == repr(OK), held
        elsewhere = LINES[0].replace(b'"role"', b'"processes":' + held + b',"role"', 1)
        assert fast.read(Record, elsewhere) is None and strictly(elsewhere) is None, "only where it was"
    twice = LINES[0].replace(b',"began_s"', b',"processes":[],"processes":[1],"began_s"')
    assert fast.read(Record, twice) is None and strictly(twice) is None
    text = LINES[0].replace(b',"began_s"', b',"processes":["a:b"],"began_s"')
    assert fast.read(Record, text) is None and strictly(text) == repr(OK), "left to the strict reader"


def test_what_a_meter_read_is_read_to_the_bit() -> None:
    samples = replace(
        COUNTED.samples,
        began_s=(1764000000.123456, 1764000000.2),
        meter_s=((1.5e-05, 2.1e-05), (), (1.5000000000000002e-05,)),
        meter_threads=2,
    )
    made = replace(COUNTED, samples=samples, pass_number=3, environment="head")
    line = to_json(made).encode()
    assert fast.read(Record, line) == made and strictly(line) == repr(made)


def test_an_environment_names_others_and_full_speed() -> None:
    made = replace(
        fabricate.ENVIRONMENT,
        full_speed_s={"1": 1.51e-05, "2": 1.6e-05},
        environments={"base": {"python": "a/python", "version": "3.11.9", "torch": None}, "head": {}},
    )
    line = to_json(made).encode()
    assert from_json(Environment, line) == made, "by the strict reader: the quick one has no nested mappings"
    older = line.replace(line[line.index(b',"full_speed_s"') : -1], b"")
    bare = fabricate.ENVIRONMENT
    assert fast.read(Environment, older) == strict.build(Environment, strict.parse(older.decode())) == bare


def test_without_the_library_runs_are_read_all_the_same(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "run")
    code = """if True:
        import sys
        sys.modules["msgspec"] = None
        from suite.records.store import Run
        records, refused = Run.open(sys.argv[1]).records()
        print(len(records), len(refused))
    """
    child = subprocess.run(
        [sys.executable, "-c", code, str(run.path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout == f"{len(run.records()[0])} 0\n", child.stderr


def test_it_is_quick() -> None:
    line = to_json(fabricate.record("b", CASE, 1e-3, random.Random(0), "m", shape={"each": 60})).encode()
    times = []
    for read in (lambda: fast.read(Record, line), lambda: strict.build(Record, strict.parse(line.decode()))):
        began = process_time()
        for _ in range(200):
            read()
        times.append(process_time() - began)
    assert times[0] < times[1] / 2


def paths(tree: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(tree, dict):
        return []
    return [p for name, value in tree.items() for p in ((*before, name), *paths(value, (*before, name)))]


def with_value(line: bytes, path: tuple[str, ...], value: bytes) -> bytes:
    tree = json.loads(line)
    inner = tree
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = "PUT IT HERE"
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
    return text.encode().replace(b'"PUT IT HERE"', value)


@pytest.mark.parametrize("number", [-(2**63) - 1, -(2**70), 2**64, 2**70])
def test_a_whole_number_beyond_64_bits_is_read_as_the_strict_reader_does(number: int) -> None:
    line = to_json(replace(fabricate.measurement(fabricate.CASE)[0], telemetry={"fact": number})).encode()
    assert from_json(Record, line).telemetry == {"fact": number}
    assert type(from_json(Record, line).telemetry["fact"]) is int


@pytest.mark.parametrize("sign", [1, -1])
def test_a_float_that_may_have_been_a_whole_number_is_left_to_the_strict_reader(sign: int) -> None:
    """Versions of the library differ in what they make of whole numbers beyond 64 bits."""
    for number, quickly in ((2.0**53 - 1, True), (2.0**53, False), (1e300, False)):
        line = to_json(replace(OK, telemetry={"fact": sign * number})).encode()
        assert (fast.read(Record, line) is not None) == quickly
        assert from_json(Record, line).telemetry == {"fact": sign * number}
