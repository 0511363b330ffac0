"""Another interpreter: what it holds, or why it can't measure."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

from suite.machine.interpreter import facts


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
