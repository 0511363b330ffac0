"""Pages of made-up runs, opened in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.analysis.columns import with_mixture
from suite.report.page import html
from tests.support import fabricate
from tests.support.browser import Browser
from tests.support.pages import (
    CASES,
    counted_run,
    divided_run,
    environments_run,
    evil_run,
    gpu_run,
    slow_run,
    tied_run,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    fabricate.run(root / "host", CASES)
    gpu_run(root / "gpu")
    evil_run(root / "evil <b class=evil>")
    counted_run(root / "counted")
    fabricate.of_two_clocks(root / "clocks", CASES)
    tied_run(root / "tied")
    divided_run(root / "divided")
    slow_run(root / "slow")
    environments_run(root / "environments")
    pages = {
        "host": ["host"],
        "two": ["host", "gpu"],
        "evil": ["evil *"],
        "counted": ["counted"],
        "gpu": ["gpu"],
        "clocks": ["clocks"],
        "tied": ["tied"],
        "divided": ["divided"],
        "slow": ["slow"],
        "environments": ["environments"],
    }
    for name, runs in pages.items():
        here = [root / run for run in runs]
        results, by_call = (with_mixture(outcomes.read(here, clock=clock)) for clock in (None, "call"))
        both = any(one.clock == "kernel" for one in results.outcomes)
        text = html.html(results, by_call=by_call if both else None)
        (root / f"{name}.html").write_bytes(text.encode("utf-8"))
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
