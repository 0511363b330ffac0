"""Battery of a machine with a GPU: what is there, the GPU's tests, a run without what failed them, its page.

    .ci/gpu FOLDER [SECONDS [OPTION...]]

A kernel that hangs or faults takes its process with it, so each of the suite's kernels is tested in one of
its own, all at once where memory is large; the libraries' lookups share one. What failed is left out of the
run. FOLDER gets tests.txt, doctor.txt, progress.txt, and in run/ what can be published as it is.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backends import describe, missing_packages, names
from suite.cases.case import Case
from suite.command import BadRequest, refuse
from suite.machine.cuda_device import CudaDevice, probe
from suite.records.device import Device
from suite.run.forecast import forecast
from suite.run.options import parse
from suite.run.schedule import tasks_of
from suite.units import gigabytes
from suite.worker.devices import needed_bytes
from tests.support import ROOT

WHOLE_S = 455.0
"""All of it; ``.ci/gpu`` ends it some seconds later, whatever happens."""
TESTS_S, LATE_S = 110.0, 40.0
"""For the tests, after which the rest is skipped; and what one that has begun may take beyond that."""
LEAST_S = 90.0
"""So long at least a test process may take: to begin it loads libraries from a disk that may be slow."""
SILENT_S = float(os.environ.get("BATTERY_SILENT_S", "45"))
"""A test process that ends no test for so long hangs; the slowest one loads a library and compiles first."""
RUN_S, OVER_S = 270.0, 40.0
"""For the cases of the run, if there is as much; and what it may take beyond that."""
REPORT_S = 30.0
TOGETHER_BYTES = 40e9
"""With so much memory free the test processes run at once: each may fill 5 GB beside its context."""
Child = subprocess.Popen[bytes]
CHILDREN: list[Child] = []
"""All that were begun, so that none outlives the battery."""
OURS = ("cupy_rawkernel", "numba_cuda", "triton_gather", "cupy_bulk")
OTHERS = "others"
PYTEST = (
    *(sys.executable, "-m", "pytest", "-o", "addopts=", "-o", "filterwarnings=", "-p", "no:cacheprovider"),
    *("-m", "gpu", "-v", "-rfEs", "--tb", "short", "--maxfail", "20", "--color", "no"),
)
"""Neither pytest's plugins, which the project's options are of, nor warnings of libraries as errors."""
PASSED, NONE_COLLECTED = 0, 5
GPU_TESTS = re.compile(r"^(pytestmark = |@)pytest\.mark\.gpu", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a test process; ``code`` is None if it had to be ended."""

    name: str
    code: int | None
    text: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.code in (PASSED, NONE_COLLECTED)

    @property
    def unfit(self) -> str | None:
        """The backend that must not be measured: one of ours that failed, a library's that ended all."""
        if self.passed:
            return None
        if self.name != OTHERS:
            return self.name
        ended = self.code is None or self.code < 0
        return _in_hand(self.text) if ended else None

    def __str__(self) -> str:
        counts = re.findall(r"^=*\s*((?:\d+ \w+,? ?)+) in ", self.text, re.MULTILINE)
        how = {None: "hung, was ended", PASSED: "", NONE_COLLECTED: "no tests"}.get(self.code)
        if how is None:
            how = f"ended by signal {-self.code}" if self.code < 0 else "failed"  # type: ignore[operator]
        words = [how, counts[-1].strip() if counts else "", f"{self.seconds:.0f} s"]
        return f"  {self.name:<16} {', '.join(filter(None, words))}"


def test_files() -> list[str]:
    """Only the files that have such tests: what others import need not be there."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(f.relative_to(ROOT)) for f in files if GPU_TESTS.search(f.read_text(encoding="utf-8"))]


def selection(name: str) -> str:
    """The tests of one process as pytest's ``-k`` has it; each test is of exactly one."""
    return name if name != OTHERS else f"not ({' or '.join(OURS)})"


def tested(folder: Path, together: bool, seconds: float = TESTS_S) -> list[Checked]:
    """Run the tests, a process for each of ours and one for all others.

    Args:
        together: all at once; else one after another, each with its share of the time.
    """
    processes = [*OURS, OTHERS]
    if together:
        begun = [_Testing(name, folder, seconds) for name in processes]
        return [one.ended() for one in begun]
    return [_Testing(name, folder, seconds / len(processes)).ended() for name in processes]


class _Testing:
    """A test process, from its beginning on."""

    def __init__(self, name: str, folder: Path, seconds: float) -> None:
        self.name, self.log = name, folder / f".{name}.txt"
        self.began = time.monotonic()
        self.end = self.began + max(LEAST_S, seconds + LATE_S)
        words = [*PYTEST, *test_files(), "-k", selection(name)]
        with self.log.open("wb") as file:
            self.child = _begin(words, file, GPU_TESTS_S=f"{seconds:g}")

    def ended(self) -> Checked:
        """Wait for it, as long as it has time and says something."""
        size, since = -1, time.monotonic()
        while self.child.poll() is None and time.monotonic() < min(self.end, since + SILENT_S):
            if (now := self.log.stat().st_size) != size:
                size, since = now, time.monotonic()
            time.sleep(0.1)
        code = _wait(self.child, 0.0)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        self.log.unlink()
        return Checked(self.name, code, text, time.monotonic() - self.began)


def _begin(words: Sequence[str], log: BinaryIO, out: BinaryIO | None = None, **more: str) -> Child:
    child = subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stdout=out or log,
        stderr=log,
        start_new_session=True,
    )
    CHILDREN.append(child)
    return child


def _wait(child: Child, seconds: float, gently: bool = False) -> int | None:
    """Its exit code; None if it did not end in time, and so was ended with all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL) if gently else (signal.SIGKILL,):
        try:
            return child.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(child.pid, number)
            seconds = 10.0
    with suppress(subprocess.TimeoutExpired):  # one that hangs in the driver can't even be killed
        child.wait(5.0)
    return None


def _in_hand(text: str) -> str | None:
    """The backend of the test that a process was at when it ended, by what ``-v`` printed last."""
    begun = [line for line in text.splitlines() if "::" in line]
    words = re.findall(r"[A-Za-z]\w*", begun[-1].partition("[")[2]) if begun else []
    unfinished = begun and not re.search(r"(PASSED|FAILED|SKIPPED|ERROR)", begun[-1])
    return next((word for word in words if word in names()), None) if unfinished else None


def choice(unfit: Sequence[str]) -> list[str]:
    """suite.run's words for what is installed but these; none where nothing is to be left out."""
    if not unfit:
        return []
    there = {name: describe(name) for name in names() if name not in unfit}
    there = {name: one for name, one in there.items() if one.takes("memory")}
    fit = [n for n, one in there.items() if "cuda" in one.devices and not missing_packages(one.packages)]
    return ["--backend", "numpy_take", *fit]


def words_of(seconds: float) -> list[str]:
    """suite.run's words. The counters' phase would take half of the time; a step has no time to hang for."""
    return ["--gpu", "0", "--sustain", "0", "--timeout", "30s", "--time-budget", f"{seconds:.0f}s"]


def fitting(cases: Sequence[Case], device: CudaDevice) -> list[str]:
    """How many cases fit the GPU's memory, and which do not."""
    needs = {case: needed_bytes(case, Device("cuda", 0), device.l2_bytes) for case in cases}
    large = [case for case in cases if needs[case] > device.memory_bytes]
    most = gigabytes(max(needs.values(), default=0))
    said = f"cases: {len(cases) - len(large)} of {len(cases)} fit {device.name}, "
    lines = [f"{said}{gigabytes(device.memory_bytes)}; the largest needs {most}"]
    return [*lines, *(f"  too large: {case}, {gigabytes(needs[case])}" for case in large)]


def main(argv: Sequence[str]) -> int:
    """Carry it out; 1 if a test failed or a row was wrong."""
    began = time.monotonic()
    if not argv:
        print("usage: .ci/gpu FOLDER [SECONDS [OPTION...]]", file=sys.stderr)
        return 2
    folder, options = Path(argv[0]).resolve(), list(argv[2:])
    seconds = float(argv[1]) if len(argv) > 1 else RUN_S
    run = folder / "run"
    if run.exists():
        print(f"{run}: is there already; give another folder", file=sys.stderr)
        return 2
    try:
        request = parse([*words_of(seconds), *options])
        tasks = tasks_of(request)
    except BadRequest as error:
        return refuse(error)
    folder.mkdir(parents=True, exist_ok=True)
    diagnosis = _said("suite.doctor", "--gpu", "0", "--no-noise", limit_s=60.0)
    (folder / "doctor.txt").write_text(diagnosis)
    print(diagnosis, flush=True)
    device = probe(0)
    if isinstance(device, str):
        print(f"battery: {device}; nothing can be tested or measured here", file=sys.stderr)
        return 2
    print(*fitting([task.case for task in tasks if task.device.is_gpu], device), sep="\n")
    print(*forecast(request, tasks).lines(), sep="\n", flush=True)
    together = at_once(device)
    print(f"tests, {'all at once' if together else 'one after another'}", flush=True)
    results = tested(folder, together, float(os.environ.get("GPU_TESTS_S", TESTS_S)))
    (folder / "tests.txt").write_text("".join(f"== {t.name}, {t.code}\n{t.text}\n" for t in results))
    unfit = [one.unfit for one in results if one.unfit]
    for one in results:
        print(one, "- left out of the run" if one.unfit else "", flush=True)
        print(_failures(one.text), end="", flush=True)
    seconds = min(seconds, began + WHOLE_S - REPORT_S - OVER_S - time.monotonic())
    print(f"run, {seconds:.0f} s from {time.monotonic() - began:.0f} s on", flush=True)
    words = [*words_of(seconds), "--out", str(run), *choice(unfit), *options]
    code = _measured(folder, words, seconds + OVER_S)
    print(_published(run), end="")
    print(f"{time.monotonic() - began:.0f} s in all; to be published: {folder.name}/run, {_size(run)}")
    return int(code != 0 or not all(one.passed for one in results))


def _failures(text: str) -> str:
    lines = [line for line in text.splitlines() if re.match("(FAILED|ERROR) ", line)]
    return "".join(f"    {line[:150]}\n" for line in lines[:5])


def _measured(folder: Path, words: Sequence[str], limit_s: float) -> int | None:
    with (folder / "progress.txt").open("wb") as file, Path(os.devnull).open("wb") as nowhere:
        child = _begin([sys.executable, "-m", "suite.run", *words], file, nowhere)
        code = _wait(child, limit_s, gently=True)
    lines = (folder / "progress.txt").read_text(errors="replace").splitlines()
    print("\n".join([line[:200] for line in lines if line.startswith("run: ")] + lines[-1:]), flush=True)
    return code


def _published(run: Path) -> str:
    """Write the report and the page into the run's folder; its tables."""
    files = [f"--{kind}={run / name}" for kind, name in (("csv", "records.csv"), ("html", "page.html"))]
    return _said("suite.report", str(run), *files, f"--markdown={run / 'report.md'}", limit_s=REPORT_S)


def _said(module: str, *words: str, limit_s: float) -> str:
    """What one of the suite's commands prints, or why it could not."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return f"{module}: no answer within {limit_s:g} s\n"
    return done.stdout


def at_once(device: CudaDevice) -> bool:
    """Whether the test processes may run together."""
    return _free_bytes(device) >= TOGETHER_BYTES and not _exclusive()


def _free_bytes(device: CudaDevice) -> float:
    """Memory of the GPU that nobody uses, as far as is known."""
    from suite.telemetry.nvml.gpu import Gpu

    used = Gpu.open(device.uuid, limit_s=5.0).memory().used_bytes.value
    return device.memory_bytes - (used or 0)


def _exclusive() -> bool:
    """Whether the GPU takes one process at a time only."""
    try:
        import pynvml

        pynvml.nvmlInit()
        mode = pynvml.nvmlDeviceGetComputeMode(pynvml.nvmlDeviceGetHandleByIndex(0))
        return bool(mode == pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS)
    except Exception:  # not there, or not told
        return False


def _size(folder: Path) -> str:
    files = [file for file in folder.glob("*") if file.is_file()]
    return f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def _end_all() -> None:
    for child in CHILDREN:
        if child.poll() is None:
            with suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("battery: its time is up, or it was interrupted; what is there lies in its folder")
        sys.exit(1)
    finally:
        _end_all()
