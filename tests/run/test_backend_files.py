"""Files that are no backends."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import UnknownBackend, choose, describe, load
from suite.run.options import parse
from tests.support.commands import refused

pytestmark = pytest.mark.usefixtures("elsewhere")

FILES = {
    "syntax error": ("def f(:\n", "not a Python file"),
    "not text": ("\xff\0", "not a Python file"),
    "deep": ("x = " + "-" * 50_000 + "1\n", "not a backend's file"),
    "long": ("x = " + "1 + " * 50_000 + "1\n", "not a Python file"),
    "a number for devices": ("class A:\n    devices = 5\n", "not a backend's file"),
    "numbers among the dtypes": (
        "class A:\n    devices = ('cpu',)\n    dtypes = (1, 2)\n",
        "not a backend's file",
    ),
    "a literal that is none": ("class A:\n    devices = {[]: 1}\n", "not a backend's file"),
}


@pytest.mark.parametrize("which", FILES)
@pytest.mark.parametrize("question", ["--list", "--dry-run"])
def test_a_file_that_is_no_backend_is_refused(
    which: str, question: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, says = FILES[which]
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="latin-1")
    assert says in refused(capsys, ["--backend", str(path), question])


def test_two_backends_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their records could not be told apart."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("class A:\n    devices = ('cpu',)\n")
    paths = [str(tmp_path / folder / "mine.py") for folder in ("a", "b")]
    assert "another backend named mine" in refused(capsys, ["--backend", *paths, "--dry-run"])


def test_a_folder_in_place_of_a_backend_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").mkdir()
    for which in (str(tmp_path), str(tmp_path / "mine.py")):
        assert "no such file" in refused(capsys, ["--backend", which, "--dry-run"])


def test_two_versions_of_one_file_have_names_of_their_own(tmp_path: Path) -> None:
    found = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "numpy_take.py"
        path.write_text(
            f'"""Of {folder}."""\nfrom backends.base import Backend\n\n\nclass Of(Backend):\n'
            f"    devices = ('cpu',)\n    folder = {folder!r}\n"
        )
        found.append(f"{folder}={path}")
    request = parse(["--backend", *found, "numpy_take"])
    assert [b.name for b in request.backends] == ["a", "b", "numpy_take"]
    a, b, _ = request.backends
    assert (load(a).folder, load(b).folder) == ("a", "b")  # type: ignore[attr-defined]
    assert load(a).__module__ != load(b).__module__
    assert describe(a).summary == "Of a." and describe(a).name == "a"


def test_a_file_with_a_sign_of_equality_in_its_path_is_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    (folder / "mine.py").write_text("class A:\n    devices = ('cpu',)\n")
    (tmp_path / "c=mine.py").write_text("class A:\n    devices = ('cpu',)\n")
    assert choose(str(folder / "mine.py")).name == "mine"
    with pytest.raises(UnknownBackend, match="letters, digits"):
        choose(str(tmp_path / "c=mine.py"))


@pytest.mark.parametrize("name", ["numpy_take", "numba_cpu"])
def test_a_name_that_is_taken_is_none_for_another_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("class A:\n    devices = ('cpu',)\n")
    said = refused(capsys, ["--backend", f"{name}={tmp_path / 'mine.py'}", "--dry-run"])
    assert f"a backend named {name} exists already; give another name" in said
