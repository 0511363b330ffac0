"""Claims about embedding lookup, measured on this machine: python -m suite.claims"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from suite.claims.finding import CLAIMS, GROUPS
from suite.claims.options import Request, parse
from suite.command import DONE, INTERRUPTED, BadRequest, execute, refuse, say_wait

if TYPE_CHECKING:
    from suite.claims.finding import Finding
    from suite.claims.target import Target
    from suite.machine.cuda_device import CudaDevice
    from suite.records.record import Environment, Fact


SCHEMA = 1
"""Version of claims.json: of the fields of a finding."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    request = parse(argv, (*GROUPS, *CLAIMS))
    try:
        _carry_out(request, argv)
    except BadRequest as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("claims: interrupted; nothing is written", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _carry_out(request: Request, argv: Sequence[str]) -> None:
    from suite.claims import page, terminal
    from suite.machine import lock
    from suite.report.page.html import machine

    gpu = _gpu(request)
    folder = _folder(request.out)
    with lock.held(gpu.uuid if gpu else None, partial(say_wait, "claims")):
        target = _target(request, gpu)
        environment = _environment(request, argv, target, gpu)
        findings = _findings(request, target)
    device = str(target.device)
    _write(folder / "claims.json", _json(findings, device, environment))
    _write(folder / "claims.html", page.html(findings, device, environment))
    columns = shutil.get_terminal_size((100, 24)).columns
    terminal.show(findings, machine(device, environment), sys.stdout, columns)
    print(folder / "claims.html")


def _findings(request: Request, target: Target) -> list[Finding]:
    """The findings of the claims asked for, in order; progress goes to standard error."""
    from suite.claims.stages import STAGES, findings_of, shares

    stages = [s for s in STAGES if any(request.wants(name, s.group) for name in s.names)]
    seconds = shares(stages, request.time_budget_s)
    findings: list[Finding] = []
    began = time.monotonic()
    for number, stage in enumerate(stages):
        names = ", ".join(name for name in stage.names if request.wants(name, stage.group))
        progress = f"[{number + 1}/{len(stages)} {time.monotonic() - began:.0f}s] {names}"
        print(progress, file=sys.stderr, flush=True)
        findings += findings_of(stage, target, seconds[number])
    return [finding for finding in findings if request.wants(finding.name, finding.group)]


def _folder(out: str) -> Path:
    """The folder for the results, made and tried before minutes of measuring."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("claims.html", "claims.json"):
            if (folder / name).is_dir():
                raise BadRequest(f"{folder / name}: is a folder; give another --out")
        _write(folder / ".claims", "")
        (folder / ".claims").unlink()
    except OSError as error:
        raise BadRequest(
            f"{out}: {error.strerror}; give a folder that can be written to with --out"
        ) from None
    return folder


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise BadRequest(f"{path}: {error.strerror}; give another --out") from None


def _gpu(request: Request) -> CudaDevice | None:
    if request.gpu is None:
        return None
    from suite.machine.cuda_device import probe

    gpu = probe(request.gpu)
    if isinstance(gpu, str):
        raise BadRequest(f"gpu {request.gpu}: not available, {gpu}; leave out --gpu to measure the CPU")
    return gpu


def _target(request: Request, gpu: CudaDevice | None) -> Target:
    from suite.claims.target import Target
    from suite.machine.cpu import cache_bytes
    from suite.machine.environment import available_bytes
    from suite.records.device import CPU, Device
    from suite.worker.supervisor import MEMORY_SHARE

    if gpu is None:
        device, memory, cache = CPU, available_bytes(), cache_bytes()
    else:
        device, memory, cache = Device("cuda", request.gpu), gpu.memory_bytes, gpu.l2_bytes
    usable = int(MEMORY_SHARE * memory)
    return Target.fitting(device, request.model, usable, cache, request.threads, request.seed)


def _environment(
    request: Request, argv: Sequence[str], target: Target, gpu: CudaDevice | None
) -> Environment:
    from backends import describe, names
    from suite.machine.environment import collect
    from suite.telemetry.observer import gpu_facts

    kind = target.device.kind
    here = [one for one in map(describe, names()) if kind in one.devices and one.takes("memory")]
    packages = [package for one in here for package in one.packages]
    settings: dict[str, Fact] = {
        "model": request.model,
        "rows": target.vocab,
        "threads": request.threads,
        "time_budget_s": request.time_budget_s,
    }
    devices, facts = (str(target.device),), gpu_facts(gpu) if gpu else None
    return collect(argv, request.seed, "", devices, settings, packages=packages, gpu=facts)


def _json(findings: Sequence[Finding], device: str, environment: Environment) -> str:
    tree = {
        "schema": SCHEMA,
        "device": device,
        "findings": [asdict(finding) for finding in findings],
        "environment": asdict(environment),
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


if __name__ == "__main__":
    execute(main)
