"""The verdict on what the reader chose is the one that the report gives on the same records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from suite.analysis import outcomes
from suite.analysis.comparison import whose
from suite.analysis.outcome import Outcome
from suite.report import sentences, tables
from suite.report.page import judged
from suite.report.page.html import html
from suite.text import shown
from tests.support import fabricate
from tests.support.pages import CASES

CHOICES: dict[str, Callable[[Outcome], bool]] = {
    "": lambda o: True,
    "backend=numpy_take&backend=torch_index_select": lambda o: o.name in ("numpy_take", "torch_index_select"),
    "backend=a&backend=absent": lambda o: o.name in ("a", "absent"),
    "dtype=bfloat16&cache=cold": lambda o: (o.case.dtype, o.case.cache) == ("bfloat16", "cold"),
    "distribution=zipf": lambda o: o.case.distribution == "zipf",
    "dtype=float32&distribution=zipf": lambda o: (o.case.dtype, o.case.distribution) == ("float32", "zipf"),
    "environment=head": lambda o: o.environment == "head",
    "backend=y&backend=z": lambda o: o.name in ("y", "z"),
    "backend=z": lambda o: o.name == "z",
    "status=crashed": lambda o: o.status == "crashed",
    "backend=numba_cpu": lambda o: o.name == "numba_cpu",
    "whose=library": lambda o: o.backend not in ("numba_cpu", "cupy_rawkernel", "triton_gather"),
}


PUBLISHED = Path(__file__).parents[3] / "results" / "2026-11-29-amd-epyc-07b45d8"


def said_by_the_page(browser: Any) -> list[list[str]]:
    cards = "[...document.querySelectorAll('.card')].filter(c => !c.hidden)"
    lines = "[...c.querySelectorAll('.verdict, .lines li')].map(line => line.textContent)"
    return browser.run(f"{cards}.map(c => {lines})")


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["host", "two", "clocks", "divided", "tied", "slow", "environments"])
def test_the_page_says_of_a_choice_what_the_report_says(
    at: Any, folder: Path, name: str, choice: str
) -> None:
    results = outcomes.read([folder / run for run in (["host", "gpu"] if name == "two" else [name])])
    some = replace(results, outcomes=tuple(filter(CHOICES[choice], results.outcomes)))
    expected = [
        [
            shown(line).replace("x768 ", "×768 ").replace("x4096 ", "×4096 ").replace("0x64 ", "0×64 ")
            for line in sentences.of_backends(here, results.environments[run], None)
        ]
        for (run, _, _), here in tables.places(some).items()
    ]
    browser = at(name, f"#{choice}")
    assert said_by_the_page(browser) == expected
    for number, here in enumerate(tables.places(some).values()):
        card = f"[...document.querySelectorAll('.card')].filter(c => !c.hidden)[{number}]"
        records = browser.run(f"{card}.querySelector('[data-fact=records] b').textContent")
        assert records == f"{len(here):,}"


def test_of_a_real_run_the_page_says_what_the_report_says(browser: Any, tmp_path: Path) -> None:
    """To the last digit, though ratios within rounds are no exact inverses of each other."""
    results = outcomes.read([PUBLISHED])
    page = tmp_path / "page.html"
    page.write_text(html(results), encoding="utf-8")
    (environment,) = results.environments.values()
    for dtype in ("", "float32"):
        some = [o for o in results.outcomes if dtype in o.case.dtype]
        browser.open(page.as_uri() + (f"#dtype={dtype}" if dtype else ""))
        expected = [shown(line) for line in sentences.of_backends(some, environment, None)]
        assert [line.replace("×", "x") for line in said_by_the_page(browser)[0]] == expected


def test_a_baseline_that_was_asked_for_is_kept(browser: Any, folder: Path, tmp_path: Path) -> None:
    results = outcomes.read([folder / "host"])
    page = tmp_path / "page.html"
    page.write_text(html(results, "numpy_take"), encoding="utf-8")
    browser.open(page.as_uri() + "#backend=torch_index_select&backend=numpy_take")
    assert "as long as numpy_take" in said_by_the_page(browser)[0][-1]
    browser.open(page.as_uri() + "#backend=torch_index_select")
    assert said_by_the_page(browser)[0][0] == "numpy_take completed no case; there is nothing to compare with"


def test_of_too_many_records_the_verdict_is_the_whole_runs(
    browser: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "MOST_RECORDS", 5)
    page = tmp_path / "page.html"
    page.write_text(html(outcomes.read([folder / "divided"])), encoding="utf-8")
    browser.open(page.as_uri() + "#backend=a&backend=b")
    shown = "[...document.querySelectorAll('#figure-map tbody td')].map(td => td.className + td.textContent)"
    cells = browser.run(shown)
    assert [text for text in cells if "fastest shown" in text]
    before = "getComputedStyle(document.querySelector('.verdict'), '::before').content"
    assert browser.run(before) == '"Whole run: "'


def test_whose_a_backend_is_is_said_of_every_record(folder: Path) -> None:
    results = outcomes.read([folder / "host"])
    where = results.environments["host"]
    assert {o.backend: whose(o.backend, where) for o in results.outcomes} == {
        "torch_index_select": "library",
        "numba_cpu": "kernel of this suite",
        "numpy_take": "library",
    }


def test_pairs_are_judged_once_and_a_tie_is_one(tmp_path: Path) -> None:
    speed = {"a": 1.0, "b": 1.01, "c": 1.2}
    fabricate.run(tmp_path / "r", CASES[:1], speed=speed, shape={"noise": 1e-4})
    found = judged.judged(outcomes.read([tmp_path / "r"]))
    assert found["ranked"] == [[0, 1, 2]]
    codes = [judged.CODES[code] for code in found["pairs"][0][::5]]
    assert codes == ["SAME", "SLOWER", "SLOWER"]


def test_what_only_the_host_timed_stands_below_kernel_times(tmp_path: Path) -> None:
    fabricate.of_two_clocks(tmp_path / "r")
    for clock, order in (("kernel", "xyz"), ("call", "zyx")):
        results = outcomes.read([tmp_path / "r"], clock=clock)
        (ranked,) = judged.judged(results)["ranked"]  # type: ignore[misc]
        assert "".join(results.outcomes[place].name for place in ranked) == order


def test_what_only_the_host_timed_is_neither_won_nor_a_reason_that_nothing_is(at: Any) -> None:
    browser = at("clocks")
    cells = "[...document.querySelectorAll('#figure-map tbody td:not(.soft)')]"
    assert len(browser.run(f"{cells}.map(td => td.className)")) >= len(CASES)
    assert all(of.startswith("won ") for of in browser.run(f"{cells}.map(td => td.className)"))
    column = "[...document.querySelectorAll('#grid-records tbody tr')].map(tr => tr.textContent)"
    below = [line for line in browser.run(column) if "timed by the host: not ranked" in line]
    assert below and all("fastest" not in line for line in below)
    soft = "[...document.querySelectorAll('#figure-matrix td.number.soft')].map(td => td.title)"
    box = browser.run("[...document.querySelectorAll('#box tbody tr')].map(tr => tr.innerText)")
    assert [line.startswith("*") for line in box] == [True, False, False]
    assert browser.run(soft) and all(title.startswith("timed by the host") for title in browser.run(soft))


@pytest.mark.usefixtures("pooled")
def test_each_operation_has_a_card_and_its_verdict(browser: Any, tmp_path: Path) -> None:
    fabricate.of_two_operations(tmp_path / "r")
    results = outcomes.read([tmp_path / "r"])
    where, page = results.environments["r"], tmp_path / "page.html"
    page.write_text(html(results, "pool_other"), encoding="utf-8")
    asked = {"lookup": None, "pooled": "pool_other"}
    for fragment in ("", "#backend=numba_cpu&backend=pool_other", "#operation=pooled&variant=max"):
        chosen = [
            o
            for o in results.outcomes
            if ("backend" not in fragment or o.name in ("numba_cpu", "pool_other"))
            and ("variant" not in fragment or o.case.variant == "max")
        ]
        expected = [
            [shown(line) for line in sentences.of_backends(here, where, asked[operation])]
            for (_, _, operation), here in tables.places(replace(results, outcomes=tuple(chosen))).items()
        ]
        browser.open(page.as_uri() + fragment)
        assert [[line.replace("×", "x") for line in card] for card in said_by_the_page(browser)] == expected
    heads = "[...document.querySelectorAll('.card h3')].map(h => h.textContent.split(' · ')[0])"
    assert browser.run(heads) == ["lookup", "pooled"]
    browser.open(page.as_uri() + "#table=pooled%20max%2050257%C3%97768%20float32%20int64%20uniform%20cold")
    labels = browser.run("[...document.querySelectorAll('.plot svg text')].map(t => t.textContent)")
    assert {"payload of one lookup", "batch: bags in one call"} < set(labels) and browser.said == []
