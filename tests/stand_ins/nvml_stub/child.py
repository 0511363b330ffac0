"""A process in which the real pynvml finds the stub: evaluates the expressions it is sent, answers JSON.

One line in: {"settings": {...}, "environ": {...}, "expression": "..."}; one line out: {"result": ...} or
{"raised": ...}. In an expression, ``at(gpu)`` is every figure of a GPU by its dotted path.
"""

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

if os.environ.get("NVML_STUB_BLOCK"):
    sys.modules["pynvml"] = None  # type: ignore[assignment]  # importing it now raises ImportError

from suite.telemetry import nvidia
from suite.telemetry.nvml import calls, gpm
from suite.telemetry.nvml.gpu import Gpu

missing = nvidia.missing


def plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def flat(value: Any, path: str) -> dict[str, Any]:
    if isinstance(value, dict) and set(value) != {"value", "reason"}:
        return {at: leaf for key, item in value.items() for at, leaf in flat(item, f"{path}.{key}").items()}
    return {path: value}


def at(gpu: Any, gpm: bool = False) -> dict[str, Any]:
    figures = {"identity": gpu.identity(), "memory": gpu.memory(), "counters": gpu.counters()}
    if gpm:
        figures["sustained"] = gpu.sustained(lambda: 1, 0.0)
    everything = {
        path: leaf for key, item in figures.items() for path, leaf in flat(plain(item), key).items()
    }
    return {path: leaf for path, leaf in everything.items() if isinstance(leaf, dict)}


def patched_ask(limit_s: float, function: Any) -> Any:
    """What a call answers when pynvml's own function is this one."""
    import pynvml

    pynvml.patched = function
    return calls.Calls(limit_s).ask("patched")


def burst(seconds: float = 0.01, lookups: int = 3) -> int:
    time.sleep(seconds)
    return lookups


def records(which: str, sustain_s: float) -> list[Any]:
    """What a worker new to the GPU measures of one backend, as it would send it."""
    from backends import choose
    from suite.cases.case import Case
    from suite.engine import measure
    from suite.records import record
    from suite.records.device import Device
    from suite.worker import devices, messages, serve

    devices.NVML_LIMIT_S = 0.1
    Gpu.open.__func__.__kwdefaults__["open_limit_s"] = 0.1
    settings = measure.Settings(limit_s=0.05, cache_bytes=2**16, sustain_s=sustain_s)
    job = messages.Job(
        Case(5000, 33, "bfloat16", 40, "int32"), Device("cuda", 0), (choose(which),), "m", settings
    )
    fd = os.memfd_create("status")
    os.ftruncate(fd, messages.STATUS_BYTES)
    found = serve.Worker(messages.StatusPage(fd), fd, fd).perform(job)
    os.close(fd)
    return [json.loads(record.to_json(one)) for one in found]


def facts(*subjects: str, device: Any = None, **settings: float) -> dict[str, Any]:
    """Lines of tests/tools/nvml_facts.py by their subjects, as brief as can be; all where none is named.

    ``rate``: bytes a second that copies are to come to.
    """
    from suite.machine.cuda_device import CudaDevice
    from tests.tools import nvml_bench, nvml_facts

    nvml_bench.LIMIT_S = nvml_facts.LIMIT_S = settings.get("limit_s", 5.0)
    there = CudaDevice("Stand-in", "a0000000-0000-4000-8000-000000000000", 2**20, 80 * 2**30)
    bench = nvml_bench.Bench(0, device or there, settings.get("pace", 0.01))
    if "rate" in settings:
        bench.rate = lambda seconds, *_: [settings["rate"], time.sleep(seconds)][0]
    asked = tuple(one for one in nvml_facts.QUESTIONS if not subjects or one[0] in subjects)
    found = [*nvml_facts.facts(bench, asked), *(nvml_facts.costs(bench) if "costs" in subjects else ())]
    return {fact.subject: [fact.seen, fact.verdict] for fact in found}


for line in sys.stdin:
    request = json.loads(line)
    Path(os.environ["NVML_STUB"]).write_text("".join(f"{k}={v}\n" for k, v in request["settings"].items()))
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        os.environ.pop(name, None)
    os.environ.update(request["environ"])
    gpm.SHORTEST_S = request["shortest_gpm_s"]
    started_s = time.monotonic()
    try:
        answer = {"result": plain(eval(request["expression"]))}
    except BaseException as error:
        answer = {"raised": f"{type(error).__name__}: {error}"}
    answer["took_s"] = time.monotonic() - started_s
    print(json.dumps(answer), flush=True)
