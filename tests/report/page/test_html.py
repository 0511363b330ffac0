"""The page as bytes: the same every time, its policy, its scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from suite.records.record import METHOD
from suite.report.__main__ import main
from suite.report.page.html import SCRIPTS, part
from tests.support import fabricate


def test_the_same_runs_give_the_same_bytes_and_the_command_writes_them(folder: Path, tmp_path: Path) -> None:
    runs = [str(folder / "host")]
    for name in ("a", "b"):
        assert main([*runs, "--html", str(tmp_path / name)]) == 0
    first = (tmp_path / "a").read_bytes()
    assert first == (tmp_path / "b").read_bytes() == (folder / "host.html").read_bytes()


@pytest.mark.parametrize("name", ["host", "two", "evil"])
def test_the_policy_names_every_script_and_style_and_nothing_else(folder: Path, name: str) -> None:
    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    pieces = re.findall(r"<script>(.*?)</script>|<style>(.*?)</style>", html, re.DOTALL)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256((a or b).encode()).digest()).decode()}'" for a, b in pieces
    }
    assert set(re.findall(r"'sha256-[^']*'", policy)) == hashes
    assert len(pieces) == len(SCRIPTS) + 1
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert html.count("<script") == len(SCRIPTS) + 1  # and the data


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_text_or_reaches_out(name: str) -> None:
    source = part(name)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
    ):
        assert word not in source
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", source)


def test_the_speed_of_the_machine_needs_no_script(folder: Path) -> None:
    before = (folder / "slow.html").read_text(encoding="utf-8").partition("<script")[0]
    assert "<b>82 % of the time at full speed</b>" in before
    assert re.findall(r'<path class="(\w+)" d="M[^"]+"/>', before.partition('class="strip"')[2]) == [
        *("fast", "slowed", "span", "grid", "median", "guide"),
    ]


def test_each_card_names_the_commit_and_the_method_of_its_run(tmp_path: Path) -> None:
    where = replace(fabricate.ENVIRONMENT, commit="a" * 40, dirty=True)
    fabricate.run(tmp_path / "r", [fabricate.CASE], where)
    assert main([str(tmp_path / "r"), "--html", str(tmp_path / "a.html")]) == 0
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert f"2026-11-23 · commit aaaaaaaa and changes · method {METHOD}" in text
