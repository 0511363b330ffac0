"""Pages of several made-up machines, opened in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.report.machines import overview
from suite.report.page import html
from tests.support import fabricate
from tests.support.browser import Browser
from tests.support.pages import CASES, evil_run, gpu_run

SLOWER = 2.0
"""How many times longer all takes on the second machine."""


def machine_run(path: Path, digest: str, model: str, created: str, slower: float = 1.0) -> None:
    """A run of a machine that takes so many times longer than another."""
    where = replace(fabricate.ENVIRONMENT, machine=digest * 16, created=created, cpu={"model": model})
    where = replace(where, settings={"threads": 2}, argv=("--preset", "full", "--out", "/somewhere/else"))
    fabricate.run(path, CASES, where, speed={name: slower * of for name, of in fabricate.SPEED.items()})


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("machines")
    machine_run(root / "fast", "c", "Fast Chip 96-Core Processor", "2026-11-23T12:00:00+00:00")
    machine_run(root / "fast-before", "c", "Fast Chip 96-Core Processor", "2026-11-20T12:00:00+00:00")
    machine_run(root / "slow", "d", "Slow CPU 1", "2026-11-22T12:00:00+00:00", SLOWER)
    machine_run(root / "twin", "e", "Fast Chip's twin", "2026-11-22T12:00:00+00:00", 1.015)
    gpu_run(root / "gpu")
    fabricate.of_two_clocks(root / "clocks", CASES)
    evil_run(root / "evil <b class=evil>")
    for name, runs in {
        "four": ["fast*", "slow", "gpu"],
        "evil": ["evil *", "slow"],
        "twins": ["fast", "twin"],
    }.items():
        results = outcomes.read([root / run for run in runs])
        (root / f"{name}.html").write_bytes(overview.html(results).encode("utf-8"))
    text = html.html(outcomes.read([root / "gpu"]))
    (root / "gpu.html").write_bytes(text.encode("utf-8"))
    return root


@pytest.fixture
def at(browser: Browser, folder: Path) -> Any:
    """Opens one of the pages, and afterwards sees to it that it neither complained nor asked for anything."""
    files = set()

    def go(name: str, fragment: str = "", **how: Any) -> Browser:
        address = (folder / f"{name}.html").as_uri()
        files.add(address)
        browser.open(address + fragment, **how)
        return browser

    yield go
    assert browser.said == []
    assert {address.partition("#")[0] for address in browser.asked} <= files
