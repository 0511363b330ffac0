"""Size of a page of 30 runs of 20,000 records, and how soon it opens: python -m tests.tools.many_machines"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from suite.report.machines import overview
from tests.support import many
from tests.support.browser import Browser

TRIES = 3


class Figures(NamedTuple):
    """Of a page: the seconds it took to make, its bytes, and the seconds until its times are drawn."""

    made_s: float
    size_bytes: int
    open_s: float


def figures(browser: Browser, folder: Path, runs: int = 30) -> tuple[int, Figures]:
    """How many records the page holds and its figures; of a few openings the quickest."""
    results = many.results(runs)
    began = time.perf_counter()
    text = overview.html(results).encode("utf-8")
    made_s = time.perf_counter() - began
    page = folder / "page.html"
    page.write_bytes(text)
    opened: list[float] = []
    for _ in range(TRIES):
        began = time.perf_counter()
        browser.open(page.as_uri())
        opened.append(time.perf_counter() - began)
    return len(results.outcomes), Figures(made_s, len(text), min(opened))


def main(argv: list[str]) -> None:
    runs = int(argv[0]) if argv else 30
    with tempfile.TemporaryDirectory() as name:
        browser = Browser(Path(name))
        records, of = figures(browser, Path(name), runs)
        browser.close()
    print(f"{records:,} records of {runs} runs: a page of {of.size_bytes / 1e6:.1f} MB in {of.made_s:.0f} s")
    print(f"it opens in {of.open_s:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
