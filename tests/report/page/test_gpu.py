"""Part of a GPU's card: clocks, heat, driver, what held clocks down; the reference beside it is a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suite.analysis import outcomes
from suite.records.record import Fact, Record
from suite.records.store import Run
from suite.report.page import gpu, html
from suite.report.tables import places
from tests.support.browser import Browser
from tests.support.pages import CASES, GPU, gpu_run

FACTS: dict[str, Fact] = {
    "case_sm_clock_hz_before": 1.98e9,
    "case_sm_clock_hz_after": 1.755e9,
    "case_temperature_c_before": 41,
    "case_temperature_c_after": 63,
    "case_throttled_software_power_cap_s": 0.0,
}
SETTINGS: dict[str, Fact] = {
    "driver_version": "580.95.05",
    "max_sm_clock_hz": 1.98e9,
    "power_limit_w": 700.0,
    "ecc_enabled": True,
}


def hot_run(path: Path, held: tuple[int, ...] = (0, 2), told: bool = True) -> Path:
    """A GPU and its reference; by the power limit its clocks were held down in these cases."""
    gpu_run(path)
    run = Run.open(path)
    records = [record for record in run.read() if isinstance(record, Record)]
    (path / "records.jsonl").write_text("")
    for record in records:
        place = CASES.index(record.case)
        facts = {**FACTS, "case_throttled_software_power_cap_s": 0.5 if place in held else 0.0}
        known = told and record.device != "cpu" and record.status == "ok"
        run.append([replace(record, telemetry={**record.telemetry, **facts}) if known else record])
    run.amended(gpu={**GPU.gpu, **SETTINGS})
    return path


def parts(path: Path) -> tuple[dict[str, object], str]:
    """The part of the GPU, and the line of the reference."""
    results = outcomes.read([path])
    found = {device: here for (_, device, _), here in places(results).items()}
    (environment,) = results.environments.values()
    assert gpu.part(found["cpu"], environment) is None and gpu.reference(found["cuda:0"], environment) is None
    made, line = gpu.part(found["cuda:0"], environment), gpu.reference(found["cpu"], environment)
    assert made and line
    return made, line


def test_a_gpu_s_card_tells_its_clocks_heat_and_driver_and_what_held_it_down(tmp_path: Path) -> None:
    made, line = parts(hot_run(tmp_path / "run"))
    assert made["badge"] == ("held", "clocks held down in 2 of 6 cases: 1.00 s by the power limit")
    assert made["state"] == [
        "SM clock 1,980 MHz before a case, 1,755 after, 1,980 at most",
        "temperature 41 °C before a case, 63 after",
        *("driver 580.95.05", "power limit 700 W", "ECC on"),
    ]
    rows = made["rows"]
    assert isinstance(rows, list) and len(rows) == len(CASES)
    assert [bool(row["mark"]) for row in rows] == [place in (0, 2) for place in range(6)]
    assert {row["cells"][1] for row in rows} <= {"cupy_rawkernel", "triton_gather"}, "they are tied"
    assert all(cell != "–" for row in rows for cell in row["cells"] if cell is not row["cells"][6])
    assert line.startswith("Reference on the CPU beside it: numpy_take ") and line.endswith(" over 6 cases")


@pytest.mark.parametrize(
    ("held", "told", "badge"),
    [((), True, ("free", "clocks never held down")), ((), False, ("unknown", "not known whether"))],
)
def test_no_badge_of_held_clocks_where_they_were_not_or_nobody_knows(
    held: tuple[int, ...], told: bool, badge: tuple[str, str], tmp_path: Path
) -> None:
    kind, words = parts(hot_run(tmp_path / "run", held, told))[0]["badge"]  # type: ignore[misc]
    assert kind == badge[0] and words.startswith(badge[1])


def test_a_gpu_s_figures_are_in_reach_without_scrolling(browser: Browser, tmp_path: Path) -> None:
    """At 1,400 px: no table of the card is wider than it, and the reference is one line."""
    page = tmp_path / "page.html"
    page.write_text(html.html(outcomes.read([hot_run(tmp_path / "run")])), encoding="utf-8")
    browser.open(page.as_uri(), width=1400)
    within = "[...document.querySelectorAll('.gpu .scroll')].every(e => e.scrollWidth <= e.clientWidth)"
    assert browser.run(within) is True
    height = "document.querySelector('.card.beside').getBoundingClientRect().height"
    assert browser.run(height) < 50
    assert browser.run("document.querySelectorAll('.gpu .bad').length") == 2
