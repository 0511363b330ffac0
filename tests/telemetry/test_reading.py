"""A reading is a value or a reason."""

from __future__ import annotations

import pytest

from suite.telemetry.reading import Reading, both


def test_a_reading_is_a_value_or_a_reason() -> None:
    for value, reason in ((None, None), (1, "why")):
        with pytest.raises(ValueError, match="a value or a reason"):
            Reading(value, reason)
    assert Reading(0).then(str) == Reading("0")
    assert Reading(None, "why").then(str) == Reading(None, "why")
    assert both(Reading(None, "a"), Reading(None, "b"), max) == Reading(None, "a")
    assert both(Reading(1), Reading(None, "why"), max) == Reading(None, "why")
