"""suite.best as people call it: bars, verdict, what an answer rests on, what is refused and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import suite
from suite.analysis import outcomes
from suite.best import question
from suite.best.answer import answer, places
from suite.cases.case import Case
from suite.command import BadRequest
from suite.records.store import Run
from suite.run import options
from tests.best.conftest import GRID, SPEED
from tests.support import fabricate
from tests.support.commands import complaint

Said = Callable[..., tuple[int, str, str]]
MEASURED = ("--vocab", "1000000", "--dim", "128", "--batch", "1024")
UNMEASURED = ("--vocab", "1000000", "--dim", "64", "--batch", "500")


def test_a_measured_case_is_answered_by_its_records(grid: Path, said: Said) -> None:
    code, out, err = said(grid, *MEASURED)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1] == "measured in grid, on a processor"
    bars = [line.split() for line in lines if "█" in line]
    assert [bar[0] if bar[0] != "*" else bar[1] for bar in bars] == sorted(SPEED, key=lambda b: SPEED[b])
    assert bars[0][0] == "*" and bars[0][4] == "1.00x" and "this suite" in lines[4]
    best = next(line for line in lines if line.startswith("fastest of all"))
    assert re.fullmatch(r"fastest of all: numba_cpu \(kernel of this suite\), 6[5-7]\.\d µs", best)
    library = next(line for line in lines if line.startswith("fastest call of a library"))
    assert re.search(r"torch_index_select, 13[1-3] µs, (1\.99|2\.0\d)x \(.* as long as numba_cpu$", library)
    assert "numba_cpu outside the suite: six lines in backends/README.md, Use one" in lines
    assert lines[-1].endswith("so not the quotient of two times")
    assert max(len(line) for line in lines if "█" in line) <= 80


def test_another_case_is_predicted_with_its_neighbours_and_the_command(grid: Path, said: Said) -> None:
    code, out, _ = said(grid, *UNMEASURED)
    assert code == 0
    assert "predicted from 12 cases in grid" in out
    payload = Case(1_000_000, 64, "float32", 500).payload_bytes
    (best,) = places(outcomes.read([grid]))
    found = answer(best, Case(1_000_000, 64, "float32", 500))
    expected = payload / fabricate.COPY_BYTES_PER_S * 2.5
    assert found.bars[0].backend == "numba_cpu"
    assert found.bars[0].time.value == pytest.approx(0.5 * expected, rel=0.05)
    assert found.bars[1].ratio.value == pytest.approx(2.0, rel=0.02)
    assert found.bars[1].ratio.low > 1.8  # known far better than either time
    assert [bar.best for bar in found.bars] == [True, False, False]
    assert "nearest measured: 1000000x128 float32 batch 1024 int64 uniform cold; " in out
    assert f"settle it: {question.command(found.case, 'cpu')}" in out


def test_backends_that_can_not_be_told_apart_are_all_marked(tmp_path: Path, said: Said) -> None:
    run = fabricate.run(tmp_path / "r", GRID, speed={"numba_cpu": 1.0, "numpy_take": 1.004}).path
    _, out, _ = said(run, *UNMEASURED)
    assert "fastest of all: numba_cpu (kernel of this suite), " in out
    assert ", not told from numpy_take" in out
    assert sum(line.startswith("*  n") for line in out.splitlines()) == 2


def test_below_full_speed_it_says_that_nothing_is_decided(tmp_path: Path, said: Said) -> None:
    slow = fabricate.slow_between((0.42, 1e9))
    run = fabricate.passes(tmp_path / "r", [fabricate.CASE], slowness=slow)
    words = ("--vocab", "50257", "--dim", "768", "--dtype", "float32", "--batch", "512", str(run.path))
    note = (
        "not measured at full speed: all of them; nothing is decided by them, 1.3x apart and more is likely"
    )
    assert note in " ".join(said(*words)[1].split())
    fast = fabricate.passes(tmp_path / "s", [fabricate.CASE])
    assert "not measured at full speed" not in said(*words[:-1], str(fast.path))[1]


def test_the_command_that_settles_it_measures_that_case() -> None:
    for case in (
        Case(1_000_000, 64, "float32", 500),
        Case(128256, 4096, "bfloat16", 8192, "int32", "text", "hot", 4),
    ):
        words = question.command(case, "cuda:1").split()[3:]
        request = options.parse(words)
        assert (request.cases, request.gpu) == ((case,), 1)


def test_ids_of_a_file_are_measured_from_that_file() -> None:
    case = Case(1000, 64, batch=5, distribution="file:trace.npy@0123456789abcdef")
    assert " --indices trace.npy --cache cold" in question.command(case, "cpu")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--vocab", "1000000", "--dim", "64", "--batch", "9000"), "is above the largest measured"),
        (("--model", "gpt2"), "batch: not told; give"),
        (("--batch", "3"), "table: not told; give --model"),
        ((*MEASURED, "--device", "cuda:0"), "--device cuda:0: not in these runs; there are cpu"),
        ((*MEASURED, "--distribution", "odd"), "distribution odd: unknown; give one of"),
        (("--model", "gtp2", "--batch", "1"), "did you mean gpt2?"),
    ],
)
def test_what_can_not_be_answered_is_one_line_and_exit_2(
    grid: Path, said: Said, words: tuple[str, ...], part: str
) -> None:
    code, out, err = said(grid, *words)
    assert (code, out) == (2, "")
    assert part in complaint(err)


def test_too_few_cases_predict_nothing(tmp_path: Path, said: Said) -> None:
    run = fabricate.run(tmp_path / "r", GRID[:9]).path
    code, _, err = said(run, "--vocab", "1000000", "--dim", "128", "--batch", "16", "--cache", "hot")
    assert code == 2 and "cache hot was not measured, only cold" in err
    code, _, err = said(run, "--vocab", "1000000", "--dim", "128", "--batch", "16", "--placement", "file")
    assert code == 2 and "placement file was not measured, only memory" in err
    code, _, err = said(run, "--vocab", "1000000", "--dim", "128", "--batch", "100")
    assert code == 2 and "only 9 cases like it were measured, a prediction takes 10" in err


def test_machines_are_answered_apart_and_runs_of_one_machine_and_version_together(
    tmp_path: Path, said: Said
) -> None:
    other = replace(fabricate.ENVIRONMENT, machine="b" * 16, cpu={"model": "another"})
    fabricate.run(tmp_path / "runs" / "a", GRID[:6], speed=SPEED)
    fabricate.run(tmp_path / "runs" / "b", GRID[6:], speed=SPEED)
    fabricate.run(tmp_path / "runs" / "c", GRID, other, speed=SPEED)
    code, out, _ = said(tmp_path / "runs", *UNMEASURED)
    assert code == 0 and out.count("fastest of all: ") == 2
    assert "predicted from 12 cases in 2 runs, b the last, on a processor" in out
    assert "predicted from 12 cases in c, on another" in out


def test_times_of_the_host_are_not_ranked_with_kernel_times(tmp_path: Path) -> None:
    case = GRID[0]
    made = fabricate.run(
        tmp_path / "r", [case], speed={"triton_gather": 1.0}, device="cuda:0", clock="kernel"
    )
    made.append(fabricate.measurement(case, 7, {"jax_take": 0.01}, device="cuda:0"))
    (place,) = places(outcomes.read([made.path]))
    kernel, call = answer(place, case).by_clock
    assert [(b.backend, b.best) for b in kernel + call] == [("triton_gather", True), ("jax_take", False)]


def test_without_a_run_the_newest_of_the_default_cases_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.chdir(tmp_path)
    for day, argv in ((1, ()), (2, ("--out", "x")), (3, ("--model", "gpt2")), (4, ("--preset", "smoke"))):
        preset = {"preset": "smoke" if day == 4 else "default"}
        created = f"2026-11-0{day}T00:00:00+00:00"
        where = replace(fabricate.ENVIRONMENT, created=created, argv=argv, settings=preset)
        fabricate.run(tmp_path / "results" / f"day{day}", GRID, where)
    assert question.folders(()) == (Path("results/day2"),)


def test_the_published_run_answers_for_a_model(said: Said) -> None:
    code, out, _ = said("--model", "llama-3-8b", "--batch", "8192")
    assert code == 0 and "128256x4096 bfloat16 · llama-3-8b, batch 8,192" in out
    assert "fastest of all: " in out and "fastest call of a library: " in out


def test_a_run_that_only_checks_ranks_nothing(tmp_path: Path, said: Said) -> None:
    smoke = replace(fabricate.ENVIRONMENT, settings={"preset": "smoke", "passes": 1})
    code, _, err = said(fabricate.run(tmp_path / "r", GRID, smoke).path, *MEASURED)
    assert code == 2 and "only check" in complaint(err)


def test_a_failure_is_named_beside_the_bars(tmp_path: Path, said: Said) -> None:
    made = fabricate.run(tmp_path / "r", GRID, speed=SPEED)
    Run.open(made.path).append([fabricate.failure("jax_take", GRID[6], "m", reason="no such type")])
    _, out, _ = said(made.path, *MEASURED)
    assert "jax_take: no time, unsupported: no such type" in out


def test_in_a_notebook_the_same_answer_is_a_table(grid: Path) -> None:
    table = suite.best(grid, vocab=1_000_000, dim=64, batch=500)
    assert list(table.backend) == sorted(SPEED, key=lambda b: SPEED[b])
    assert set(table.basis) == {"predicted"} and table.best.sum() == 1
    assert (table.low_us <= table.time_us).all() and (table.time_us <= table.high_us).all()
    assert table.ratio[0] == 1 and table.ratio[1] == pytest.approx(2, rel=0.02)
    assert len(table.attrs["nearest"]) == 3 and table.attrs["verdict"][0].startswith("fastest of all: ")
    assert table.attrs["command"].startswith("python -m suite.run --vocab 1000000 ")
    with pytest.raises(BadRequest, match="above the largest measured"):
        suite.best(grid, vocab=1_000_000, dim=64, batch=9000)
    with pytest.raises(BadRequest, match="bach: no axis of a case"):
        suite.best(grid, vocab=1_000_000, dim=64, bach=9000)


def test_the_name_is_the_function_whatever_was_imported_before() -> None:
    from suite.best import model

    assert callable(suite.best) and suite.best.model is model


@pytest.mark.usefixtures("pooled")
def test_an_operation_is_answered_by_its_own_cases(tmp_path: Path, said: Said) -> None:
    made = fabricate.of_two_operations(tmp_path / "r").path
    table = ("--vocab", 50257, "--dim", 768, "--batch", 16)
    _, lookups, _ = said(made, *table)
    assert "numba_cpu" in lookups and "pool_" not in lookups
    code, out, _ = said(made, *table, "--operation", "pooled")
    assert (
        code == 0 and out.startswith("pooled max 50257x768 float32") and "fastest of all: pool_plain" in out
    )
    assert "numpy_take" not in out
    code, _, error = said(made, *table[:-1], 1024, "--operation", "pooled", "--variant", "sum")
    assert code == 2 and "a batch of 1,024 bags is above the largest measured" in error
    assert "--operation pooled --variant sum" in error and "numpy_take" not in error
    grid = fabricate.run(tmp_path / "s").path
    refused = said(grid, *table, "--operation", "pooled")
    assert refused[::2] == (2, "--operation pooled: not in these runs; there is lookup\n")
    assert "the number of bags with" in said(made, *table[:4], "--operation", "pooled")[2]
    assert "operation sum: unknown" in said(made, *table, "--operation", "sum")[2]
    found = suite.best(made, vocab=50257, dim=768, batch=16, operation="pooled", variant="sum")
    assert list(found.backend) == ["pool_plain", "pool_other", "numba_cpu"]
