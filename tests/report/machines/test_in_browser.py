"""The page of many machines in a real browser: what it compares, its choices, and texts that stay texts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.report.machines import overview
from tests.report.machines.conftest import SLOWER
from tests.support import fabricate
from tests.support.browser import Browser
from tests.support.pages import CASES
from tests.tools import many_machines

GRID = """[...document.querySelectorAll('{} .matrix')].map(one => ({
  heads: [...one.querySelectorAll('thead th button')].map(b => b.firstChild.nodeName === 'svg' ? b.textContent
    : [...b.childNodes].filter(n => n.nodeName !== 'SMALL').map(n => n.textContent).join('')),
  rows: [...one.querySelectorAll('tbody tr:not(.group)')].map(tr => [...tr.querySelectorAll('td')].map(td =>
    [td.firstChild.textContent, td.className.replace('heat ', ''), td.querySelector('b') !== null])),
}))"""
BACKENDS = "#columns=backends&machine={}+{}"


def grids(browser: Browser, figure: str = "#figure-times") -> Any:
    """Of each table its headings, and of each row and column the text, the class, and whether it is bold."""
    return browser.run(GRID.replace("{}", figure, 1))


def column(browser: Browser, head: str) -> list[Any]:
    (grid,) = grids(browser)
    return [row[grid["heads"].index(head)] for row in grid["rows"]]


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        f"(() => {{ const box = document.getElementById('{name}'); box.value = '{value}';"
        "box.dispatchEvent(new Event('change')); })()"
    )


def us(cell: Any) -> float:
    return float(cell[0].replace(",", ""))


@pytest.mark.parametrize("name", ["four", "evil"])
def test_it_fits_both_themes_and_a_phone(at: Any, name: str) -> None:
    assert (
        at(name, theme="dark").run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    )
    assert at(name, width=390, height=844, phone=True).run("document.documentElement.scrollWidth") <= 390


def test_hostile_text_is_text(at: Any) -> None:
    browser = at("evil")
    choose(browser, "columns", "backends")
    bad = "document.querySelectorAll('.evil, img, iframe, [onerror], a[href^=javascript]').length"
    assert browser.run(f"[window.evil ?? null, {bad}]") == [None, 0]
    assert "<script>window.evil=1</script>" in browser.run("document.body.innerText")


def test_machines_stand_side_by_side_and_each_clock_has_a_best_of_its_own(at: Any) -> None:
    browser = at("four")
    assert len(column(browser, "Fast Chip, 2 threads")) == len(CASES)
    for fast, slow, gpu in zip(
        *(column(browser, head) for head in ("Fast Chip, 2 threads", "Slow 1, 2 threads", "A GPU")),
        strict=True,
    ):
        assert us(slow) == pytest.approx(SLOWER * us(fast), rel=0.02)
        assert [fast[1:], slow[1:], gpu[1:]] == [
            ["number heat0", True],
            ["number heat2", False],
            ["number heat0", True],
        ], "twice as long is the third shade, and a GPU's kernel times are not held against call times"
    note = "document.querySelector('#figure-times td small').textContent"
    assert browser.run(note) in ("numba_cpu", "cupy_rawkernel", "triton_gather")
    choose(browser, "backend", browser.run("String(tree.backends.indexOf('numpy_take'))"))
    slower = column(browser, "Fast Chip, 2 threads")
    assert [us(a) for a in slower] == pytest.approx(
        [4 * us(b) for b in column(at("four"), "Fast Chip, 2 threads")], rel=0.02
    )


def test_machines_are_tied_whose_ratio_reaches_the_noise_floor(at: Any) -> None:
    assert {cell[2] for row in grids(at("twins"))[0]["rows"] for cell in row} == {True}, "1.015 times as long"


def test_one_machine_shows_what_its_own_page_shows(at: Any) -> None:
    (own,) = [
        one
        for one in grids(at("gpu", "#device=cuda:0"), "#figure-matrix")
        if "cupy_rawkernel" in one["heads"]
    ]
    (here,) = grids(at("four", BACKENDS.format("gpu", "cuda:0")))
    assert sorted(own["heads"]) == sorted(here["heads"])
    order = [here["heads"].index(head) for head in own["heads"]]
    texts = [
        [[row[k][:2] for k in order] for row in here["rows"]],
        [[cell[:2] for cell in row] for row in own["rows"]],
    ]
    assert texts[0] == texts[1]


def test_choices_are_in_the_address(at: Any) -> None:
    browser = at("four")
    assert "3 of 5 chosen" in browser.run("document.getElementById('chosen').textContent")
    older = "[...document.querySelectorAll('.chip')].find(c => c.textContent.includes('fast-before'))"
    browser.run(f"{older}.click()")
    table = browser.run("document.getElementById('table').options[0].value")
    choose(browser, "table", table)
    browser.click("#figure-times thead th:nth-child(2) button")
    seen, address = grids(browser), browser.run("location.hash")
    assert len(seen[0]["heads"]) == 4 and len(seen[0]["rows"]) == len(CASES) // 2
    times = [us(row[0]) for row in seen[0]["rows"]]
    assert times == sorted(times)
    assert grids(at("four", address)) == seen
    browser.press("Tab")
    browser = at("four", "#machine=none&table=%00&columns=x&backend=<b>&sort=s99&theme=y&operation=z")
    assert len(column(browser, "A GPU")) == len(CASES)


@pytest.mark.usefixtures("pooled")
def test_an_operation_is_chosen_and_has_its_own_verdict(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    browser.open((folder / "four.html").as_uri())
    assert browser.run("document.getElementById('of-operation').hidden")
    fabricate.of_two_operations(tmp_path / "both")
    page = tmp_path / "page.html"
    page.write_text(overview.html(outcomes.read([tmp_path / "both"])), encoding="utf-8")
    browser.open(page.as_uri())
    assert not browser.run("document.getElementById('of-operation').hidden")
    fastest = {
        "lookup": ["numba_cpu", "torch_index_select", "numpy_take"],
        "pooled max": ["pool_plain", "pool_other", "numba_cpu"],
        "pooled sum": ["pool_plain", "pool_other", "numba_cpu"],
    }
    for name, heads in fastest.items():
        choose(browser, "operation", name)
        (grid,) = grids(browser)
        assert grid["heads"] == heads
        assert [[cell[2] for cell in row] for row in grid["rows"]] == [[True, False, False]] * 2
    said = browser.run("[...document.querySelectorAll('.seat p:not(.note)')].map(p => p.textContent)")
    assert [line.partition(" in ")[0] for line in said] == [
        *("lookup: fastest of all: numba_cpu", "pooled: fastest of all: pool_plain"),
    ]
    assert browser.said == []


def test_on_paper_every_row_and_every_column_is_printed(at: Any) -> None:
    browser = at("four", "#columns=backends&machine=gpu+cuda:0")
    tables = """[...document.querySelectorAll('#figure-times table')].map(one =>
      [one.querySelectorAll('thead button').length, one.querySelectorAll('tbody tr:not(.group)').length])"""
    browser.run("page.lines = 2; draw()")
    assert browser.run(tables) == [[10, 2]]
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.run(tables) == [[6, len(CASES)], [4, len(CASES)]]
    browser.run("window.dispatchEvent(new Event('afterprint'))")
    assert browser.run(tables) == [[10, 2]]


@pytest.mark.long
def test_30_runs_of_20_000_records_open_in_3_s_and_are_under_10_mb(browser: Browser, tmp_path: Path) -> None:
    records, of = many_machines.figures(browser, tmp_path)
    assert records >= 30 * 20_000
    assert of.size_bytes < 10e6
    assert of.open_s < 3
    for columns in ("machines", "backends"):  # what is drawn of all tables at once
        began = time.perf_counter()
        browser.run(f"page.table = ALL; page.columns = '{columns}'; changed()")
        assert time.perf_counter() - began < 3
        assert browser.run("document.querySelectorAll('#figure-times td.number').length") > 400
    assert browser.said == []
