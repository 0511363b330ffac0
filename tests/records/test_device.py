"""A device and its text."""

from __future__ import annotations

import pytest

from suite.records.device import CPU, Device


@pytest.mark.parametrize("text", ["cpu", "cuda:0", "cuda:17"])
def test_a_text_names_a_device_and_a_device_its_text(text: str) -> None:
    device = Device.of(text)
    assert str(device) == text
    assert device.is_gpu == (text != "cpu") and device.kind in ("cpu", "cuda")
    assert Device.of(text) == device


def test_the_cpu_has_no_number_and_a_gpu_has_one() -> None:
    assert Device.of("cpu") is CPU and CPU.index is None
    assert Device.of("cuda:3") == Device("cuda", 3)
    for kind, index in (("cpu", 0), ("cuda", None)):
        with pytest.raises(ValueError, match="a GPU has a number"):
            Device(kind, index)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "cuda", "cuda:", "cuda:-1", "cuda:01", "cuda:0 ", "CPU", "gpu:0", "cuda:99999"]
)
def test_what_names_no_device_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match="give cpu or cuda:N"):
        Device.of(text)
