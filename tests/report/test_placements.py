"""What a report says and draws of placements: ratios by row, over-read, where reading is faster."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.analysis import outcomes
from suite.cases.case import Case
from suite.records.store import Run
from suite.report import placements, sentences
from tests.support import fabricate, metered

BATCHES, DIMS = (16, 512, 8192), (64, 256, 4096)
SLOWER = {("memory", "cold"): 1.0, ("small-pages", "cold"): 1.2, ("file", "hot"): 1.05}
SHARES = {"uniform": 0.96, "ngram": 0.64, "ngram-shuffled": 0.95}
OVER_READ = {"numba_cpu": 50.0, "numpy_take": 60.0, "numba_willneed": 8.0, "numba_pread": 4.0}


def traffic_of(case: Case, share: float) -> Any:
    from dataclasses import replace

    return replace(fabricate.traffic(case), distinct=round(share * case.batch))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cold, reading is faster than mapping from 512 ids on; of 16 KB rows at all batches."""
    made = Run.create(tmp_path_factory.mktemp("runs") / "r", fabricate.ENVIRONMENT)
    draw = random.Random(1)
    axes = itertools.product(DIMS, BATCHES, SHARES)
    for number, (dim, batch, distribution) in enumerate(axes):
        more = {"distribution": distribution, "batch": batch}
        for (placement, cache), slower in SLOWER.items():
            case = Case(10**6, dim, cache=cache, placement=placement, **more)  # type: ignore[arg-type]
            seconds = case.payload_bytes / 20e9 * slower
            facts = {"traffic": traffic_of(case, SHARES[distribution])}
            name = f"{number}{placement}"
            made.append(
                [
                    fabricate.record("numba_cpu", case, seconds, draw, name, **facts),
                    fabricate.record("numpy_take", case, 3 * seconds, draw, name, **facts),
                ]
            )
        case = Case(10**6, dim, placement="file", **more)  # type: ignore[arg-type]
        sooner = dim == 4096 or batch >= 512
        times = {
            "numba_cpu": 1.0,
            "numpy_take": 1.1,
            "numba_willneed": 0.5,
            "numba_pread": 0.2 if sooner else 2,
        }
        seconds = batch * 1e-4 * SHARES[distribution]
        made.append(
            fabricate.record(
                backend,
                case,
                seconds * factor,
                draw,
                f"{number}c",
                telemetry={"file_over_read": OVER_READ[backend]},
                traffic=traffic_of(case, SHARES[distribution]),
            )
            for backend, factor in times.items()
        )
    return made.path


SAID = (
    "a mapped file, cached: numba_cpu takes 1.05x as long as with memory (1.05x to 1.05x on average over 27",
    "small pages: numba_cpu takes 1.20x as long as with huge pages (1.20x to 1.20x on average over 27 cases)",
    "by row: 256 B 1.20x, 1.02 kB 1.20x, 16.4 kB 1.20x",
    "uniform ids overstate the rows of a prefill 1.50x: of 8,192 ids 96 % are distinct, "
    "of the text's n-grams 64 %, of the shuffled text's 95 %",
    "uniform ids of a prefill, cold in a file: numba_pread takes 1.50x as long as with n-grams",
    "256 B rows 54.8x (54.8x to 54.8x) by mapping, 4.00x (4.00x to 4.00x) by reading, 8.00x (",
    "cold, rows of 256 B and 1.02 kB: by mapping they take 2.32x (1.33x to 4.04x) as long as by reading; "
    "sooner by reading: from 512 ids on",
    "cold, rows of 16.4 kB: by mapping they take 5.00x (4.99x to 5.00x) as long as by reading; "
    "sooner by reading: from 16 ids on, at all batches",
    "cold, rows of 256 B, 1.02 kB and 16.4 kB: by mapping they take 2.00x (2.00x to 2.00x) as long as by ",
)


def test_the_questions_are_answered_with_figures_and_intervals(run: Path) -> None:
    lines = "\n".join(sentences.sentences(outcomes.read([run]), None))
    for said in SAID:
        assert said in lines, said
    assert "pinned" not in lines and "managed" not in lines


def test_over_read_and_distinct_rows_have_intervals_over_cases(tmp_path: Path) -> None:
    made, draw = Run.create(tmp_path / "r", fabricate.ENVIRONMENT), random.Random(1)
    for batch, amount in ((16, 4.0), (512, 5.0), (8192, 6.25)):
        case = Case(10**6, 64, batch=batch, placement="file")
        telemetry = {"file_over_read": amount}
        made.append([fabricate.record("numba_pread", case, 1e-3, draw, f"{batch}", telemetry=telemetry)])
    for vocab, distinct in ((10**6, 0.6), (10**5, 0.5), (10**4, 0.4)):
        for distribution, share in (("uniform", 0.8), ("ngram", distinct)):
            case = Case(vocab, 32, batch=4096, distribution=distribution, placement="small-pages")
            traffic = traffic_of(case, share)
            made.append([fabricate.record("numpy_take", case, 1e-3, draw, str(case), traffic=traffic)])
    uniform, read, *_ = placements.sentences(outcomes.read([made.path]).outcomes, 0.02)
    said = "uniform ids overstate the rows of a prefill 1.62x (0.979x to 2.69x): of 4,096 ids 80 % are"
    assert uniform == f"{said} distinct, of the text's n-grams 49 %"
    assert read.endswith("those of the rows: 256 B rows 5.00x (2.87x to 8.71x) by reading")


def test_what_is_not_decided_is_not_said_to_be() -> None:
    assert placements._from({16: "SLOWER", 512: "FASTER", 8192: "FASTER"}) == "from 512 ids on"
    assert placements._from({16: "FASTER", 512: "FASTER"}) == "from 16 ids on, at all batches"
    assert placements._from({16: "FASTER", 512: "SLOWER"}) == "at no batch"
    assert placements._from({16: "FASTER", 512: "UNCLEAR"}) == "not decided"
    apart = {"uniform": {16: "FASTER"}, "ngram": {16: "UNCLEAR"}, "ngram-shuffled": {16: "UNCLEAR"}}
    assert placements._sooner(apart) == (
        "not decided (ngram, ngram-shuffled), from 16 ids on, at all batches (uniform)"
    )


def test_of_tables_in_memory_nothing_is_said(tmp_path: Path) -> None:
    results = outcomes.read([fabricate.run(tmp_path / "r").path])
    assert placements.sentences(results.outcomes, 0.02) == []


def test_pinned_memory_is_compared_with_the_gpus_own(tmp_path: Path) -> None:
    made, draw = Run.create(tmp_path / "r", fabricate.ENVIRONMENT), random.Random(1)
    for placement, seconds in (("memory", 1e-5), ("pinned", 1e-4)):
        case = Case(1000, 64, placement=placement)
        made.append(
            [
                fabricate.record(
                    "triton_gather", case, seconds, draw, placement, device="cuda:0", clock="kernel"
                )
            ]
        )
    (line,) = placements.sentences(outcomes.read([made.path]).outcomes, 0.02)
    assert line.startswith("pinned memory: triton_gather takes 10.0x as long as with the GPU's own (")
    assert line.endswith(" over 1 case)")


@pytest.mark.filterwarnings("ignore:.*without a ceiling")
def test_time_is_drawn_by_placement_and_over_read_by_row(run: Path) -> None:
    figure = suite.plot(run, "placement")
    assert [axes.get_title(loc="left").split(" · ")[-1] for axes in figure.axes] == [
        "256 B rows",
        "1.02 kB rows",
        "16.4 kB rows",
    ]
    labels = {bar.get_label() for axes in figure.axes for bar in axes.containers}
    assert labels == {"memory", "small-pages", "file cold", "file hot"}
    (axes,) = suite.plot(run, "over_read").axes
    drawn = {(bar.get_label(), y) for bar in axes.containers for y in bar.lines[0].get_ydata()}
    assert drawn == set(OVER_READ.items())


@pytest.mark.parametrize(
    ("kind", "says"), [("placement", "one placement only"), ("over_read", "no cold lookup")]
)
def test_a_run_without_them_is_refused_in_words(tmp_path: Path, kind: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        suite.plot(fabricate.run(tmp_path / "r").path, kind)


@pytest.mark.parametrize(("cache", "decides"), [("cold", True), ("hot", False)])
def test_what_waits_for_a_disk_is_not_judged_by_the_processors_speed(
    tmp_path: Path, cache: str, decides: bool
) -> None:
    made, case = (
        Run.create(tmp_path / "run", fabricate.ENVIRONMENT),
        Case(1000, 64, placement="file", cache=cache),
    )
    slow = [[False] * 2 + [True] * 10] * 3
    made.append(metered.measurement(case, {"numba_cpu": 1.0, "numba_pread": 2.0}, slow=slow))
    found = outcomes.read([made.path]).outcomes
    assert {one.decides for one in found} == {decides}
