"""The matrix of the page: every backend in every case, on what the reader chose."""

from __future__ import annotations

from typing import Any

from tests.support import fabricate
from tests.support.pages import CASES

CELLS = """[...document.querySelectorAll('#figure-matrix tbody tr:not(.group)')].map(
  tr => [...tr.children].map(cell => [cell.textContent, cell.className]))"""
HEADS = "[...document.querySelectorAll('#figure-matrix thead th')].map(th => th.textContent)"


def test_cells_are_darker_the_longer_they_take(at: Any) -> None:
    """The suite's own takes half the time of one library's call, and a quarter of another's."""
    browser = at("host")
    assert browser.run(HEADS) == ["µs", "numba_cpu", "torch_index_select", "numpy_take"]
    rows = browser.run(CELLS)
    assert len(rows) == len(CASES)
    assert {tuple(kind for _, kind in row[1:]) for row in rows} == {
        ("number heat heat0", "number heat heat2", "number heat heat3"),
    }
    shade = "getComputedStyle(document.querySelector('.heats .heat{}')).backgroundColor"
    assert len({browser.run(shade.format(k)) for k in range(5)}) == 5
    browser = at("host", "#backend=torch_index_select&backend=numpy_take")
    assert {row[1][1] for row in browser.run(CELLS)} == {"number heat heat0"}, "the fastest of those shown"


def test_rows_are_in_reading_order_and_sorted_by_time_ascending_first(at: Any) -> None:
    browser = at("host")
    names = [row[0][0] for row in browser.run(CELLS)]
    assert names[:2] == ["batch 1 int64 uniform cold", "batch 512 int64 uniform cold"]
    groups = "[...document.querySelectorAll('#figure-matrix .group')].map(tr => tr.textContent)"
    assert browser.run(groups) == ["50257×768 float32 · gpt2", "128256×4096 bfloat16 · llama-3-8b"]
    browser.click("#figure-matrix thead th:nth-child(3) button")
    times = [float(row[2][0].replace(",", "")) for row in browser.run(CELLS)]
    assert times == sorted(times)
    assert browser.run(CELLS)[0][0][0].startswith("50257×768 float32 · gpt2 batch 1 ")
    browser.press("Enter")
    times = [float(row[2][0].replace(",", "")) for row in browser.run(CELLS)]
    assert times == sorted(times, reverse=True)
    browser.press("Enter")
    assert [row[0][0] for row in browser.run(CELLS)] == names


def test_a_cell_opens_the_records_of_its_case_and_the_address_keeps_it(at: Any) -> None:
    browser = at("host")
    shown = "document.querySelectorAll('#grid-records tbody tr').length"
    browser.click("#figure-matrix tbody tr:nth-child(3) td")
    assert browser.run(shown) == len(fabricate.SPEED)
    assert "batch 512" in browser.run("document.getElementById('case-shown').textContent")
    address = browser.run("location.hash")
    assert at("host", address).run(shown) == len(fabricate.SPEED)
    browser.click("#case-shown button")
    assert browser.run(shown) == len(CASES) * len(fabricate.SPEED)


def test_what_failed_has_a_cross(at: Any) -> None:
    browser = at("two", "#device=cuda:0")
    assert {row[-1][0] for row in browser.run(CELLS)} == {"×"}
