"""Text from outside, made safe to show; and paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suite.text import at_home, csv_cell, cut, markdown_cell, plain, shown
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


def test_a_path_begins_at_home_where_a_shell_would_have_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for given_, path in {"~/x y": "/home/me/x y", "~": "/home/me", "~/a~b/*": "/home/me/a~b/*"}.items():
        assert at_home(given_) == path
    assert at_home(Path("~/x")) == "/home/me/x"
    for same in ("x/~/y", "./~", "~nobody-of-that-name/x", "x~", ""):
        assert at_home(same) == same
