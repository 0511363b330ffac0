"""suite.doctor as a command."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from suite.doctor.__main__ import in_words, main, noise_floor, show
from suite.doctor.finding import Finding
from suite.doctor.gpu import gpu_findings
from suite.doctor.host import findings
from tests.doctor.test_gpu import H100, PROCESSES, gpu
from tests.doctor.test_host import QUIET, QUIET_CPU, QUIET_SYSTEM


@pytest.mark.parametrize(("which", "device"), [(None, "cpu"), ("1", "cuda:1")])
def test_noise_floor_asks_the_engine(which: str | None, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr("suite.worker.supervisor.Supervisor.close", lambda self: closed.append(True))

    def engine(asked: object, supervisor: object, cache_bytes: int) -> float:
        assert str(asked) == device and cache_bytes >= 2**20 and not closed
        return 0.013

    monkeypatch.setattr("suite.worker.noise.measured_floor", engine)
    assert noise_floor(which) == 0.013
    assert closed
    assert noise_floor("GPU-1234abcd") is None


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor with nothing to wait for."""
    monkeypatch.setattr("suite.telemetry.activity.watch", lambda: QUIET)
    monkeypatch.setattr("suite.doctor.speed.watch", lambda _: [1.5e-5] * 100)


def test_the_command_prints_the_findings_and_the_noise_floor(
    still: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--no-noise"]) == 0
    plain, errors = capsys.readouterr()
    assert errors == "" and "\x1b" not in plain
    assert plain.splitlines()[-1].endswith(" ok")
    monkeypatch.setattr("suite.worker.noise.measured_floor", lambda *_: 0.0101)
    assert main([]) == 0
    out, errors = capsys.readouterr()
    assert "noise floor: 1.1 %;" in out and errors == "", "no terminal asked for patience"
    monkeypatch.setattr("suite.worker.noise.measured_floor", lambda *_: None)
    assert main([]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("noise floor: not measured, ") and last.endswith("; try again later")


@pytest.mark.parametrize(
    ("floor", "words"),
    [(0.013, "1.3 %"), (0.01301, "1.4 %"), (0.0004, "0.1 %"), (0.25, "25.0 %"), (0.0, "0.0 %")],
)
def test_the_noise_floor_in_words_is_rounded_up(floor: float, words: str) -> None:
    says = f"noise floor: {words}; a difference is called only if its whole interval is beyond that"
    assert in_words(floor) == says


def test_a_slow_machine_is_the_first_finding(
    still: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suite.doctor.speed.watch", lambda _: [1.5e-5] * 38 + [2.1e-5] * 62)
    assert main(["--no-noise"]) == 0
    assert capsys.readouterr().out.startswith("warn     speed: full for 38% of 1 s, else 1.40 times slower")


@pytest.mark.parametrize(
    "wrong", [["--gpu", "x"], ["--gpu", "-1"], ["--gpu"], ["--what"], ["more"], ["--gpu=\x1b[31m"]]
)
def test_wrong_arguments_are_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    out, errors = capsys.readouterr()
    assert ended.value.code == 2 and out == ""
    assert errors.count("\n") == 1 and "\x1b" not in errors


def test_no_such_gpu_is_one_line() -> None:
    hidden = (
        "import sys; sys.modules['pynvml'] = None;"
        "from suite.doctor.__main__ import main; sys.exit(main(['--gpu', '7']))"
    )
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("GPU 7: ") and done.stderr.count("\n") == 1


def test_a_real_run_is_plain_and_quick() -> None:
    command = [sys.executable, "-m", "suite.doctor", "--no-noise"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "" and "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) <= 40, "one screen"


def test_help_and_mistakes_import_nothing_heavy() -> None:
    code = (
        "import sys, suite.doctor.__main__ as d\n"
        "try: d.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'numpy', 'torch', 'psutil', 'rich', 'pynvml'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")


def test_prose_is_folded_between_words_and_further_lines_are_set_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    file = Terminal()
    show([Finding("load", "many words of it " * 4, "a command", "warn", "for a reason " * 4)], file)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 40
    indents = [len(line) - len(line.lstrip()) for line in lines[:-1]]
    assert sorted(set(indents)) == [0, len("warn     "), len("         why  ")]
    assert lines[-2] == "         do   a command"


def test_what_needs_no_action_is_a_paragraph_for_the_host_and_one_for_the_gpu() -> None:
    file = io.StringIO()
    subjects = {"a": "1", "GPU: b": "2", "c": "3", "GPU: d": "2", "e": "1"}
    show([Finding(subject, state, "", "ok") for subject, state in subjects.items()], file)
    assert file.getvalue() == "ok       a, e (1); c (3)\nok       GPU: b, d (2)\n0 warn, 0 unknown, 5 ok\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


SHOWN = (
    Finding("calm", "quiet", "never shown", "ok", "never shown"),
    Finding("hidden", "not reported", "", "unknown"),
    Finding("loud", "[red]x[/red]\x1b[2J", "run " + "long " * 60 + "end", "warn", "because\n\x07of it"),
)


@pytest.mark.parametrize("file", [io.StringIO(), Terminal()], ids=["plain", "terminal"])
def test_findings_are_shown_worst_first_defused_and_commands_whole(
    file: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    show(SHOWN, file)
    shown = file.getvalue()
    assert shown.index("loud") < shown.index("hidden") < shown.index("calm")
    assert "\x1b[2J" not in shown and "\x07" not in shown
    assert "[red]x[/red]" in shown and "never shown" not in shown
    assert any("run long" in line and "long end" in line for line in shown.splitlines()), (
        "can be copied whole"
    )
    assert "1 warn, 1 unknown, 1 ok" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_a_quiet_machine_and_its_gpu_fit_a_screen(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Terminal() if terminal else io.StringIO()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    state = gpu(
        {"persistence_enabled": False, "uuid": "GPU-ab"}, clock=345_000_000, processes=PROCESSES, cuda=H100
    )
    cpu = QUIET_CPU | {"governor": None, "turbo": None, "hypervisor": True}
    show((*findings(cpu, QUIET_SYSTEM, QUIET), *gpu_findings(state)), file)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80 and len(lines) <= 24
