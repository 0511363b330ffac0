"""Numbers in words."""

from __future__ import annotations

from typing import Any

import pytest

from suite.units import digits


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.0123"), (1, "1.00"), (9.999, "10.0"), (99.95, "100"), (12345.6, "12,346"), (0, "0")],
)
def test_numbers_are_shown_with_three_digits(value: Any, text: Any) -> None:
    assert digits(value) == text
