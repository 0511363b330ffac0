"""What on this machine makes numbers noisy, and how far apart it puts equal things: one screen.

python -m suite.doctor [--gpu N] [--no-noise]
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from suite.command import Parser, execute
from suite.text import plain

if TYPE_CHECKING:
    from suite.doctor.finding import Finding
    from suite.telemetry.nvml.gpu import Gpu


_GPU = re.compile(r"(GPU-|MIG-)?[0-9a-fA-F][0-9a-fA-F:.-]{0,39}")
_STYLES = {"ok": "green", "warn": "bold yellow", "unknown": "dim"}
_TIMEOUT_S = 60.0
_LARGEST_L2_BYTES = 128 << 20  # of the GPUs there are; a smaller one is only swept more than it need be
_ORDER = ("warn", "unknown", "ok")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    asked = _parser().parse_args(argv)
    from suite.telemetry.nvml.gpu import Gpu
    from suite.worker.noise import in_words

    gpu = Gpu.open(asked.gpu) if asked.gpu is not None else None
    if gpu is not None and gpu.unavailable is not None:
        print(
            f"GPU {asked.gpu}: {plain(gpu.unavailable)}; see nvidia-smi -L for those there are",
            file=sys.stderr,
        )
        return 2
    try:
        found = diagnose(gpu, int(asked.gpu) if asked.gpu and asked.gpu.isdecimal() else None)
    finally:
        if gpu is not None:
            gpu.close()
    show(found, sys.stdout)
    if not asked.no_noise:
        sys.stdout.flush()
        print(in_words(noise_floor(asked.gpu)))
    return 0


def diagnose(gpu: Gpu | None = None, index: int | None = None) -> tuple[Finding, ...]:
    """Read this machine, and a GPU that is open; takes about half a second.

    Args:
        index: the number by which torch is asked for the GPU as well, which takes some seconds more.
    """
    from dataclasses import replace

    from suite.doctor.activity import watch
    from suite.doctor.gpu import gpu_findings
    from suite.doctor.host import findings
    from suite.machine.environment import collect

    # The environment first: watching it would count in its load.
    environment = collect((), 0, "", (), {})
    activity, state = watch(gpu)
    if state is not None and index is not None:
        from suite.machine.cuda_device import probe

        state = replace(state, cuda=probe(index))
    return findings(environment, activity) + (gpu_findings(state) if state is not None else ())


def noise_floor(which: str | None) -> float | None:
    """The noise floor of the CPU or of the GPU with this index, measured in a child process for 10 s or more.

    None where it can't be measured: too few cases came out, or the GPU is not named by an index.
    """
    if which is not None and not which.isdecimal():
        return None
    from suite.machine.cpu import allowed_processors, cache_bytes
    from suite.records.device import CPU, Device
    from suite.worker.noise import measured_floor
    from suite.worker.supervisor import Supervisor

    supervisor = Supervisor.of_this_machine(_TIMEOUT_S, len(allowed_processors()))
    try:
        if which is None:
            return measured_floor(CPU, supervisor, cache_bytes())
        return measured_floor(Device("cuda", int(which)), supervisor, _LARGEST_L2_BYTES)
    finally:
        supervisor.close()


def show(found: Sequence[Finding], file: TextIO) -> None:
    """Print findings, the worst first: in colour on a terminal, plainly elsewhere.

    On a terminal prose is folded between words, and a command never, so that it can be copied whole.
    """
    lines = list(_lines(sorted(found, key=lambda finding: _ORDER.index(finding.grade))))
    if file.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=file, highlight=False)
        for style, words, indent in lines:
            folded = textwrap.fill(words, console.width, subsequent_indent=" " * indent) if indent else words
            console.print(Text(folded, style=style), soft_wrap=True)
    else:
        for _, words, _ in lines:
            print(words, file=file)


def _lines(ranked: Sequence[Finding]) -> Iterator[tuple[str, str, int]]:
    """(style, text, columns by which its further lines are set in; 0 if it must stay one line)."""
    width = max((len(finding.subject) for finding in ranked), default=0) + 2
    for finding in ranked:
        subject = f"{finding.grade:9}{finding.subject:{width}}"
        yield _STYLES[finding.grade], subject + plain(finding.state), len(subject)
        if finding.grade != "ok":
            if finding.why:
                yield "dim", f"{'':9}why  {plain(finding.why)}", 14
            if finding.advice:
                yield "cyan", f"{'':9}do   {plain(finding.advice)}", 0
    counts = (f"{sum(f.grade == grade for f in ranked)} {grade}" for grade in _ORDER)
    yield "bold", ", ".join(counts), 0


def _parser() -> Parser:
    parser = Parser("python -m suite.doctor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--gpu", type=_gpu, metavar="N", help="also look at this GPU: an index, a UUID or a PCI bus id"
    )
    parser.add_argument("--no-noise", action="store_true", help="do not measure the noise floor")
    return parser


def _gpu(words: str) -> str:
    if not _GPU.fullmatch(words):
        raise argparse.ArgumentTypeError(f"{words!r} names no GPU; give an index such as 0, or a UUID")
    return words


if __name__ == "__main__":
    execute(main)
