"""README's headline says what is in results/: a GPU leads, the newest run counts, and nothing drifts."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from suite.analysis import columns, outcomes
from suite.cases.case import Case
from suite.records.store import Run
from suite.report.page import html
from tests.support import fabricate
from tests.support.browser import Browser
from tests.tools import generated, headline, page_picture, placed

ROOT = Path(__file__).resolve().parents[2]

CASES = (*(Case(50257, 768, "float32", batch) for batch in (1, 16, 512)), Case(1000, 64, "int8", 512))
GPU = replace(
    fabricate.ENVIRONMENT,
    created="2026-01-01T00:00:00+00:00",
    devices=("cuda:0", "cpu"),
    gpu={"name": "A GPU", columns.PEAK: 3.35e12},
    machine="b" * 16,
    noise_floor=None,
)


@pytest.fixture
def root(tmp_path: Path) -> Any:
    fabricate.run(tmp_path / "results/host", CASES)
    return tmp_path


def gpu_run(root: Path) -> None:
    run = Run.create(root / "results/gpu", GPU)
    speed = {"torch_embedding": 1.5, "cupy_rawkernel": 1.0, "triton_gather": 1.0001}
    for number, case in enumerate(CASES):
        run.append(fabricate.measurement(case, number, speed, device="cuda:0", clock="kernel"))
        run.append(fabricate.measurement(case, number + 9, {"numpy_take": 1.0}))
    run.append([fabricate.failure("broken", CASES[0], "m0", device="cuda:0")])


def rows(root: Path) -> Any:
    table = [line for line in headline.text(root).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_what_is_published_is_what_readme_says() -> None:
    """If this fails, `python -m tests.tools.generated` writes both anew."""
    made, kept = headline.picture(ROOT), (ROOT / headline.PICTURE).read_bytes()
    if f"Matplotlib v{matplotlib.__version__}," in kept.decode("utf-8"):
        assert made == kept
    else:  # another matplotlib may place the same marks and words a little otherwise
        assert headline.words(made) == headline.words(kept)
        assert made.count(b"<use ") == kept.count(b"<use ")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert headline.text(ROOT) in readme and generated.renewed("README.md", readme) == readme


def test_the_same_runs_give_the_same_bytes(root: Path) -> None:
    assert headline.picture(root) == headline.picture(root)
    assert headline.text(root) == headline.text(root)


def test_what_only_the_host_timed_is_never_the_fastest(tmp_path: Path) -> None:
    fabricate.of_two_clocks(tmp_path / "results/gpu", CASES)
    assert {row[2].partition(" ")[0] for row in rows(tmp_path)} == {"`x`"}


def test_each_size_of_batch_has_its_fastest_and_how_far_it_is_from_a_copy(root: Path) -> None:
    assert [row[:3] for row in rows(root)] == [
        ["**a processor**", "1", "`numba_cpu` 1 of 1"],
        ["", "16", "`numba_cpu` 1 of 1"],
        ["", "512", "`numba_cpu` 2 of 2"],
    ]
    assert all(re.fullmatch(r"8\d%( \(8\d%–8\d%\))?", row[4]) for row in rows(root))
    assert {row[5] for row in rows(root)} == {""}  # what a model calls was not measured
    text = headline.text(root)
    assert text.replace("\\_", "_").startswith("**Fastest of all: numba_cpu in 4 of 4 cases")
    assert (
        "2026-11-23; commit `1111111`; 4 cases; noise floor 2.0% (measured); [records](results/host)" in text
    )


def test_a_gpu_leads_and_its_reference_is_no_place(root: Path) -> None:
    gpu_run(root)
    found = headline.places(root)
    assert [(place.folder.name, place.device) for place in found] == [("gpu", "cuda:0"), ("host", "cpu")]
    assert "theoretical peak" in headline.words(headline.picture(root))
    table = rows(root)
    assert [row[0] for row in table] == ["**A GPU**", "", "", "**a processor**", "", ""]
    assert table[0][2] in {
        "`cupy_rawkernel` 1, `triton_gather` 1 of 1",
        "`triton_gather` 1, `cupy_rawkernel` 1 of 1",
    }
    assert table[0][5].startswith("1.5")
    assert "noise floor 2.0% (assumed)" in headline.text(root)


def test_the_newest_run_of_a_machine_replaces_the_older(root: Path) -> None:
    newer = replace(fabricate.ENVIRONMENT, created="2026-12-01T00:00:00+00:00", dirty=True)
    other = replace(fabricate.ENVIRONMENT, created="2025-12-01T00:00:00+00:00", machine="c" * 16)
    fabricate.run(root / "results/another", CASES[:1], newer)
    fabricate.run(root / "results/elsewhere", CASES[:1], other)
    assert [place.folder.name for place in headline.places(root)] == ["another", "elsewhere"]
    assert "commit `1111111` with changes" in headline.text(root)


def test_runs_of_other_places_and_operations_are_no_headline(root: Path) -> None:
    newer = replace(fabricate.ENVIRONMENT, created="2026-12-01T00:00:00+00:00")
    elsewhere = [replace(CASES[0], placement=where, cache="hot") for where in ("memory", "file")]
    fabricate.run(root / "results/x-placements", elsewhere, newer)
    fabricate.run(root / "results/bags", [replace(CASES[0], operation="bag", variant="sum-20")], newer)
    assert [place.folder.name for place in headline.places(root)] == ["host"]


def test_of_placements_the_newest_run_that_says_so_is_quoted(root: Path) -> None:
    assert placed.text(root) == placed.NOTHING
    for name, slower in (("a-placements", 2.0), ("b-placements", 3.0)):
        made, draw = Run.create(root / "results" / name, fabricate.ENVIRONMENT), random.Random(0)
        for number, cache in enumerate(("cold", "hot")):
            case = replace(CASES[2], placement="file" if number else "memory", cache=cache)
            made.append(
                [fabricate.record("numba_cpu", case, (slower if number else 1.0) * 1e-5, draw, cache)]
            )
    said = placed.text(root)
    assert said.startswith("- A mapped file, cached: numba_cpu takes 3.0") and said.count("\n") == 0
    assert said.endswith("([page](results/b-placements/page.html)).")
    newest, cold = Run.create(root / "results/c-placements", fabricate.ENVIRONMENT), CASES[2]
    case, draw = replace(cold, placement="file", cache="cold"), random.Random(0)
    for backend, seconds in (("numba_cpu", 1e-3), ("numba_pread", 1e-4)):
        newest.append([fabricate.record(backend, case, seconds, draw, "cold")])
    mapped, reading = placed.text(root).splitlines()
    assert mapped == said and reading.startswith("- Cold, rows of ")
    assert reading.endswith("([page](results/c-placements/page.html)).")


def test_the_page_is_linked_where_it_is_published(root: Path) -> None:
    assert "page.html" not in headline.text(root)
    (root / "results/host/page.html").touch()
    assert "[page](results/host/page.html)" in headline.text(root)


def test_the_page_s_picture_is_of_the_run_that_leads_and_small() -> None:
    """It is taken anew by `python -m tests.tools.generated` where there is a Chromium."""
    kept, (lead, *_) = ROOT / page_picture.PICTURE, headline.places(ROOT)
    assert page_picture.run_of(kept) == lead.folder.name
    assert kept.stat().st_size < page_picture.MOST_BYTES


def test_a_picture_of_another_run_s_page_is_not_shown(browser: Browser, root: Path) -> None:
    page = root / "results/host/page.html"
    page.write_text(html.html(outcomes.read([page.parent])), encoding="utf-8")
    kept = root / page_picture.PICTURE
    kept.write_bytes(page_picture.picture(page))
    assert page_picture.run_of(kept) == "host" and kept.stat().st_size < page_picture.MOST_BYTES
    assert f"({page_picture.PICTURE})](results/host/page.html)" in headline.text(root)
    gpu_run(root)
    assert page_picture.PICTURE not in headline.text(root)


def test_without_a_run_nothing_is_claimed(tmp_path: Path) -> None:
    assert headline.text(tmp_path) == headline.NOTHING
    assert headline.picture(tmp_path) == b""


def test_the_picture_names_the_table_and_all_who_completed_it(root: Path) -> None:
    words = headline.words(headline.picture(root))
    machine = html.machine("cpu", fabricate.ENVIRONMENT).split(" · ")[0]
    assert f"{machine}: 50257x768 float32, ids uniform, cold" in words
    assert {*fabricate.SPEED, "a copy of the same rows", "GB/s of payload"} <= set(words)


@pytest.mark.parametrize("paper", ["#ffffff", "#0d1117"])
def test_ink_is_read_on_white_and_on_black(paper: Any) -> None:
    def light(colour: Any) -> Any:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    dark, bright = sorted((light(headline.INK), light(paper)))
    assert (bright + 0.05) / (dark + 0.05) > 4
    assert headline.INK.encode() in headline.picture(ROOT)
