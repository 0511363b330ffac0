"""The list of backends, and whether each can run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import choose
from suite.run import listing

CUDA_ONLY = '''"""Mine."""
from backends.base import Backend


class Mine(Backend):
    devices = ("cuda",)
'''


def here(tmp_path: Path) -> str:
    """The line of a backend that needs a GPU and no package."""
    (tmp_path / "mine.py").write_text(CUDA_ONLY)
    return listing.lines(160, [choose(str(tmp_path / "mine.py"))])[-1]


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
    assert f"  {words}  " in here(tmp_path)


def test_a_summary_is_cut_to_the_width() -> None:
    assert max(map(len, listing.lines(120))) <= 120


def test_each_environment_says_for_itself_what_it_lacks() -> None:
    held = {"base": {"torch": "2.9", "numpy": "2.4"}, "head": {"torch": None, "numpy": "2.4"}}
    (line,) = (line for line in listing.lines(200, (), held) if line.startswith("torch_embedding "))
    assert "base: available; head: no: needs torch" in line
    (line,) = (line for line in listing.lines(200, (), held) if line.startswith("numpy_take "))
    assert "base: available; head: available" in line
