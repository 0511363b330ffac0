"""Records to store, and the form of an error."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from tests.support import fabricate

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def block(number: Any = 0) -> Any:
    return fabricate.measurement(fabricate.CASE, number, shape={"count": 6, "each": 3})


def one_line(error: Any, *words: Any) -> Any:
    text = str(error.value)
    assert "\n" not in text and ": " in text and "; " in text
    for word in words:
        assert word in text
    return text
