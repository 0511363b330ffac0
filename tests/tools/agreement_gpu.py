"""The suite's median of cold kernels against triton's do_bench and NVBench, of the same lookups on a GPU.

Run as `python -m tests.tools.agreement_gpu [PAIRS]`, on the first GPU; 3 pairs take about 4 minutes. A pair
is a worker of the suite and then a process of the others, each new; what is printed, agreement.py says. All
three time by events, and empty the L2 before each lookup: the suite by looking up other rows, the others by
writing zeros. NVBench (`pip install cuda-bench[cu13]`) times on a stream of its own, so it has only the
backends that launch on torch's current one; where it is not installed, it is left out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends import choose
from suite import stats
from suite.cases.case import Case, Sweep, plan
from suite.engine.measure import Settings
from suite.machine.cuda_device import probe
from suite.machine.environment import available_bytes
from suite.records.device import Device
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor
from tests.tools.agreement import Times, said

DEVICE = Device("cuda", 0)
CASES = plan(
    [
        Sweep((128256,), (4096,), ("bfloat16",), (24576,)),
        Sweep((400_000,), (768,), ("float32",), (65536,)),
        Sweep((4_000_000,), (64,), ("float32",), (524288,)),
    ]
)
"""Payloads of 270 MB and more, 80 µs at 3.35 TB/s: a launch that is late by a few is not a difference."""
BACKENDS = ("torch_index_select", "triton_gather", "cupy_rawkernel")
ON_CURRENT_STREAM = ("torch_index_select", "triton_gather")
LIMIT_S = 4.0
OTHERS_S = 1.0


def main(pairs: int) -> int:
    """The command; returns its exit code."""
    found = probe(0)
    if isinstance(found, str):
        print(f"gpu 0: not there, {found}", file=sys.stderr)
        return 2
    print(f"{found.name}, {pairs} pairs of processes")
    for number, case in enumerate(CASES):
        ours, theirs = [], []
        for _ in range(pairs):
            ours.append(of_the_suite(case, found.l2_bytes))
            theirs.append(of_a_new_process(number))
        for name in BACKENDS:
            there = [name in times for times in (*ours, *theirs)]
            words = said(name, ours, theirs) if all(there) else ["no figure"]
            print(f"{name} {case}:", *words, flush=True)
    return 0


def of_the_suite(case: Case, l2_bytes: int) -> Times:
    """A new worker's medians of kernel time."""
    supervisor = Supervisor(60, available_bytes(), 1)
    settings = Settings(limit_s=LIMIT_S, cache_bytes=l2_bytes)
    records = supervisor.measure(Job(case, DEVICE, tuple(map(choose, BACKENDS)), "agreement", settings))
    supervisor.close()
    for record in records:
        if record.status != "ok":
            print(f"{record.backend}: {record.status}: {record.reason}", file=sys.stderr)
    taken = {r.backend: r.samples.kernel_s for r in records if r.samples and r.samples.kernel_s}
    return {name: {"suite": stats.median(rounds).value} for name, rounds in taken.items()}


def of_a_new_process(number: int) -> Times:
    """The others' medians."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "times.json"
        subprocess.run(
            [sys.executable, "-m", "tests.tools.agreement_gpu", "--others", str(number), str(path)],
            check=True,
        )
        found: Times = json.loads(path.read_text(encoding="utf-8"))
    return found


def of_the_others(case: Case) -> Times:
    """The medians of do_bench and, where it is there, NVBench, in this process."""
    from triton.testing import do_bench

    from backends import BackendUnavailable, Unsupported, load
    from suite.cases import ids
    from suite.engine import operands
    from suite.engine.arrays import arrays_on

    arrays = arrays_on(DEVICE)
    laid_out = operands.lay_out(case, arrays, operands.build_table(arrays, case), [ids.draw(case, 0, 0)])
    found: Times = {}
    lookups: dict[str, Callable[[], Any]] = {}
    for name in BACKENDS:
        backend = load(name)
        try:
            lookups[name] = laid_out.prepared(backend(), laid_out.slots[0])
        except (BackendUnavailable, Unsupported) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        took_ms = do_bench(lookups[name], warmup=100, rep=int(OTHERS_S * 1e3), return_mode="median")
        found[name] = {"do_bench": took_ms * 1e-3}
    if find_spec("cuda") and find_spec("cuda.bench"):
        current = {name: lookups[name] for name in ON_CURRENT_STREAM if name in lookups}
        for name, took_s in of_nvbench(current).items():
            found[name]["NVBench"] = took_s
    return found


def of_nvbench(lookups: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """NVBench's median of its cold, isolated measurements, by backend; where it skipped one, none."""
    import torch
    from cuda import bench
    from cuda.bench.results import BenchmarkResult

    for name, lookup in lookups.items():

        def measured(state: Any, lookup: Callable[[], Any] = lookup) -> None:
            stream = torch.cuda.ExternalStream(state.get_stream().addressof(), torch.device(str(DEVICE)))

            def launch(_: Any) -> None:
                with torch.cuda.stream(stream):
                    lookup()

            state.exec(launch, batched=False)

        bench.register(measured).set_name(name).set_timeout(10 * OTHERS_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nvbench.json"
        bench.run_all_benchmarks([sys.argv[0], "--devices", "0", "--jsonbin", str(path)])
        result = BenchmarkResult.from_json(path)
        medians = {name: list(result[name].centers(statistics.median).values()) for name in lookups}
    return {name: values[0] for name, values in medians.items() if values and values[0] is not None}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--others"]:
        with redirect_stdout(sys.stderr):
            times = of_the_others(CASES[int(sys.argv[2])])
        Path(sys.argv[3]).write_text(json.dumps(times), encoding="utf-8")
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
