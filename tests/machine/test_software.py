"""Versions of packages and of the checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from suite.machine.software import COMMIT_FILE, COMMIT_VARIABLE, checkout, given_commit, versions, why_unknown
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


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A checkout of one commit."""
    place = tmp_path.resolve() / "c"
    machine(
        place, {"suite/a.py": "", "tests/conftest.py": "", "tests/test_a.py": "", ".gitignore": "*.pyc\n"}
    )
    git(place, "init", "-q")
    git(place, "add", ".")
    git(place, "commit", "-qm", "x")
    return place


@pytest.mark.parametrize("setting", ["status.showUntrackedFiles no", "core.excludesFile EXCLUDES"])
def test_a_users_settings_do_not_hide_new_code(
    place: Path, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "excludes").write_text("*.py\n")
    name, value = setting.replace("EXCLUDES", str(tmp_path / "excludes")).split()
    monkeypatch.setenv("HOME", str(tmp_path))
    git(place, "config", "--global", name, value)
    assert checkout(place)[1] is False
    machine(place, {"suite/new.pyc": ""})
    assert checkout(place)[1] is False, "the project's own rules hold"
    machine(place, {"suite/new.py": ""})
    assert checkout(place)[1] is True


def test_what_this_checkout_alone_excludes_is_new_code_too(place: Path) -> None:
    machine(place, {".git/info/exclude": "new.py\n", "suite/new.py": ""})
    assert checkout(place)[1] is True


def test_what_pytest_measures_with_is_code(place: Path) -> None:
    machine(place, {"tests/test_a.py": "1"})
    assert checkout(place)[1] is False
    machine(place, {"tests/conftest.py": "1"})
    assert checkout(place)[1] is True


def test_it_is_said_why_there_is_no_commit(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why_unknown(place) is None
    assert why_unknown(place / "suite") == "the suite does not run from a checkout"
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    why = why_unknown(place)
    assert why is not None and why.startswith("git refuses the checkout, bad boolean config value")
    assert checkout(place) == ("unknown", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why_unknown(place) == "git is not installed"


HASH = "0123456789abcdef0123456789abcdef01234567"


def test_a_tree_without_git_is_of_the_commit_that_it_is_said_to_be(tmp_path: Path) -> None:
    assert given_commit(tmp_path, {}) is None
    (tmp_path / COMMIT_FILE).write_text(f"{HASH}\n")
    assert given_commit(tmp_path, {}) == (HASH, COMMIT_FILE)
    other = HASH[::-1]
    assert given_commit(tmp_path, {COMMIT_VARIABLE: other}) == (other, COMMIT_VARIABLE)
    for no_hash in ("main", HASH[:7], f"{HASH} {HASH}", "\xff", ""):
        (tmp_path / COMMIT_FILE).write_text(no_hash)
        assert given_commit(tmp_path, {COMMIT_VARIABLE: no_hash}) is None


@pytest.mark.parametrize("given", ["variables", "file", "home"])
def test_a_checkout_of_another_is_read_where_git_was_told_that_it_may(
    place: Path, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, and in CI, which tells git by variables."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    commit, _ = checkout(place)
    for path in (place, place / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checkout(place) == ("unknown", None)
    assert "dubious ownership" in str(why_unknown(place))
    (tmp_path / ".gitconfig").write_text("[safe]\ndirectory = *\n" if given == "home" else "")
    (tmp_path / "told").write_text("[safe]\ndirectory = *\n")
    told = {"COUNT": "1", "KEY_0": "safe.directory", "VALUE_0": "*"}
    variables = {"variables": told, "file": {"GLOBAL": str(tmp_path / "told")}, "home": {}}[given]
    for name, value in variables.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert checkout(place) == (commit, False) and why_unknown(place) is None
