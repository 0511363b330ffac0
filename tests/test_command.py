"""How every command starts and ends: closed descriptors, a system that refuses, errors nobody foresaw."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.commands import NUMPY_ALONE, SMALL, complaint, records_of

RUN = ("-m", "suite.run", *SMALL, "--time-budget", "1s", "--sustain", "0", "--passes", "1", "--out", "a")
PROBE = "from suite.command import execute\n"


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of the shell, in which ``$PY`` is this interpreter and ``$RUN`` a short run into ``a``."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, **NUMPY_ALONE, "PY": sys.executable, "RUN": " ".join(RUN)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


CLOSED = [c for n in (1, 2, 3) for c in itertools.combinations(("<&-", ">&-", "2>&-"), n)]


@pytest.mark.parametrize("closed", CLOSED, ids=" ".join)
@pytest.mark.slow
def test_a_run_with_closed_standard_descriptors_measures(tmp_path: Path, closed: tuple[str, ...]) -> None:
    done = shell(tmp_path, f"$PY $RUN {' '.join(closed)}")
    assert done.returncode == 0, done.stderr
    assert {record["status"] for record in records_of(tmp_path / "a")} == {"ok"}


def test_what_is_opened_later_takes_no_standard_descriptors_place(tmp_path: Path) -> None:
    body = "execute(lambda: print(open('later', 'w').fileno(), file=open('said', 'w')) or 0)"
    shell(tmp_path, f"""$PY -c "{PROBE}{body}" <&- >&- 2>&-""")
    assert int((tmp_path / "said").read_text()) > 2


def test_a_complaint_to_closed_standard_error_does_not_go_to_standard_output(tmp_path: Path) -> None:
    done = shell(tmp_path, "$PY -m suite.run --vocab 0 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("raised", ["KeyError('x')", "AssertionError()", "ZeroDivisionError('a\\nb')"])
def test_an_unexpected_error_is_one_line_and_70_and_its_traceback_is_in_the_file_named(
    tmp_path: Path, raised: str
) -> None:
    (tmp_path / "broken.py").write_text(f"{PROBE}def main():\n    raise {raised}\nexecute(main)\n")
    done = shell(tmp_path, f"TMPDIR={tmp_path} $PY broken.py")
    assert (done.returncode, done.stdout) == (70, "")
    named = re.search(r"its traceback is in (\S+)", complaint(done.stderr))
    assert named is not None
    assert "in main" in Path(named[1]).read_text()


@pytest.mark.parametrize(
    "raised",
    [
        "OSError(24, 'Too many open files')",
        "BlockingIOError(11, 'Resource temporarily unavailable')",
        "OSError(24, 'Too many open files', '/a/file')",
        'RuntimeError(\\"can\'t start new thread\\")',
        "MemoryError()",
        "ImportError('libx.so: failed to map segment from shared object')",
    ],
)
def test_a_system_that_refuses_is_one_line_and_2(tmp_path: Path, raised: str) -> None:
    body = raised.replace('\\"', '"')
    (tmp_path / "broken.py").write_text(f"{PROBE}def main():\n    raise {body}\nexecute(main)\n")
    done = shell(tmp_path, "$PY broken.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint(done.stderr).startswith("system: ")


def assert_measured_or_said(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """All is measured, or the last line says what the system refuses, or what failed has a reason."""
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()[-1]
    if done.returncode == 2:
        assert said.startswith(("system: refuses ", "measuring process: does not start: ")), done.stderr
        assert said.endswith("ulimit -a")
    else:
        status = {record["status"]: record["reason"] for record in records_of(folder)}
        if done.returncode == 0:
            assert set(status) == {"ok"}
        else:
            assert done.returncode == 1 and said.startswith("run: no case completed"), done.stderr
            assert all(reason for reason in status.values()) and "ok" not in status


@pytest.mark.parametrize("most", [8, 12, 16, 24])
@pytest.mark.slow
def test_with_few_descriptors_it_measures_or_says_one_line(tmp_path: Path, most: int) -> None:
    assert_measured_or_said(shell(tmp_path, f"ulimit -n {most}; $PY $RUN"), tmp_path / "a")


@pytest.mark.parametrize("most_mb", [50, 150, 300, 500, 1000])
@pytest.mark.slow
def test_with_few_addresses_it_measures_or_says_one_line(tmp_path: Path, most_mb: int) -> None:
    assert_measured_or_said(shell(tmp_path, f"ulimit -v {most_mb}000; $PY $RUN"), tmp_path / "a")


PROCESSES = "setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=+dac_override "
"""Root's processes are not limited; another user's are, who may read as root does."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become a user without other processes")
@pytest.mark.parametrize("most", [1, 2, 4, 5, 6, 8, 16])
@pytest.mark.slow
def test_with_few_processes_it_measures_or_says_one_line(tmp_path: Path, most: int) -> None:
    tmp_path.chmod(0o777)
    line = f"{PROCESSES}--ambient-caps=+dac_override bash -c 'ulimit -u {most}; exec $PY $RUN'"
    done = shell(tmp_path, line)
    if "setpriv" in done.stderr:
        pytest.skip("capabilities can't be handed on here")
    assert_measured_or_said(done, tmp_path / "a")
    assert "can't start new thread" not in done.stdout, "nor is it a backend's that the suite got none"


@pytest.mark.parametrize("words", ["report a", "compare a a", "doctor --no-noise", "claims --only cost"])
def test_every_command_says_in_one_line_that_numpy_has_no_room(tmp_path: Path, words: str) -> None:
    done = shell(tmp_path, f"ulimit -v 200000; $PY -m suite.{words}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "195 MiB of addresses" in complaint(done.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount over /proc")
@pytest.mark.slow
def test_without_proc_it_measures(tmp_path: Path) -> None:
    done = shell(tmp_path, "unshare -m sh -c 'mount -t tmpfs none /proc && $PY $RUN'")
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 0, done.stderr
    assert {record["status"] for record in records_of(tmp_path / "a")} == {"ok"}


def test_the_suite_itself_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    from suite.__main__ import COMMANDS, main

    folders = {path.parent.name for path in (ROOT / "suite").glob("*/__main__.py")}
    assert set(COMMANDS) == folders
    assert main() == 0
    assert "python -m suite.run " in capsys.readouterr().out
