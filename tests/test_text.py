"""Text from outside, made safe to show."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from suite.text import csv_cell, cut, markdown_cell, plain, shown
from tests.support.reports import pipes


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters()))
def test_any_text_is_made_safe(text: Any) -> None:
    line = plain(text)
    assert all(c.isprintable() for c in line) and line == plain(line)
    assert plain(f"\x1b[31m{line}\x1b[0m \x1b]0;title\x07") == line
    line.encode("utf-8")
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert pipes(markdown_cell(text)) == 0 and "\n" not in markdown_cell(text)
    assert len(cut(text, 10)) <= 10
    assert shown(text) == shown(shown(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_text_that_is_safe_already_is_left_alone(text: Any) -> None:
    assert plain(text) == text
