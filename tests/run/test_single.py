"""One backend on one case in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.run import single
from suite.run.__main__ import main
from tests.support.commands import SMALL, refused

FAILS = '''"""Mine."""
from backends.base import Backend


class Mine(Backend):
    devices = ("cpu",)

    def prepare(self, table, indices, out):
        raise ValueError("deep inside " + "x" * 500)
'''

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_what_is_raised_is_shown_whole(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "mine.py").write_text(FAILS)
    assert main([*SMALL[:-2], "--backend", "mine.py", "--debug"]) == 1
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said and 'mine.py", line 9, in prepare' in said
    assert "x" * 500 in said
    assert [path.name for path in elsewhere.iterdir() if path.suffix != ".py"] in ([], ["__pycache__"])


def test_what_is_right_is_said_and_its_time_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--debug"]) == 0
    said = capsys.readouterr()
    assert "numpy_take: right in every bit; " in said.out and "is no result" in said.out
    assert "100x8 float32 batch 4" in said.err


def test_one_backend_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, [*SMALL, "torch_index", "--profile"])
    assert "one backend at a time; give --backend NAME|FILE" in said


def test_a_profile_prints_the_commands_and_looks_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "CPU_S", 0.05)
    assert main([*SMALL, "--profile"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("perf stat -d -- ") and first.endswith(" --profile")
    assert second.startswith("perf record -g -o numpy_take.perf -- ")


def test_on_a_gpu_the_range_alone_is_profiled() -> None:
    ncu, nsys = single.commands(["--gpu", "0", "--profile"], "mine", True)
    assert ncu.startswith('ncu --nvtx --nvtx-include "lookup/" --set full -o mine ')
    assert nsys.startswith("nsys profile --trace=cuda,nvtx -o mine ")
    assert ncu.endswith(" -m suite.run --gpu 0 --profile")
