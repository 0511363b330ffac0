"""The observer that fits a device."""

from __future__ import annotations

from typing import Any

import pytest

from suite.machine.cuda_device import CudaDevice
from suite.telemetry import nvidia
from suite.telemetry.host import HostObserver
from suite.telemetry.observer import observer_of


def test_the_cpu_has_the_host_observer() -> None:
    assert isinstance(observer_of(None, 1.0), HostObserver)


@pytest.mark.parametrize("uuid", ["a0000000-0000-4000-8000-000000000000", "MIG-1"])
def test_a_gpu_is_opened_by_its_uuid_as_cuda_reports_it(uuid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(which: str, **limits: float) -> Any:
        return which, limits

    monkeypatch.setattr(nvidia.Gpu, "open", opened)
    observer = observer_of(CudaDevice("H100", uuid, 1, 2), 1.5)
    assert isinstance(observer, nvidia.GpuObserver)
    assert observer.gpu == (uuid, {"limit_s": 1.5})
