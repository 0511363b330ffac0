"""The plan that --dry-run prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.run import listing
from suite.run.forecast import forecast
from suite.run.options import parse
from suite.run.schedule import tasks_of
from tests.support import operations


def said(*argv: str) -> list[str]:
    request = parse(argv)
    return [line for line, _ in listing.planned(request, tasks_of(request))]


def test_backends_are_named_once_and_what_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "no: pip install -e '.[jax]'"
    monkeypatch.setattr(listing, "obstacle", lambda one: reason if one.name == "jax_take" else None)
    lines = said("--backend", "numpy_take", "jax_take", "torch_index")
    assert lines[0] == "backends: numpy_take, torch_index"
    assert lines[1] == f"left out: jax_take ({reason})"
    assert not [line for line in lines[2:] if "numpy_take" in line]


def test_cases_are_grouped_by_table_with_its_models() -> None:
    lines = said("--backend", "numpy_take")
    at = lines.index("128256x4096 bfloat16 · llama-3-8b · 1.05 GB")
    assert lines[at + 1] == "    batch 1, 16, 17, 512, 8,192  int64 uniform cold"
    assert lines[at + 2] == "    batch 8,192  int64 text cold"


@pytest.mark.usefixtures("pooled")
def test_cases_of_one_table_are_under_their_own_operation(tmp_path: Path) -> None:
    file = tmp_path / "pool_plain.py"
    file.write_text(operations.BACKEND)
    table = ("--vocab", "1000", "--dim", "64", "--batch", "8,16", "--operation", "lookup,pooled")
    lines = said("--backend", "numpy_take", str(file), *table)
    heads = [line for line in lines if "1000x64" in line]
    assert heads == [
        f"{name}1000x64 float32 · {size}"
        for name, size in (("", "256 kB"), ("pooled max ", "36.0 kB"), ("pooled sum ", "36.0 kB"))
    ]
    assert [line for line in lines if "batch" in line] == ["    batch 8, 16  int64 uniform cold"] * 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "22 cases, 22 results a pass, up to 1.6 GB"),
        (["torch_embedding", "--gpu", "0"], "tables of up to 1.1 GB"),
        (["--out", "here"], "into here"),
        ([], "into results/<date>-<device>-<commit>"),
    ],
)
def test_the_last_line_says_cases_memory_and_folder(argv: list[str], words: str) -> None:
    assert words in said("--backend", "numpy_take", *argv)[-1]


@pytest.mark.parametrize("argv", [["--time-budget", "20m"], ["--preset", "full"]])
def test_how_long_it_takes_is_the_forecast_of_the_run(argv: list[str]) -> None:
    request = parse(["--backend", "numpy_take", *argv])
    lines, expected = (
        said("--backend", "numpy_take", *argv),
        list(forecast(request, tasks_of(request)).lines()),
    )
    assert expected[0].startswith("about ")
    assert lines[-1 - len(expected) : -1] == expected
