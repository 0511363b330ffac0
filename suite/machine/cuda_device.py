"""One GPU as torch sees it: in this process, or asked in a child so that the parent holds no device."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from suite.machine.interpreter import options_of, stated
from suite.records.device import Device

LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """What the suite must know of a GPU before it measures.

    Attributes:
        uuid: as CUDA reports it, without the ``GPU-`` or ``MIG-`` that NVML puts before it.
        l2_bytes: size of the last-level cache.
        memory_bytes: size of the device memory.
    """

    name: str
    uuid: str
    l2_bytes: int
    memory_bytes: int


def cuda_device(device: Device) -> CudaDevice | None:
    """The GPU of this number as torch sees it in this process, without a CUDA context; None for the CPU."""
    if not device.is_gpu:
        return None
    import torch

    properties = torch.cuda.get_device_properties(device.index)
    return CudaDevice(
        name=properties.name,
        uuid=str(properties.uuid),
        l2_bytes=properties.L2_cache_size,
        memory_bytes=properties.total_memory,
    )


def probe(index: int) -> CudaDevice | str:
    """The GPU that torch calls ``cuda:index``, asked in a child process; or the reason, a line, for none."""
    command = [sys.executable, *options_of(sys.executable), "-m", "suite.machine.cuda_device", str(index)]
    try:
        child = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
            env=stated(),
            check=False,
        )
        answer = json.loads(child.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"torch did not answer within {LIMIT_S:g} s"
    except (ValueError, IndexError, OSError):
        return "torch could not be asked"
    return answer if isinstance(answer, str) else CudaDevice(**answer)


def _ask(index: int) -> CudaDevice | str | None:
    try:
        import torch
    except ImportError as error:
        return f"torch is not installed ({error})"
    except Exception as error:
        return f"torch can't be loaded ({error})"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} {_lack(torch.version.cuda, torch.version.hip)}"
    if index >= torch.cuda.device_count():
        return f"torch sees {torch.cuda.device_count()}, counted from 0"
    return cuda_device(Device("cuda", index))


def _lack(cuda: str | None, hip: str | None) -> str:
    """Why a torch built against these versions of CUDA and ROCm has no GPU."""
    if cuda is not None:
        return "finds no NVIDIA GPU or driver"
    return "is built for the CPU only" if hip is None else "finds no AMD GPU or driver"


if __name__ == "__main__":
    print(json.dumps(_ask(int(sys.argv[1])), default=asdict))
