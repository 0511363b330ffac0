"""The box of the page: what suite.best answers, chosen from lists; every figure is Python's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.best import words
from suite.best.answer import answer, places
from suite.cases.case import Case
from suite.report.page import html
from suite.report.page.box import box
from tests.support import fabricate

GRID = tuple(
    Case(vocab, dim, "bfloat16", batch)
    for vocab, dim in ((8_000_000, 32), (128256, 4096), (1_000_000, 512))
    for batch in (16, 128, 1024, 8192)
)
SPEED = {"torch_embedding": 1.5, "numba_cpu": 0.5, "torch_index_select": 1.0, "slow": 20.0}


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate.run(tmp_path_factory.mktemp("box") / "grid", GRID, speed=SPEED).path


@pytest.fixture
def opened(browser: Any, grid: Path) -> Any:
    page = grid.parent / "page.html"
    page.write_text(html.html(outcomes.read([grid])), encoding="utf-8")
    browser.open(page.as_uri())
    yield browser
    assert browser.said == []


def choose(browser: Any, name: str, text: str) -> None:
    """Choose the entry of a list whose text begins so."""
    browser.run(
        f"""(() => {{
          const list = document.getElementById("box-{name}");
          list.value = [...list.options].find(one => one.textContent.startsWith({json.dumps(text)})).value;
          list.dispatchEvent(new Event("change"));
        }})()"""
    )


def rows(browser: Any) -> list[list[str]]:
    each = "[...document.querySelectorAll('#box tbody tr')]"
    return browser.run(f"{each}.map(tr => [...tr.children].map(td => td.textContent))")


def said(browser: Any) -> list[str]:
    return browser.run("[...document.querySelectorAll('#box .told, #box .note')].map(p => p.textContent)")


def test_a_measured_case_shows_the_bars_and_the_verdict_of_the_command(opened: Any, grid: Path) -> None:
    choose(opened, "table", "128256×4096 bfloat16 · llama-3-8b")
    choose(opened, "batch", "1,024")
    (place,) = places(outcomes.read([grid]))
    told = answer(place, GRID[6])
    shown = rows(opened)
    assert [row[1] for row in shown] == [bar.backend for bar in told.bars]
    assert [row[0] for row in shown] == ["*", "", "", ""]
    assert [float(row[3].rstrip("x")) for row in shown] == [float(f"{b.ratio.value:.3g}") for b in told.bars]
    assert shown[0][5] == "kernel of this suite" and shown[1][5] == "library"
    first, second, basis, *_ = said(opened)
    assert [first, second] == words.verdict(told)
    assert basis.startswith("Measured;")
    lengths = opened.run(
        "[...document.querySelectorAll('#box .filled')].map(p => p.getBoundingClientRect().width)"
    )
    assert lengths[0] < lengths[1] < lengths[2] < lengths[3]


def test_a_published_table_in_between_is_predicted_with_its_neighbours(opened: Any) -> None:
    choose(opened, "table", "151936×1024 bfloat16 · qwen3-0.6b (predicted)")
    choose(opened, "batch", "1,024")
    _, _, basis, use, _ = said(opened)
    assert basis.startswith("Predicted, not measured;") and "Nearest measured: 1000000x512 bfloat16" in basis
    assert "Settle it: python -m suite.run --model qwen3-0.6b --batch 1024" in basis
    assert use == "numba_cpu outside the suite: six lines in backends/README.md, Use one."


def test_the_lists_offer_what_has_an_answer_and_keep_what_was_chosen(opened: Any) -> None:
    choose(opened, "batch", "8,192")
    choose(opened, "table", "1000000×512")
    assert opened.run("document.getElementById('box-batch').value") == "8192"
    offered = opened.run("[...document.getElementById('box-batch').options].map(one => one.value)")
    assert offered == ["16", "128", "1024", "8192"]
    assert opened.run("document.activeElement.id") == "box-table"


def test_what_is_predicted_of_a_measured_table_says_so_in_its_list(tmp_path: Path, browser: Any) -> None:
    """And is not what is shown unasked."""
    qwen = [Case(151936, 1024, "bfloat16", batch) for batch in (128, 1024, 8192)]  # and not 16
    made = fabricate.run(tmp_path / "r", [*GRID, *qwen], speed=SPEED).path
    (tmp_path / "page.html").write_text(html.html(outcomes.read([made])), encoding="utf-8")
    browser.open((tmp_path / "page.html").as_uri())
    choose(browser, "table", "151936×1024 bfloat16 · qwen3-0.6b")
    offered = browser.run("[...document.getElementById('box-batch').options].map(one => one.textContent)")
    assert offered == ["16 (predicted)", "128", "1,024", "8,192"]
    browser.run("boxOf.batch = 'none'; drawBox()")
    assert browser.run("document.getElementById('box-batch').value") == "128"
    assert said(browser)[2].startswith("Measured; * fastest or tied with it; 95 % intervals; × best: ")


def test_devices_and_runs_are_chosen_apart_and_hostile_texts_are_texts(at: Any) -> None:
    assert at("two").run("document.querySelectorAll('#box-place option').length") == 3
    browser = at("evil")
    assert rows(browser) and browser.run("window.evil === undefined")
    assert browser.run("document.querySelectorAll('#box .evil').length") == 0


def test_a_run_that_ranks_nothing_has_no_box(tmp_path: Path, browser: Any) -> None:
    smoke = replace(fabricate.ENVIRONMENT, settings={"preset": "smoke", "passes": 1})
    made = fabricate.run(tmp_path / "r", GRID[:1], smoke).path
    (tmp_path / "page.html").write_text(html.html(outcomes.read([made])), encoding="utf-8")
    browser.open((tmp_path / "page.html").as_uri())
    assert browser.run("document.getElementById('box').hidden")


def test_the_box_stays_small(grid: Path) -> None:
    (found,) = box(outcomes.read([grid]))
    answers: Any = found["answers"]
    assert sum(one["basis"] == "measured" for one in answers) == len(GRID)
    assert len(json.dumps(found)) / len(answers) < 900
