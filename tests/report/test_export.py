"""Exports: what other tools read is the same numbers, failures are none, and names do nothing there."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.analysis import comparison, frame, outcomes
from suite.analysis.outcomes import Results
from suite.records.store import Run
from suite.report import export, files
from suite.report.__main__ import main
from tests.support import fabricate

ROOT = Path(__file__).resolve().parents[2]

CASE = fabricate.CASES[0]
EVIL = ("<script>alert(1)</script>", "a|b`c`", "../../etc/x", "=1+1", "\x1b[31m\x00\ud800", "", "a\nb", "..")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Three cases and backends, one result of 3 rounds only, one failure."""
    failed = fabricate.failure("broken", CASE, "m0", status="crashed", reason="segfault")
    run = fabricate.run(tmp_path / "run", extra=[failed])
    run.append(fabricate.measurement(replace(CASE, batch=3), 9, {"numba_cpu": 1.0}, shape={"count": 3}))
    return outcomes.read([run.path])


def text(results: Results, name: str) -> str:
    return export.texts(results, name)[""]


def asv(results: Results) -> dict[str, dict]:
    return {path: json.loads(found) for path, found in export.texts(results, "asv").items()}


def asv_results(results: Results) -> dict[str, list]:
    """asv's results of the one run, by benchmark, each a mapping of columns."""
    (found,) = (tree for path, tree in asv(results).items() if path.endswith(f"{export.NAME}.json"))
    return {
        name: dict(zip(found["result_columns"], row, strict=True)) for name, row in found["results"].items()
    }


# --- the numbers ---


def test_bencher_gets_nanoseconds_with_their_interval(results: Results) -> None:
    found, table = json.loads(text(results, "bmf")), frame.frame(results)
    done = table[table.status == "ok"]
    assert len(found) == len(done) == 10
    for row in done.itertuples():
        (metrics,) = (
            m for name, m in found.items() if f"{row.backend}/cpu/call/" in name and _of(row) in name
        )
        assert metrics["latency"]["value"] == pytest.approx(row.median_us * 1e3)
        assert metrics["fraction-of-ceiling"]["value"] == pytest.approx(row.fraction_of_ceiling)
        known = not math.isnan(row.ci_low_us)
        assert set(metrics["latency"]) == {"value", *(("lower_value", "upper_value") if known else ())}
        if known:
            assert metrics["latency"]["lower_value"] == pytest.approx(row.ci_low_us * 1e3)
            assert metrics["latency"]["upper_value"] == pytest.approx(row.ci_high_us * 1e3)


def _of(row: Any) -> str:
    size = f"{row.vocab}x{row.dim} {row.dtype} batch {row.batch}"
    return f"{size} {row.index_dtype} {row.distribution} {row.cache}"


def test_bencher_reads_it_as_its_schema_says(results: Results) -> None:
    """Objects of objects of numbers, as https://bencher.dev/bmf.json has it; names within its lengths.

    A name that ends in one of its words for "ignore this one" would be ignored, and a measure that is no slug
    would be taken for a name of another's.
    """
    for name, measures in json.loads(text(results, "bmf")).items():
        assert 0 < len(name) <= 1024
        assert not re.search("([_-]bencher[_-]ignore|BencherIgnore)$", name)
        for measure, metric in measures.items():
            assert re.fullmatch("[a-z-]{1,64}", measure)
            assert {"value"} <= set(metric) <= {"value", "lower_value", "upper_value"}
            assert all(type(one) is float and math.isfinite(one) for one in metric.values())
            assert metric.get("lower_value", 0) <= metric["value"] <= metric.get("upper_value", math.inf)


def test_the_github_action_gets_entries_with_a_range(results: Results) -> None:
    found = json.loads(text(results, "gha"))
    times = dict.fromkeys(one["name"] for one in found)
    assert len(times) == len(found) == 10
    for entry in found:
        assert type(entry["value"]) is float and entry["unit"] == "us"
        assert all(
            type(entry[key]) is str for key in ("name", "extra", *(["range"] if "range" in entry else []))
        )
    (first,) = (one for one in found if one["name"] == f"numba_cpu/cpu/call/{CASE}")
    (row,) = (
        frame.frame(results)
        .query(f"backend == 'numba_cpu' and vocab == {CASE.vocab} and batch == 512")
        .itertuples()
    )
    assert first["value"] == pytest.approx(row.median_us)
    assert all(re.fullmatch(r"± \d\S*", one["range"]) for one in found if "range" in one)  # as it is parsed
    assert float(first["range"][2:]) == pytest.approx((row.ci_high_us - row.ci_low_us) / 2, rel=1e-4)
    assert ["range" in one for one in found].count(False) == 1


def test_asv_gets_seconds_a_99_percent_interval_and_the_rounds(results: Results) -> None:
    found = asv_results(results)
    assert set(found) == {f"cpu.time_{name}" for name in fabricate.SPEED}
    outcome = next(o for o in results.outcomes if o.backend == "numba_cpu" and o.case == CASE)
    numba = found["cpu.time_numba_cpu"]
    place = numba["params"][0].index(repr(str(CASE)))
    rounds = list(outcome.rounds)
    assert numba["samples"][place] == rounds
    assert numba["result"][place] == comparison.median(outcome).value
    low, high = numba["stats_ci_99_a"][place], numba["stats_ci_99_b"][place]
    # Of 12 rounds the 2nd and the 11th leave 0.6 % outside, the 3rd and the 10th 3.9 %.
    assert [low, high] == [sorted(rounds)[1], sorted(rounds)[10]]
    assert (numba["stats_repeat"][place], numba["stats_number"][place]) == (12, 1)
    assert low <= numba["stats_q_25"][place] <= numba["result"][place] <= numba["stats_q_75"][place] <= high


def test_of_several_passes_the_exports_have_the_rounds_of_the_result(tmp_path: Path) -> None:
    """The first of three passes was slow for half of its rounds: asv gets the other 30, and 99 %."""
    slow = fabricate.slow_between((0, 0.47))
    found = outcomes.read([fabricate.passes(tmp_path / "r", [CASE], slowness=slow).path])
    outcome = next(o for o in found.outcomes if o.backend == "numba_cpu")
    numba = asv_results(found)["cpu.time_numba_cpu"]
    assert numba["samples"][0] == [outcome.rounds[k] for k in outcome.counted]
    assert len(numba["samples"][0]) == numba["stats_repeat"][0] == 30
    assert numba["result"][0] == comparison.median(outcome).value
    assert numba["stats_ci_99_a"][0] < comparison.median(outcome).low
    assert numba["stats_ci_99_b"][0] > comparison.median(outcome).high
    latency = json.loads(text(found, "bmf"))[f"numba_cpu/cpu/call/{CASE}"]["latency"]
    assert latency["value"] == pytest.approx(comparison.median(outcome).value * 1e9)


def test_what_was_not_at_full_speed_says_so_to_the_github_action(tmp_path: Path) -> None:
    slow = fabricate.slow_between((0.42, 1e9))
    found = outcomes.read([fabricate.passes(tmp_path / "r", [CASE], slowness=slow).path])
    for entry in json.loads(text(found, "gha")):
        assert entry["extra"].splitlines()[-1] == "not at full speed: 5 of 36 rounds"


def test_environments_are_told_apart_in_every_format(tmp_path: Path) -> None:
    """For asv each is an environment of its own, with its Python."""
    both = {"base": 1.0, "head": 1.25}
    where = replace(
        fabricate.ENVIRONMENT, environments={"base": {"version": "3.11.2"}, "head": {"version": "3.13.1"}}
    )
    run = fabricate.passes(tmp_path / "r", [CASE], environments=both, environment=where, speed={"b": 1.0})
    found = outcomes.read([run.path])
    names = [f"b/{name}/cpu/call/{CASE}" for name in both]
    assert list(json.loads(text(found, "bmf"))) == names
    assert [one["name"] for one in json.loads(text(found, "gha"))] == names
    trees = [tree for path, tree in asv(found).items() if f"-{export.NAME}" in path]
    assert [(tree["env_name"], tree["python"]) for tree in trees] == [
        (f"{export.NAME}-base", "3.11.2"),
        (f"{export.NAME}-head", "3.13.1"),
    ]
    times = [tree["results"]["cpu.time_b"][0][0] for tree in trees]
    assert times[1] / times[0] == pytest.approx(1.25, rel=0.01)


def test_asv_gets_no_interval_where_rounds_are_too_few(results: Results) -> None:
    numba = asv_results(results)["cpu.time_numba_cpu"]
    place = numba["params"][0].index(repr(str(replace(CASE, batch=3))))
    assert numba["result"][place] > 0
    assert [numba[name][place] for name in numba if name.startswith("stats_")] == [None] * 6


def test_asv_finds_its_machine_and_its_benchmarks(results: Results) -> None:
    found = asv(results)
    environment = fabricate.ENVIRONMENT
    assert set(found) == {
        "benchmarks.json",
        f"{environment.machine}/machine.json",
        f"{environment.machine}/{environment.commit[:8]}-{export.NAME}.json",
    }
    assert [
        found[path]["version"] for path in ("benchmarks.json", f"{environment.machine}/machine.json")
    ] == [2, 1]
    assert [tree["version"] for path, tree in found.items() if path.endswith(f"{export.NAME}.json")] == [2]
    described = found["benchmarks.json"]["cpu.time_numba_cpu"]
    assert described["type"] == "time" and described["unit"] == "seconds" and len(described["params"][0]) == 4
    assert len(set(described["params"][0])) == 4


def test_asv_itself_reads_it(results: Results, tmp_path: Path) -> None:
    reader = pytest.importorskip("asv.results", reason="asv is not installed; pip install asv")
    files.exported(results, "asv", tmp_path / "asv")
    (found,) = reader.iter_results(str(tmp_path / "asv"))
    assert found.commit_hash == fabricate.ENVIRONMENT.commit
    for name, columns in asv_results(results).items():
        params = columns["params"]
        assert found.get_result_value(name, params) == columns["result"]
        assert found.get_result_samples(name, params) == columns["samples"]
        lows = [one and one.get("ci_99_a") for one in found.get_result_stats(name, params)]
        assert [low or None for low in lows] == (columns["stats_ci_99_a"])


def test_runs_of_one_commit_and_machine_do_not_overwrite_each_other(tmp_path: Path) -> None:
    paths = [fabricate.run(tmp_path / name, [CASE], seed=k).path for k, name in enumerate("ab")]
    both = outcomes.read(paths)
    assert len(export.texts(both, "asv")) == 4
    assert len(json.loads(text(both, "bmf"))) == 6
    described = asv(both)["benchmarks.json"]["cpu.time_numba_cpu"]
    assert described["params"] == [[repr(str(CASE))]]


def test_clocks_and_devices_are_in_the_names(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [CASE], speed={"b": 1.0}, device="cuda:0", clock="kernel")
    found = outcomes.read([run.path])
    assert list(json.loads(text(found, "bmf"))) == [f"b/cuda:0/kernel/{CASE}"]
    assert all(path == "benchmarks.json" or path.endswith(".json") for path in export.texts(found, "asv"))


# --- failures, names, bytes ---


@pytest.mark.parametrize("name", export.FORMATS)
def test_a_failure_is_left_out_and_no_number_is_none(results: Results, name: Any) -> None:
    for found in export.texts(results, name).values():
        assert "broken" not in found and "segfault" not in found
        assert not re.search(r"NaN|Infinity", found)


@pytest.mark.parametrize("name", export.FORMATS)
def test_hostile_names_are_harmless_and_stay_apart(tmp_path: Path, name: Any) -> None:
    where = replace(
        fabricate.ENVIRONMENT, machine="../../m", cpu={"model": EVIL[0]}, system={"distribution": EVIL[1]}
    )
    run = fabricate.run(tmp_path / "r", [CASE], environment=where, speed=dict.fromkeys(EVIL, 1.0))
    found = export.texts(outcomes.read([run.path]), name)
    for path, exported in found.items():
        assert exported.isascii() and not re.search(
            r"[<>`|]|\\u00[01]|\\ud8", exported.replace("\\u00b1", "")
        )
        assert ".." not in Path(path).parts and not Path(path).is_absolute()
    if name == "asv":
        assert len(json.loads(found["benchmarks.json"])) == len(EVIL) + 1
    else:
        names = json.loads(found[""]) if name == "bmf" else {one["name"] for one in json.loads(found[""])}
        assert len(names) == len(EVIL)


def test_the_longest_name_is_one_that_bencher_takes(tmp_path: Path) -> None:
    case = replace(CASE, distribution="file:" + "x" * 300)
    for name in ("r" * 250, "s"):
        fabricate.passes(
            tmp_path / name, [case], 1, {"e" * 400: 1.0}, speed={"b" * 400: 1.0}, device="d" * 400
        )
    found = outcomes.read([tmp_path / "r*", tmp_path / "s"])
    names = [*json.loads(text(found, "bmf")), *(one["name"] for one in json.loads(text(found, "gha")))]
    assert len(set(names)) == 2 and 800 < max(map(len, names)) <= 1024


@given(st.text(st.characters()), st.text(st.characters()))
def test_names_are_safe_and_told_apart(one: Any, other: Any) -> None:
    for make in (export._safe, export._file):
        assert re.fullmatch(r"[A-Za-z0-9 ._:/+-]{1,300}", make(one))
        assert (make(one) == make(other)) == (one == other)
    assert not {".", "/", " "} & set(export._file(one))


@pytest.mark.parametrize("name", export.FORMATS)
def test_the_same_results_give_the_same_bytes(results: Results, tmp_path: Path, name: Any) -> None:
    path = tmp_path / "run"
    for place in ("one", "two"):
        files.exported(outcomes.read([path]), name, tmp_path / place)
    one, two = (
        sorted(p for p in (tmp_path / place).rglob("*")) or [tmp_path / place] for place in ("one", "two")
    )
    assert [p.read_bytes() for p in one if p.is_file()] == [p.read_bytes() for p in two if p.is_file()]
    assert any(p.is_file() for p in one)


# --- the command line ---


def said(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Any:
    code = main([str(one) for one in arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_the_command_writes_every_format_asked_for(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [f"--export={name}={tmp_path / name}" for name in export.FORMATS]
    code, out, err = said(capsys, tmp_path / "run", *asked)
    assert (code, err) == (0, "") and "takes 2.00x as long" in out
    assert (tmp_path / "bmf").read_text() == text(results, "bmf")
    assert (tmp_path / "gha").read_text() == text(results, "gha")
    assert (tmp_path / "asv" / "benchmarks.json").is_file()


def test_what_can_not_be_exported_is_one_line(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Run.create(tmp_path / "failed", fabricate.ENVIRONMENT)
    failed.append([fabricate.failure("b", CASE, "m0")])
    lost = fabricate.run(
        tmp_path / "lost", [CASE], environment=replace(fabricate.ENVIRONMENT, commit="unknown")
    )
    for folder, asked, word in (
        (failed.path, "bmf=x", "nothing to export"),
        (failed.path, "asv=x", "nothing to export"),
        (lost.path, f"asv={tmp_path / 'y'}", "commit"),
        (tmp_path / "run", f"gha={tmp_path}/no/such/file", "can't be written"),
        (tmp_path / "run", f"asv={tmp_path}/run/environment.json/x", "can't be written"),
    ):
        code, out, err = said(capsys, folder, "--export", asked)
        assert (code, out, err.count("\n")) == (2, "", 1) and word in err, asked
    for asked in ("xml=x", "bmf", "bmf=", "=x"):
        with pytest.raises(SystemExit) as stop:
            main([str(tmp_path / "run"), "--export", asked])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and error.count("\n") == 1 and "bmf=PATH" in error


# --- Parquet ---


def test_without_pyarrow_one_line_says_what_to_install(
    results: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, out, err = said(capsys, tmp_path / "run", "--parquet", tmp_path / "p", "--csv", tmp_path / "c")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "pyarrow is not installed" in err and "[parquet]" in err
    assert not (tmp_path / "c").exists()


def test_parquet_has_the_columns_and_values_of_the_csv_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed; the extra parquet has it")
    import pandas as pd

    hostile = [fabricate.failure(evil or "x", CASE, "m0", reason=evil or "x") for evil in EVIL]
    run = fabricate.run(tmp_path / "r", extra=hostile)
    found = outcomes.read([run.path])
    for name in ("1", "2"):
        files.parquet(found, tmp_path / name)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    read, table = pd.read_parquet(tmp_path / "1"), frame.frame(found)
    assert list(read.columns) == list(table.columns)
    assert read.median_us.equals(table.median_us) and read.vocab.tolist() == table.vocab.tolist()
    assert all(one.isprintable() for one in read.reason.dropna())
    assert read.status.tolist() == table.status.tolist()


def test_exports_need_neither_pandas_nor_torch(results: Results, tmp_path: Path) -> None:
    code = f"""
import sys
from suite.analysis import outcomes
from suite.report import export
export.texts(outcomes.read([{str(tmp_path / "run")!r}]), "bmf")
print([name for name in ("pandas", "torch", "pyarrow") if name in sys.modules])
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert child.stdout.strip() == "[]", child.stderr


def test_an_environment_of_which_nothing_is_known_has_no_version(tmp_path: Path) -> None:
    where = replace(fabricate.ENVIRONMENT, environments={"lost": {}})
    run = Run.create(tmp_path / "r", where)
    run.append(replace(r, environment="lost") for r in fabricate.measurement(CASE))
    assert export.texts(outcomes.read([run.path]), "asv")
