"""The workflows are valid, and the script of the one that compares is red where a kernel is slower."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORDS = ("--vocab", "1000", "--dim", "64", "--batch", "16", "--time-budget", "15s", "--sustain", "0")
SLOW = "        from time import sleep\n\n        return lambda: sleep(1e-3) or "


def test_the_workflows_are_what_github_publishes() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed; the extra dev has it")
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*argv, *map(str, WORKFLOWS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(("slow", "verdict"), [("head", "SLOWER"), ("base", "FASTER")])
def test_a_kernel_that_became_slower_fails(slow: str, verdict: str, tmp_path: Path) -> None:
    base, head = tmp_path / "base", tmp_path / "head"
    for tree in (base, head):
        shutil.copytree(ROOT / "backends", tree / "backends")
    (head / "suite").symlink_to(ROOT / "suite")
    kernel = tmp_path / slow / "backends" / "numpy_take.py"
    text = kernel.read_text()
    kernel.write_text(text.replace("        return lambda: ", SLOW))
    assert kernel.read_text() != text
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    argv = [ROOT / ".ci" / "compare", base, *WORDS]
    done = subprocess.run(argv, cwd=head, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == (verdict == "SLOWER"), done.stderr
    comment = (head / "comparison.md").read_text()
    assert comment.startswith("### numpy_take\n\n**overall: ") and f"1 {verdict}" in comment
