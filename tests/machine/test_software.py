"""Versions of packages and of the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from suite.machine.software import checkout, versions
from tests.support.machines import machine


def test_versions_are_those_of_either_name_or_none() -> None:
    found = versions(["numba_cuda|NumPy", "no-such-thing", "../..", "", "a b", "a\0b"])
    import numpy as np

    assert found["numpy"] == np.__version__
    assert found["no-such-thing"] is None and found["../.." if "../.." in found else "-/-"] is None
    assert {"numpy", "torch", "cupy-cuda12x", "cupy-cuda13x", "psutil", "jax"} <= found.keys()
    assert "NumPy" not in found and "numba_cuda" not in found


def git(place: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True)


def test_a_checkout_has_its_commit_and_whether_it_is_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path.resolve() / "c"
    machine(place, {"suite/a.py": "", "backends/b.py": "", "results/r": ""})
    assert checkout(place) == ("unknown", None)
    git(place, "init", "-q")
    assert checkout(place) == ("unknown", None), "no commit yet"
    git(place, "add", ".")
    git(place, "commit", "-qm", "x")
    commit, dirty = checkout(place)
    assert len(commit) == 40 and dirty is False
    machine(place, {"results/new/records.jsonl": "{}"})
    assert checkout(place) == (commit, False), "results are no code"
    assert checkout(place / "suite") == ("unknown", None), "installed inside somebody else's checkout"
    machine(place, {"backends/new.py": ""})
    assert checkout(place) == (commit, True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert checkout(place) == (commit, True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout(place) == ("unknown", None), "no git here"
