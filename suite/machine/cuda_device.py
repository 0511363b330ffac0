"""One GPU as torch sees it, asked in a process of its own, so that the supervisor holds no device."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """What the suite must know of a GPU before it measures.

    Attributes:
        uuid: as CUDA gives it; NVML puts ``GPU-`` or ``MIG-`` before it. l2_bytes: its last-level cache.
    """

    name: str
    uuid: str
    l2_bytes: int
    memory_bytes: int


def probe(index: int) -> CudaDevice | str:
    """The GPU that torch calls ``cuda:index``, or one line that says why there is none."""
    command = [sys.executable, "-m", "suite.machine.cuda_device", str(index)]
    try:
        asked = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            cwd=Path(__file__).resolve().parents[2],
            check=False,
        )
        found = json.loads(asked.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"asking for it took longer than {LIMIT_S:g} s"
    except (ValueError, IndexError, OSError):
        return "torch could not be asked for it"
    return found if isinstance(found, str) else CudaDevice(**found)


def _ask(index: int) -> dict[str, str | int] | str:
    try:
        import torch
    except ImportError as error:
        return f"torch is not installed ({error})"
    if not torch.cuda.is_available():
        built = "built for the CPU only" if torch.version.cuda is None else "finds no NVIDIA GPU or driver"
        return f"torch {torch.__version__} {built}"
    if index >= torch.cuda.device_count():
        return f"torch sees {torch.cuda.device_count()}, counted from 0"
    facts = torch.cuda.get_device_properties(index)
    return {
        "name": facts.name,
        "uuid": str(facts.uuid),
        "l2_bytes": facts.L2_cache_size,
        "memory_bytes": facts.total_memory,
    }


if __name__ == "__main__":
    print(json.dumps(_ask(int(sys.argv[1]))))
