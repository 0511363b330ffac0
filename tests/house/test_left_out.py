"""CI's plugin: what passed is not run again, and no test may be skipped but for want of hardware."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

TESTS = """
import pytest

def test_it_passes():
    pass

@pytest.mark.parametrize("why", ["no GPU: none here", {more}])
def test_it_may_be_skipped(why):
    pytest.skip(why)
"""


def session(folder: Path, more: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "test_some.py").write_text(TESTS.format(more=more))
    plugin = ("-p", "tests.support.left_out", "--passed=passed", "--nothing-skipped")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_what_passed_is_not_run_again(tmp_path: Path) -> None:
    first, second = session(tmp_path), session(tmp_path)
    assert first.returncode == second.returncode == pytest.ExitCode.OK, first.stdout + second.stdout
    assert "1 passed, 1 skipped in" in first.stdout
    assert "1 skipped, 1 deselected in" in second.stdout
    assert (tmp_path / "passed").read_text() == "test_some.py::test_it_passes\n"


def test_a_test_that_is_skipped_for_want_of_a_package_fails_the_session(tmp_path: Path) -> None:
    done = session(tmp_path, more="'jax is not installed'")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("skipped, and not")]
    assert line.endswith("test_it_may_be_skipped[jax is not installed]: jax is not installed")
