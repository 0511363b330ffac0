"""Dataclasses from lines of JSON: only what has a schema is held to it."""

from __future__ import annotations

import pytest

from suite.cases.case import Case
from suite.engine.measure import Settings
from suite.records import record
from suite.records.record import Record, from_json, to_json
from suite.worker.messages import Job
from tests.support import fabricate

JOB = Job(Case(1000, 64), "cpu", ("numpy_take",), "m", Settings())


@pytest.mark.parametrize("schema", [record.SCHEMA, record.SCHEMA + 1])
def test_a_job_is_read_whatever_the_schema_of_records_is(
    schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "SCHEMA", schema)
    assert from_json(Job, JOB.to_line()) == JOB


def test_a_record_of_another_schema_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    line = to_json(fabricate.failure("b", JOB.case, "m")).encode()
    assert from_json(Record, line).backend == "b"
    monkeypatch.setattr(record, "SCHEMA", record.SCHEMA + 1)
    with pytest.raises(ValueError, match="schema 1, this reader knows 2"):
        from_json(Record, line)
