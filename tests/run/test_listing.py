"""The list of backends, and whether each can run here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends import choose, distributions
from suite.run import listing
from tests.support import ROOT

CUDA_ONLY = '''"""Mine."""
from backends.base import Backend


class Mine(Backend):
    devices = ("cuda",)
'''


def here(tmp_path: Path) -> str:
    """The line of a backend that needs a GPU and no package."""
    (tmp_path / "mine.py").write_text(CUDA_ONLY)
    return next(line for line in listing.lines(160, [choose(str(tmp_path / "mine.py"))]) if " mine " in line)


@pytest.mark.parametrize(
    ("drivers", "words"),
    [
        ({"NVIDIA": ("nvidiactl",)}, "no: no NVIDIA driver here"),
        ({"NVIDIA": ("nvidiactl",), "AMD": ("kfd",)}, "no: no NVIDIA or AMD driver here"),
        ({"NVIDIA": ("nvidiactl", "mine.py")}, "available"),
        ({"NVIDIA": ("nvidiactl",), "AMD": ("mine.py",)}, "available"),
    ],
)
def test_a_backend_of_gpus_needs_the_driver_of_one_vendor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drivers: dict[str, tuple[str, ...]], words: str
) -> None:
    files = {vendor: tuple(tmp_path / name for name in names) for vendor, names in drivers.items()}
    monkeypatch.setattr(listing, "_DRIVERS", files)
    assert here(tmp_path).endswith(f"cuda · other · {words}")


@pytest.mark.parametrize("columns", [80, 120])
def test_it_is_two_lines_a_backend_between_words(columns: int) -> None:
    text = "\n".join(listing.lines(columns))
    assert max(map(len, text.splitlines())) <= columns
    whole = " ".join(text.split())
    for backend in listing.described(()):
        assert backend.summary in whole, "nothing is cut"
    assert "kernel of this suite" in whole


def test_presets_and_models_are_listed_and_what_is_missing_is_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "missing_here", lambda packages: [p for p in packages if "jax" in p])
    text = "\n".join(listing.lines(200))
    assert "pip install -e '.[jax]'" in text and "  jax_take " in text.partition("not here:")[2]
    assert "  default  22 cases, at most 5 min" in text and "dlrm-mlperf" in text


def test_what_an_extra_brings_is_installed_by_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain, extras = named(project["dependencies"]), project["optional-dependencies"]
    assert set(listing.EXTRAS.values()) <= set(extras)
    needed = {words for backend in listing.described(()) for words in backend.packages}
    first = {words: distributions([words])[0] for words in needed}
    brought = {
        name: {extra for extra, those in extras.items() if named(those) & set(distributions([words]))}
        for words, name in first.items()
        if name not in plain
    }
    assert brought["uring-api"] == {"uring"}
    assert [name for name, by in brought.items() if by and listing.EXTRAS.get(name) not in by] == []


def named(requirements: Sequence[str]) -> set[str]:
    """Distributions, without their versions and where they are for."""
    return {re.split(r"[^A-Za-z0-9._-]", words)[0] for words in requirements}


def test_each_environment_says_for_itself_what_it_lacks() -> None:
    held = {"base": {"torch": "2.9", "numpy": "2.4"}, "head": {"torch": None, "numpy": "2.4"}}
    (line,) = (line for line in listing.lines(200, (), held) if line.startswith("  torch_embedding "))
    assert "base: available; head: no: pip install torch" in line
    (line,) = (line for line in listing.lines(200, (), held) if line.startswith("  numpy_take "))
    assert "base: available; head: available" in line
