"""README.md: its commands work as written, its generated parts are what the code says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from suite.claims import options as claims
from suite.claims.finding import CLAIMS, GROUPS
from suite.fleet.__main__ import main as fleet
from suite.records.store import Run
from suite.run import options, schedule
from tests.support import fabricate
from tests.tools import generated

ROOT = Path(__file__).resolve().parents[2]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
UNCONSTRAINED = {"cuda12", "cuda13", "fbgemm-genai"}
PINS = [pin for pin in (ROOT / ".ci/constraints.txt").read_text().splitlines() if not pin.startswith("#")]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("  # ")[0]
    for block in re.findall(r"```sh\n(.*?)```", README + (ROOT / "backends/README.md").read_text(), re.DOTALL)
    for line in block.splitlines()
]


def words(command: str) -> list[str]:
    return shlex.split(command)


def test_there_are_commands() -> None:
    assert sum("suite.run" in command for command in COMMANDS) >= 4


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m suite.run")])
def test_run_commands_parse_and_plan(command: str, tmp_path: Path) -> None:
    argv = words(command)[3:]
    if "path/to/my_backend.py" in argv:
        mine = tmp_path / "my_backend.py"
        shutil.copy(ROOT / "backends/numpy_take.py", mine)
        argv[argv.index("path/to/my_backend.py")] = str(mine)
    request = options.parse(argv)
    assert schedule.tasks_of(request) or request.list_backends


def test_claims_commands_parse() -> None:
    commands = [c for c in COMMANDS if c.startswith("python -m suite.claims")]
    assert commands
    for command in commands:
        claims.parse(words(command)[3:], (*GROUPS, *CLAIMS))


def test_fleet_commands_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [c for c in COMMANDS if c.startswith("python -m suite.fleet")]
    assert commands and all(fleet(words(command)[3:]) == 0 for command in commands)


@pytest.fixture(scope="module")
def run_folder(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real run in results/RUN of a folder of its own."""
    folder = tmp_path_factory.mktemp("read me")
    shutil.copytree(finished_run, folder / "results" / "RUN")
    return folder


def environ() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if re.match(r"python -m suite\.(report|compare)", c)]
)
def test_commands_on_a_run_work(command: str, run_folder: Path) -> None:
    argv = [sys.executable, *words(command)[1:]]
    done = subprocess.run(argv, cwd=run_folder, env=environ(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "torch_index_select" in done.stdout


def test_best_answers() -> None:
    (asked,) = [c for c in COMMANDS if c.startswith("python -m suite.best")]
    argv = [sys.executable, *words(asked)[1:]]
    done = subprocess.run(argv, cwd=ROOT, env=environ(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "fastest of all: " in done.stdout


def test_doctor_works() -> None:
    assert "python -m suite.doctor" in COMMANDS
    done = subprocess.run(
        [sys.executable, "-m", "suite.doctor", "--no-noise"], env=environ(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m pytest")])
def test_benchmark_commands_choose_their_tests(command: str, tmp_path: Path) -> None:
    more = ["--collect-only", "-q", f"--benchmark-storage={tmp_path}", "tests/run/test_benchmarks.py"]
    argv = [sys.executable, *words(command)[1:], *more]
    done = subprocess.run(argv, cwd=ROOT, env=environ(), capture_output=True, text=True)
    if "--gpu" in argv and "gpu 0: not there" in done.stderr:
        pytest.skip(f"no GPU: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_lookup[" in done.stdout


def test_setup_commands_are_constrained_and_run_by_ci() -> None:
    setup = [c for c in COMMANDS if c.startswith("python3 -m venv")]
    assert len(setup) == 2
    assert all("-c .ci/constraints.txt" in command for command in setup)
    assert "<!-- test command -->" in (ROOT / ".ci/run").read_text()
    assert setup[1].endswith("-m pytest") and setup[0].endswith("-m suite.run")


def test_no_pin_has_a_local_label() -> None:
    assert [pin for pin in PINS if "+" in pin] == [], "no public index has it"


def test_every_dependency_has_a_pin() -> None:
    extras = PROJECT["optional-dependencies"]
    needed = [PROJECT["dependencies"], *(extras[name] for name in extras.keys() - UNCONSTRAINED)]
    named = {re.split(r"[^\w-]", line)[0] for lines in needed for line in lines}
    assert named - {re.split(r"[^\w-]", pin)[0] for pin in PINS} == {PROJECT["name"]}


def test_the_pythons_claimed_are_those_resolved() -> None:
    pythons = re.findall(r"Python :: (3\.\d+)", str(PROJECT["classifiers"]))
    assert f"Python {pythons[0]} to {pythons[-1]}," in README
    assert PROJECT["requires-python"] == f">={pythons[0]}"


@pytest.mark.parametrize("page", generated.GENERATED)
def test_generated_parts_are_current(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert generated.renewed(page, text) == text, "run python -m tests.tools.generated"


def test_all_commands_are_tested() -> None:
    known = r"python -m suite\.(run|best|report|compare|doctor|claims|fleet)|python3 -m venv"
    known += r"|pip install -e '\.\[cuda1[23]\]'|python -m pytest --benchmark-only"
    assert [c for c in COMMANDS if not re.match(known, c)] == []


@pytest.mark.parametrize("page", ["README.md", "results/README.md"])
def test_python_works_as_written(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    known: dict[str, Any] = {}
    with pytest.warns(UserWarning, match="these rows mix .*: group by "):
        exec("".join(blocks), known)
    assert len(known["table"]) > 0 and known["table"].status.eq("ok").any()


def test_the_front_page_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_tool_is_named_and_every_name_is_a_tool() -> None:
    """The scripts that print figures; what they share has no ``__main__``."""
    paths = (ROOT / "tests/tools").glob("*.py")
    tools = {path.stem for path in paths if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}
    named = set(re.findall(r"tests\.tools\.(\w+)", CONTRIBUTING))
    named |= set(re.findall(r"`(\w+_gpu)`", CONTRIBUTING))
    assert named == tools - {"make_text_ids"}


def test_every_place_that_contributing_names_is_there() -> None:
    for path in re.findall(r"`((?:suite|tests|backends|results)/[\w/.]*)`", CONTRIBUTING):
        assert (ROOT / path).exists(), path


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_a_long_run_is_compressed_by_the_command_given_and_read_as_it_is(tmp_path: Path) -> None:
    made = fabricate.run(tmp_path / "results/RUN")
    found, page = made.records(), (ROOT / "results/README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`(gzip [^`]+)`", page)
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    assert {path.name for path in made.path.iterdir()} == {"environment.json", "records.jsonl.gz"}
    assert Run.open(made.path).records() == found
