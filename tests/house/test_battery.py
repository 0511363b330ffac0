""".ci/gpu from a bare tree, without git, compiler or pytest's plugins: every step of it, on host tensors."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cases.case import plan
from suite.cases.presets import PRESETS
from suite.machine.cuda_device import CudaDevice
from tests.support import ROOT
from tests.tools import battery
from tests.tools.battery import OTHERS, OURS, Checked

MOST_BYTES, MOST_FILES = 4e6, 8
"""What is easily sent from a machine that is given back, and committed."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOOLS = ("bash", "dirname", "env", "realpath", "timeout")
"""All that the battery needs beside Python."""
PLUGINS = ("-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=")


@pytest.mark.long
def test_each_test_of_a_gpu_is_of_exactly_one_process() -> None:
    """By the names of tests: those of the libraries' dtypes are among them."""
    words = [sys.executable, "-m", "pytest", *PLUGINS, "--collect-only", "-q", "-m", "gpu"]
    found = {}
    for name in (None, OTHERS):
        chosen = ["-k", battery.selection(name)] if name else []
        done = subprocess.run(
            [*words, *battery.test_files(), *chosen], cwd=ROOT, capture_output=True, text=True, check=True
        )
        found[name] = {line for line in done.stdout.splitlines() if "::" in line}
    of_ours = {test for test in found[None] if any(name in test.partition("[")[2] for name in OURS)}
    assert found[OTHERS] == found[None] - of_ours
    for test in ("test_every_dtype_of_the_others_is_bit_exact[", "test_an_out_beyond_2_gib_is_bit_exact["):
        assert any(test in each for each in found[OTHERS])
    for each in of_ours:
        assert sum(battery.selection(name) in each for name in OURS) == 1


BEGUN = "tests/backends/test_gpu_backends.py::test_every_dtype[bfloat16-2-7-jax_take] "
ENDS = {
    "passed": (Checked("cupy_bulk", 0, "", 9.0), None),
    "not installed": (Checked("cupy_bulk", 5, "", 9.0), None),
    "failed": (Checked("cupy_bulk", 1, "", 9.0), "cupy_bulk"),
    "faulted": (Checked("numba_cuda", -11, "", 9.0), "numba_cuda"),
    "hung": (Checked("triton_gather", None, "", 150.0), "triton_gather"),
    "a library failed": (Checked(OTHERS, 1, f"{BEGUN}FAILED\n", 9.0), None),
    "a library hung": (Checked(OTHERS, None, f"{BEGUN}PASSED\n{BEGUN}", 9.0), "jax_take"),
    "a library faulted": (Checked(OTHERS, -6, f"{BEGUN}", 9.0), "jax_take"),
    "died between two": (Checked(OTHERS, -6, f"{BEGUN}PASSED\n", 9.0), None),
    "died at the start": (Checked(OTHERS, -9, "", 9.0), None),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_left_out_of_the_run(end: str) -> None:
    checked, unfit = ENDS[end]
    assert checked.unfit == unfit
    words = battery.choice([checked.unfit] if checked.unfit else [])
    assert ("--backend" in words) == (unfit is not None) and unfit not in words


@pytest.mark.parametrize(
    ("free", "exclusive", "together"), [(79e9, False, True), (15e9, False, False), (79e9, True, False)]
)
def test_small_or_exclusive_gpus_are_tested_by_one_process_at_a_time(
    free: float, exclusive: bool, together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most processes that are alive together."""
    alive: list[str] = []
    most = 0

    class Testing:
        def __init__(self, name: str, *_: object) -> None:
            nonlocal most
            self.name = name
            alive.append(name)
            most = max(most, len(alive))

        def ended(self) -> Checked:
            alive.remove(self.name)
            return Checked(self.name, 0, "", 0.0)

    monkeypatch.setattr(battery, "_Testing", Testing)
    monkeypatch.setattr(battery, "_free_bytes", lambda _: free)
    monkeypatch.setattr(battery, "_exclusive", lambda: exclusive)
    assert len(battery.tested(tmp_path, battery.at_once(T4), 10.0)) == 5
    assert most == (5 if together else 1)


T4 = CudaDevice("Tesla T4", "", 4 << 20, 16 * 10**9)


def test_the_cases_that_fit_are_said_first() -> None:
    cases = plan(PRESETS["default"])
    assert battery.fitting(cases, T4) == ["cases: 22 of 22 fit Tesla T4, 16.0 GB; the largest needs 1.6 GB"]
    first, *large = battery.fitting(plan(PRESETS["cliffs"]), T4)
    assert first.startswith(f"cases: {49 - len(large)} of 49 fit Tesla T4, 16.0 GB; the largest needs ")
    assert large and all(line.startswith("  too large: ") for line in large)


def test_a_mistaken_option_is_said_before_anything_is_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert battery.main([str(tmp_path / "found"), "270", "--backend", "no_such"]) == 2
    assert "no_such: no such backend" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_run_in_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    assert battery.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/run: is there already; give another folder\n"


# --- the whole of it -----------------------------------------------------------------------------------

Rehearse = Callable[..., tuple[subprocess.CompletedProcess[str], Path]]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files alone, as they come to a machine that is lent."""
    tree = tmp_path_factory.mktemp("bare") / "tree"
    for name in (".ci", "backends", "suite", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    (tree / ".commit").write_text(COMMIT + "\n")
    return tree


@pytest.fixture
def rehearse(tree: Path, nvml_library: Path, tmp_path: Path) -> Rehearse:
    """Run the battery on the stand-in for a GPU."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tools / "python3").write_text(f'#!{tools}/bash\nexec "{sys.executable}" "$@"\n')
    (tools / "python3").chmod(0o755)
    (tmp_path / "settings").write_text("used_step=2097152\nenergy_step_mj=5000\n")

    def run(*words: str, libraries: tuple[str, ...] = (), **more: str) -> tuple[object, Path]:
        for library in libraries:
            metadata = tmp_path / "site" / f"{library}.dist-info" / "METADATA"
            metadata.parent.mkdir(parents=True)
            name, _, version = library.partition("-")
            metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        variables = {
            **os.environ,
            "PATH": str(tools),
            "PYTHONPATH": os.pathsep.join((str(tree / "tests/stand_ins/host_gpu"), str(tmp_path / "site"))),
            "LD_LIBRARY_PATH": str(nvml_library),
            "NVML_STUB": str(tmp_path / "settings"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "OMP_NUM_THREADS": "1",
            **more,
        }
        command = [str(tree / ".ci" / "gpu"), str(tmp_path / "found"), *words]
        done = subprocess.run(
            command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=280
        )
        return done, tmp_path / "found"

    return run  # type: ignore[return-value]


ONE_CASE = ("--vocab", "1000", "--dim", "7", "--batch", "17")


def outcomes_of(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    with (folder / "run" / "records.csv").open(newline="") as file:
        return {
            (row["backend"], row["device"]): (row["status"], row["clock"]) for row in csv.DictReader(file)
        }


@pytest.mark.long
def test_the_battery_ends_with_a_table_and_a_folder_to_be_published(rehearse: Rehearse) -> None:
    few = ("--backend", "numpy_take", "torch_index_select")
    done, folder = rehearse("20", *ONE_CASE, *few, GPU_TESTS_S="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "tests.txt").read_text().count("time is up") > 5
    assert re.search(r"torch_index_select +\d", done.stdout), "the table is what is left of a lost folder"
    assert outcomes_of(folder) == {
        ("torch_index_select", "cuda:0"): ("ok", "kernel"),
        ("numpy_take", "cpu"): ("ok", "call"),
    }
    assert "NVIDIA H100" in (folder / "doctor.txt").read_text()
    published = list((folder / "run").iterdir())
    wanted = {"environment.json", "records.jsonl", "records.csv", "page.html", "report.md"}
    assert {file.name for file in published} == wanted
    assert sum(file.stat().st_size for file in published) < MOST_BYTES
    assert sum(file.is_file() for file in folder.rglob("*")) <= MOST_FILES
    environment = json.loads((folder / "run" / "environment.json").read_text())
    assert environment["commit"] == COMMIT
    assert environment["system"]["commit_given_by"] == ".commit"


@pytest.mark.long
def test_one_that_hangs_one_that_faults_and_one_that_is_missing_cost_only_themselves(
    rehearse: Rehearse,
) -> None:
    acts = "cupy_rawkernel=gathers,cupy_take=gathers,cupy_bulk=hangs,numba_cuda=faults"
    began = time.monotonic()
    done, folder = rehearse(
        *("30", *ONE_CASE, "--batch", "16,17"),
        libraries=("cupy_cuda13x-14.2.0", "numba_cuda-0.30.4"),
        NVML_STUB_ACTS=acts,
        GPU_TESTS_S="6",
        BATTERY_SILENT_S="30",
    )
    took_s = time.monotonic() - began
    assert done.returncode == 1, done.stdout + done.stderr
    tests, _, _ = done.stdout.partition("\nrun, ")
    said = {line.split()[0]: line for line in tests.splitlines() if re.match(r"  [a-z_]+ ", line)}
    assert "hung" in said["cupy_bulk"] and "left out of the run" in said["cupy_bulk"]
    assert "failed" in said["numba_cuda"] and "left out of the run" in said["numba_cuda"]
    for name in ("cupy_rawkernel", "triton_gather", OTHERS):
        assert "left out of the run" not in said[name], done.stdout
    found = outcomes_of(folder)
    on_gpu = {name: status for (name, device), (status, _) in found.items() if device == "cuda:0"}
    assert not {"cupy_bulk", "numba_cuda"} & on_gpu.keys()
    assert on_gpu["cupy_rawkernel"] == on_gpu["cupy_take"] == on_gpu["torch_index_select"] == "ok"
    assert "triton_gather" not in on_gpu, "it is not installed"
    assert "have no result" not in (folder / "progress.txt").read_text()
    assert took_s < 200
