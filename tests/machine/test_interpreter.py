"""Another interpreter: what it holds, or why it can't measure."""

from __future__ import annotations

import ast
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

from suite.machine.interpreter import facts, options_of
from tests.support import ROOT


def script(folder: Path, body: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_this_interpreter_holds_what_is_installed_here() -> None:
    known = facts(sys.executable, ["numpy", "no-such-distribution"])
    assert isinstance(known, dict), known
    assert known["version"] == platform.python_version()
    assert known["numpy"] == metadata.version("numpy")
    assert known["no-such-distribution"] is None
    assert str(known["python"]).endswith(Path(sys.executable).name)
    assert str(Path.home()) not in str(known["python"]), "a published run names no folder of anyone"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (f'exec {sys.executable} -S -E -s "$@"', "No module named 'numpy'"),
        ("echo no Python", "answers as no Python does"),
        ("exit 3", "exited with code 3"),
        ("echo first >&2; echo last >&2; exit 1", "last"),
    ],
)
def test_one_that_can_not_measure_says_why_in_a_line(tmp_path: Path, body: str, says: str) -> None:
    found = facts(script(tmp_path, body), [])
    assert isinstance(found, str)
    assert says in found and "\n" not in found


def test_a_file_that_is_no_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    assert "exec format error" in str(facts(str(path), []))


GIVEN = {
    "PYTHONTRACEMALLOC": "1",
    "SOME_HOOK": "1",
    "MY_API_KEY": "x",
    "NUMBA_OPT": "0",
    "PYTHONPATH": "/mine",
}


def test_it_is_asked_with_the_variables_and_options_of_a_measuring_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hooks into Python would be in its answer."""
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    facts(script(tmp_path, f'env > "{tmp_path}/variables"; echo "$1 $2" > "{tmp_path}/options"'), [])
    seen = dict(line.partition("=")[::2] for line in (tmp_path / "variables").read_text().splitlines())
    assert not {"PYTHONTRACEMALLOC", "SOME_HOOK", "MY_API_KEY"} & set(seen)
    assert (seen["NUMBA_OPT"], seen["PYTHONPATH"]) == ("0", f"{ROOT}:/mine")
    assert (tmp_path / "options").read_text() == "-P -c\n"


@pytest.mark.parametrize("name", ["numpy.py", "json.py"])
def test_a_module_in_the_current_folder_is_not_what_it_answers_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text('raise ImportError("a file of the user")')
    monkeypatch.chdir(tmp_path)
    assert isinstance(facts(sys.executable, []), dict)


def test_options_of_this_python_are_handed_on_to_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_xoptions", {"dev": True, "utf8": "1", "faulthandler": True})
    assert options_of(sys.executable)[-4:] == ["-X", "utf8=1", "-X", "faulthandler"]
    assert options_of("/another/python") == ["-P"]


def test_no_child_of_the_suite_inherits_the_whole_environment() -> None:
    given = []
    for path in sorted((ROOT / "suite").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        starts = [call for call in calls if ast.unparse(call.func) in ("subprocess.run", "subprocess.Popen")]
        given += [[ast.unparse(k.value) for k in call.keywords if k.arg == "env"] for call in starts]
    (git,) = [words for words in given if words not in (["stated()"], ["environ_of(threads)"])]
    assert "GIT_OPTIONAL_LOCKS" in git[0] and len(given) == 4
