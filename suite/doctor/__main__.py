"""Find what makes measurements noisy on this machine, and measure its noise floor; one screen.

python -m suite.doctor [--gpu N] [--tables DIR] [--no-noise]
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from suite.command import DONE, BadRequest, Parser, execute, refuse
from suite.text import folded, plain

if TYPE_CHECKING:
    from suite.doctor.finding import Finding


_GPU = re.compile(r"(GPU-|MIG-)?[0-9a-fA-F][0-9a-fA-F:.-]{0,39}")
_STYLES = {"ok": "green", "warn": "bold yellow", "unknown": "dim"}
_COLUMNS = 80  # where the output is not a terminal
_INDENT = 9
_TIMEOUT_S = 60.0
WATCH_S, BRIEFLY_S = 10.0, 1.0
"""For so long the processor's speed is watched; it changes within seconds."""
_LARGEST_L2_BYTES = 128 << 20  # of all GPUs; on one with less the caches are flushed more than they need be
_ORDER = ("warn", "unknown", "ok")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    request = _parser().parse_args(argv)
    try:
        findings = diagnose(request.gpu, BRIEFLY_S if request.no_noise else WATCH_S)
    except BadRequest as error:
        return refuse(error)
    show(findings, sys.stdout)
    if request.gpu is not None:
        from suite.doctor.libraries import libraries

        said = (_folded(str(library), _COLUMNS, _INDENT + 2) for library in libraries())
        print("\nlibraries of the GPU's backends:", *said, sep="\n")
    try:
        _measure(request)
    except BadRequest as error:
        return refuse(error)
    return DONE


def _measure(request: argparse.Namespace) -> None:
    """Measure and print what takes longer: the disk where it was asked for, the noise floor."""
    sys.stdout.flush()
    if request.tables is not None:
        from suite.doctor import disk

        print(_folded(disk.in_words(request.tables), _COLUMNS, _INDENT))
    if not request.no_noise:
        sys.stdout.flush()
        if sys.stderr.isatty():
            print("measuring the noise floor, some two minutes; --no-noise leaves it out", file=sys.stderr)
        print(in_words(noise_floor(request.gpu)))


def in_words(floor: float | None) -> str:
    """The noise floor as a sentence."""
    if floor is None:
        return "noise floor: not measured, too few cases or too few rounds at full speed; try again later"
    # Rounded up: what is promised holds for the figure that is read.
    shown = math.ceil(floor * 1000 - 1e-9) / 10
    return f"noise floor: {shown:.1f} %; a difference is called only if its whole interval is beyond that"


def diagnose(gpu: str | None = None, watch_s: float = WATCH_S) -> tuple[Finding, ...]:
    """Read this machine, and a GPU.

    Args:
        gpu: an index, a UUID or a PCI bus id. By an index torch is asked too, which takes some seconds more.
        watch_s: for so long the processor's speed is watched.

    Raises:
        BadRequest: the GPU can't be opened.
    """
    from dataclasses import replace

    from suite.doctor import speed
    from suite.doctor.gpu import gpu_findings, open_gpu, state_since
    from suite.doctor.host import findings, variables
    from suite.machine.cpu import cpu_facts
    from suite.machine.cuda_device import probe
    from suite.machine.environment import system_facts
    from suite.telemetry import activity

    opened = open_gpu(gpu) if gpu is not None else None
    cpu, system = cpu_facts(), system_facts()  # first: the load average would include the watching
    if opened is None:
        active = activity.watch()
        own = speed.speed(cpu, speed.watch(watch_s), watch_s)
        return own, *findings(cpu, system, active), variables(os.environ)
    try:
        before = opened.counters()
        active = activity.watch()
        state = state_since(opened, before)
        if gpu is not None and gpu.isdecimal():
            state = replace(state, cuda=probe(int(gpu)))
    finally:
        opened.close()
    return (
        speed.speed(cpu, speed.watch(watch_s), watch_s),
        *findings(cpu, system, active),
        variables(os.environ),
        *gpu_findings(state),
    )


def noise_floor(gpu: str | None) -> float | None:
    """The noise floor between runs of the CPU, or of a GPU by its index, measured in two minutes.

    None if it can't be measured: of too few cases or rounds at full speed, or the GPU is not given by its
    index.
    """
    if gpu is not None and not gpu.isdecimal():
        return None
    from suite.machine.cpu import cache_bytes
    from suite.machine.threads import number_of_threads
    from suite.records.device import CPU, Device
    from suite.worker.noise import measured_floor
    from suite.worker.supervisor import Supervisor

    try:
        supervisor = Supervisor.of_this_machine(_TIMEOUT_S, number_of_threads())
    except ValueError as error:
        raise BadRequest(str(error)) from None
    try:
        if gpu is None:
            return measured_floor(CPU, supervisor, cache_bytes())
        return measured_floor(Device("cuda", int(gpu)), supervisor, _LARGEST_L2_BYTES)
    finally:
        supervisor.close()


def show(findings: Sequence[Finding], file: TextIO) -> None:
    """Print findings, the worst first, those that need no action in one paragraph; in colour on a terminal.

    Prose is folded between words, and a command never, so that it can be copied whole.
    """
    lines = list(_lines(findings))
    if file.isatty():
        from rich.console import Console
        from rich.text import Text

        console = Console(file=file, highlight=False)
        for style, text, indent in lines:
            console.print(Text(_folded(text, console.width, indent), style=style), soft_wrap=True)
    else:
        for _, text, indent in lines:
            print(_folded(text, _COLUMNS, indent), file=file)


def _folded(text: str, columns: int, indent: int) -> str:
    if not indent:
        return text
    return folded(text, columns, indent)


def _lines(findings: Sequence[Finding]) -> Iterator[tuple[str, str, int]]:
    """(style, text, indent of its further lines; 0 if it must stay one line)."""
    for grade in _ORDER:
        graded = [finding for finding in findings if finding.grade == grade]
        alone = [finding for finding in graded if grade != "ok" and (finding.why or finding.advice)]
        for finding in alone:
            yield _STYLES[grade], f"{grade:{_INDENT}}{finding.subject}: {plain(finding.state)}", _INDENT
            if finding.why:
                yield "dim", f"{'':{_INDENT}}why  {plain(finding.why)}", _INDENT + 5
            if finding.advice:
                yield "cyan", f"{'':{_INDENT}}do   {plain(finding.advice)}", 0
        for device in ("", "GPU: "):
            rest = [f for f in graded if f not in alone and f.subject.startswith("GPU: ") == bool(device)]
            if rest:
                yield _STYLES[grade], f"{grade:{_INDENT}}{device}{_paragraph(rest)}", _INDENT
    counts = (f"{sum(f.grade == grade for f in findings)} {grade}" for grade in _ORDER)
    yield "bold", ", ".join(counts), 0


def _paragraph(findings: Sequence[Finding]) -> str:
    """Findings in a row, those of one state together: ``turbo, swap (not reported); clock source (tsc)``."""
    subjects: dict[str, list[str]] = {}
    for finding in findings:
        subjects.setdefault(plain(finding.state), []).append(finding.subject.removeprefix("GPU: "))
    return "; ".join(f"{', '.join(same)} ({state})" for state, same in subjects.items())


def _parser() -> Parser:
    parser = Parser("python -m suite.doctor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--gpu", type=_gpu, metavar="N", help="examine this GPU too: an index, a UUID or a PCI bus id"
    )
    parser.add_argument(
        "--tables",
        metavar="DIR",
        help="measure how many threads of reads saturate the disk of this folder, by a table file of 1.1 GB",
    )
    parser.add_argument(
        "--no-noise",
        action="store_true",
        help="do not measure the noise floor, and watch the speed for a second only",
    )
    return parser


def _gpu(text: str) -> str:
    if not _GPU.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} names no GPU; give an index such as 0, or a UUID")
    return text


if __name__ == "__main__":
    execute(main)
