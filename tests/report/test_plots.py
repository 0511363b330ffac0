"""Figures for notebooks: each record a mark with its interval, machines side by side, failures in words."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

import suite
from suite.analysis import columns
from suite.cases.case import Case
from suite.records.store import Run, StoreError
from suite.report.plots import KINDS
from suite.text import cut
from tests.support import fabricate

ROOT = Path(__file__).resolve().parents[2]

CASES = (
    *(Case(50257, 768, "float32", batch) for batch in (1, 16, 512)),
    Case(50257, 768, "float32", 512, cache="hot"),
    Case(1000, 64, "int8", 512),
)
GPU = replace(fabricate.ENVIRONMENT, devices=("cuda:0",), gpu={columns.PEAK: 3.35e12}, machine="b" * 16)
BROKEN = "broken"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A CPU run with a backend that failed, and a GPU run with its three clocks."""
    root = tmp_path_factory.mktemp("runs")
    failed = [fabricate.failure(BROKEN, case, "m") for case in CASES]
    fabricate.run(root / "host", CASES, extra=failed)
    run = Run.create(root / "gpu", GPU)
    for number, case in enumerate(CASES):
        run.append(fabricate.measurement(case, number, device="cuda:0", clock="kernel"))
    return root


def marks(axes: Any) -> Any:
    """What is drawn as (backend, x, y), and the whiskers by backend and x."""
    found, whiskers = [], {}
    for one in axes.containers:
        data, _, (bars,) = one.lines
        for x, y in zip(*data.get_data(), strict=True):
            found.append((one.get_label(), x, y))
        for segment in filter(len, bars.get_segments()):
            whiskers[one.get_label(), segment[0][0], tuple(segment[:, 1])] = True
    return found, whiskers


def words(figure: Any) -> Any:
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def named(figure: Any) -> Any:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_bandwidth_is_drawn_over_bytes_with_its_ceiling(folder: Path) -> None:
    figure = suite.plot(folder / "host")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("payload of one lookup", "GB/s of payload")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    table = suite.load(folder / "host").query("status == 'ok'")
    found, whiskers = marks(axes)
    expected = zip(table.backend, table.payload_bytes, table.gb_per_s, strict=True)
    assert sorted(found) == sorted((name, float(x), y) for name, x, y in expected)
    spans = {(name, x): span for name, x, span in whiskers}
    row = table.iloc[0]
    low, high = (row.payload_bytes / row[f"ci_{end}_us"] / 1e3 for end in ("high", "low"))
    assert spans[row.backend, row.payload_bytes] == pytest.approx((low, high))
    (ceiling,) = [line for line in axes.lines if line.get_marker() == "_"]
    assert len(ceiling.get_xdata()) == len(CASES)
    assert sorted(ceiling.get_ydata()) == pytest.approx(sorted(set(table.ceiling_gb_per_s)))
    assert named(figure) == ["numba_cpu", "numpy_take", "torch_index_select", "a copy of the same rows"]


def test_lines_join_the_batches_of_one_table_alone(folder: Path) -> None:
    axes = suite.plot(folder / "host").axes[0]
    thin = [line.get_xdata() for line in axes.lines if line.get_alpha() == 0.4]
    assert len(thin) == len(fabricate.SPEED)
    payload = {case: float(case.payload_bytes) for case in CASES}
    together = {tuple(payload[case] for case in CASES[:3]), (payload[CASES[3]],), (payload[CASES[4]],)}
    for xs in thin:
        parts = [part.tolist() for part in np.split(xs, np.flatnonzero(np.isnan(xs)))]
        assert {tuple(x for x in part if x == x) for part in parts} == together  # noqa: PLR0124 - nan


def test_what_was_not_at_full_speed_is_pale(tmp_path: Path) -> None:
    slow = fabricate.slow_between((0, 0.96), (4.8, 5.76), (9.6, 10.56))  # the first case in every pass
    run = fabricate.passes(tmp_path / "r", CASES, slowness=slow, speed={"b": 1.0, "c": 2.0, "d": 3.0})
    (axes,) = suite.plot(run.path).axes
    drawn = {(one.lines[0].get_alpha(), len(one.lines[0].get_xdata())) for one in axes.containers}
    assert drawn == {(0.35, 1), (1.0, 1), (1.0, 3)}  # pale; hot; the others


def test_a_backend_of_two_environments_is_two(tmp_path: Path) -> None:
    both = {"base": 1.0, "head": 1.5}
    run = fabricate.passes(tmp_path / "r", CASES[:2], environments=both, speed={"b": 1.0})
    figure = suite.plot(run.path)
    assert named(figure) == ["b @base", "b @head", "a copy of the same rows"]
    thin = [line for line in figure.axes[0].lines if line.get_alpha() == 0.4]
    assert [len(line.get_xdata()) for line in thin] == [2, 2]


def test_the_peak_of_a_gpu_is_drawn(folder: Path) -> None:
    figure = suite.plot(folder / "gpu")
    assert "theoretical peak" in named(figure)
    (peak,) = [line for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert list(peak.get_ydata()) == pytest.approx([3350, 3350])


@pytest.mark.parametrize("kind", ["bandwidth", "fraction"])
def test_what_only_the_host_timed_is_not_drawn_beside_kernel_times(tmp_path: Path, kind: str) -> None:
    table = suite.load(fabricate.of_two_clocks(tmp_path / "r", CASES).path)
    figure = suite.plot(table, kind=kind)
    found, _ = marks(figure.axes[0])
    assert sorted(name for name, _, _ in found) == sorted(["x", "y"] * len(CASES))
    assert named(figure) == ["x", "y", "a copy of the same rows", "not drawn, timed by the host:\n  z"]
    alone = suite.plot(table[table.backend == "z"], kind=kind)
    assert named(alone) == ["z", "a copy of the same rows"], "nothing stands beside it"


def test_the_clocks_stand_apart(folder: Path) -> None:
    figure = suite.plot(folder / "gpu", kind="batch")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"gpu · cuda:0 · {clock} time" for clock in ("kernel", "enqueue", "call")
    ]
    assert "50257x768 float32 int64 uniform cold\n(2 others not drawn" in words(figure)
    table = suite.load(folder / "gpu").query("vocab == 50257 and cache == 'cold'")
    for axes, name in zip(figure.axes, ("median_us", "enqueue_us", "call_us"), strict=True):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("batch: ids in one lookup", "µs")
        found, whiskers = marks(axes)
        assert sorted(y for _, _, y in found) == pytest.approx(sorted(table[name]))
        assert len(whiskers) == len(found) == 3 * len(fabricate.SPEED)


def test_the_title_keeps_out_of_the_legend(folder: Path) -> None:
    figure = suite.plot(folder / "host", kind="batch")
    figure.draw_without_rendering()
    title, (legend,) = figure._suptitle.get_window_extent(), figure.legends
    assert not title.overlaps(legend.get_window_extent())
    assert title.x0 >= 0 and title.x1 <= figure.bbox.x1


def test_a_cpu_has_the_call_alone(folder: Path) -> None:
    (axes,) = suite.plot(folder / "host", kind="batch").axes
    assert axes.get_title(loc="left") == "host · cpu · call time"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "16", "512"]


def test_the_share_of_the_ceiling_is_drawn_over_the_bytes_of_a_row(folder: Path) -> None:
    figure = suite.plot(folder / "host", kind="fraction")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("bytes of one row", "of the speed of a copy")
    table = suite.load(folder / "host").query("status == 'ok'")
    found, whiskers = marks(axes)
    assert sorted(y for _, _, y in found) == pytest.approx(sorted(table.fraction_of_ceiling))
    assert {min((64, 3072), key=lambda size: abs(math.log(x / size))) for _, x, _ in found} == {64, 3072}
    assert all(min(abs(math.log(x / size)) for size in (64, 3072)) < 0.1 for _, x, _ in found)
    assert len(whiskers) == len(found)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["64 B", "3.07 kB"]
    assert axes.get_ylim()[0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_machines_stand_side_by_side(folder: Path, kind: Any) -> None:
    figure = suite.plot([folder / "host", folder / "gpu"], kind=kind)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].startswith("host · cpu") and titles[1].startswith("gpu · cuda:0")
    assert suite.plot(f"{folder}/*", kind=kind).axes[0].get_title(loc="left").startswith("gpu")
    for axes, name in ((figure.axes[0], "host"), (figure.axes[1], "gpu")):
        (alone, *_) = suite.plot(folder / name, kind=kind).axes
        assert sorted(marks(axes)[0]) == sorted(marks(alone)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_named_and_not_drawn(folder: Path, kind: Any) -> None:
    figure = suite.plot(folder / "host", kind=kind)
    assert f"not drawn, unsupported: {BROKEN}" in words(figure)
    assert BROKEN not in named(figure)
    assert BROKEN not in {name for axes in figure.axes for name, _, _ in marks(axes)[0]}


def test_hot_is_hollow_and_backends_differ_in_colour_and_mark(folder: Path) -> None:
    looks = {}
    for one in suite.plot(folder / "host").axes[0].containers:
        data = one.lines[0]
        hollow = data.get_markerfacecolor() == "none"
        looks.setdefault((one.get_label(), hollow), (data.get_color(), data.get_marker()))
    assert len(looks) == 2 * len(fabricate.SPEED)
    assert looks["numba_cpu", True] == looks["numba_cpu", False]
    assert len({look for (_, hollow), look in looks.items() if hollow}) == len(fabricate.SPEED)


def test_too_few_rounds_are_a_mark_without_a_whisker(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", CASES, shape={"count": 3})
    for kind in KINDS:
        found, whiskers = marks(suite.plot(run.path, kind=kind).axes[0])
        assert found and not whiskers


def test_rows_chosen_by_hand_are_drawn_whatever_their_index(folder: Path) -> None:
    table = suite.load(folder / "host")
    few = table[(table.backend == "numba_cpu") & (table.cache == "hot")]
    ((name, _, _),), _ = marks(suite.plot(few).axes[0])
    assert name == "numba_cpu"
    twice = pd.concat([table, table.assign(run="again")])
    for kind in KINDS:
        one, two = suite.plot(twice, kind).axes
        assert marks(one)[0] == marks(two)[0]


@pytest.mark.parametrize("name", ["$x^$", "_hidden", "\x1b[31m<b>", "a" * 90])
def test_odd_names_are_text(tmp_path: Path, name: Any) -> None:
    failed = [fabricate.failure("$" + name + "$", CASES[0], "m", reason="$", status="wrong")]
    run = fabricate.run(tmp_path / "$r_$", CASES, speed={name: 1.0, "b": 2.0}, extra=failed)
    for kind in KINDS:
        figure = suite.plot(run.path, kind=kind)
        figure.savefig(io.BytesIO(), format="svg")
        assert cut(name, 28) in words(figure)


def test_what_can_not_be_drawn_is_one_line(folder: Path, tmp_path: Path) -> None:
    failed = Run.create(tmp_path / "failed", fabricate.ENVIRONMENT)
    failed.append([fabricate.failure("b", CASES[0], "m0")])
    for source, kind, words in (
        (
            folder / "host",
            "histogram",
            "kind 'histogram': no such plot; give one of bandwidth, batch, fraction",
        ),
        (failed.path, "bandwidth", "no record completed"),
        (suite.load(folder / "host").iloc[:0], "batch", "no record completed"),
        (pd.DataFrame({"a": [1]}), "batch", "no column at_full_speed and 38 more; give one of suite.load"),
    ):
        with pytest.raises(ValueError, match=words) as raised:
            suite.plot(source, kind)
        assert "\n" not in str(raised.value)
    with pytest.raises(StoreError, match="no such folder"):
        suite.plot(tmp_path / "missing")
    for none in (None, 3, suite.load(folder / "host").median_us, [folder / "host", 3.0]):
        with pytest.raises(TypeError, match="names no run; give the folder of one") as refused:
            suite.plot(none)
        assert "\n" not in str(refused.value)


def test_what_is_amiss_is_warned_about_at_the_readers_own_line(folder: Path, tmp_path: Path) -> None:
    fabricate.run(tmp_path / "r", CASES[:1])
    with (tmp_path / "r" / "records.jsonl").open("a") as file:
        file.write("no record\n")
    for read in (suite.load, suite.plot, suite.samples):
        with pytest.warns(UserWarning, match="the line is left out") as warned:
            read(tmp_path / "r")
        assert [one.filename for one in warned] == [__file__]


def test_a_notebook_shows_it_and_the_same_table_gives_the_same_picture(folder: Path) -> None:
    def svg() -> Any:
        file = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "a"}):
            suite.plot(folder / "gpu").savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    assert svg() == svg()
    assert suite.plot(folder / "gpu")._repr_png_().startswith(b"\x89PNG")


def test_no_screen_and_no_pyplot_are_needed(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, suite\nassert 'matplotlib' not in sys.modules\n"
        f"suite.plot({str(folder / 'host')!r}).savefig('a.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'pandas' in sys.modules\n"
        "assert callable(suite.plot)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | {"MPLBACKEND": "tkagg"}
    environment.pop("DISPLAY", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_every_backend_of_the_tree_has_a_look_of_its_own() -> None:
    from backends import names
    from suite.report.looks import KNOWN, look

    assert set(KNOWN) >= set(names())
    assert len({look(name) for name in KNOWN}) == len(KNOWN)
    assert look("mine") == look("mine") != look("another")
