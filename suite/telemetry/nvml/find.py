"""Find the GPU with a name: an index as CUDA counts, a UUID or its beginning, a PCI bus id, a MIG UUID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suite.telemetry.nvml.calls import NOT_FOUND, REASONS, Calls
from suite.telemetry.reading import Reading


@dataclass(frozen=True, slots=True)
class _Device:
    handle: Any
    uuid: str
    name: str | None
    pci_bus_id: str


def find(calls: Calls, which: str, environ: Mapping[str, str]) -> Reading[Any]:
    """The NVML handle of the GPU or MIG instance that ``which`` names.

    An index is CUDA's, in a process with this environment. NVML ignores CUDA_VISIBLE_DEVICES and orders GPUs
    by PCI bus; CUDA by default puts the fastest first and the rest in no specified order. So on a machine
    with different GPUs an index is refused unless CUDA_DEVICE_ORDER=PCI_BUS_ID or the mask names UUIDs; a
    UUID always works.
    """
    if which.isdecimal():
        return _by_index(calls, int(which), environ)
    if ":" in which:
        return calls.ask("nvmlDeviceGetHandleByPciBusId", which)
    if which.startswith("MIG-"):
        return calls.ask("nvmlDeviceGetHandleByUUID", which)
    # torch.cuda.get_device_properties(i).uuid has no prefix, whether of a GPU or an instance.
    uuid = which if which.startswith("GPU-") else f"GPU-{which}"
    for exact in dict.fromkeys((uuid, which if uuid == which else f"MIG-{which}")):
        handle = calls.ask("nvmlDeviceGetHandleByUUID", exact)
        if handle.reason not in (NOT_FOUND, REASONS[2]):
            return handle
    devices = _devices(calls)
    fits = [device.handle for device in devices.value or () if device.uuid.startswith(uuid)]
    if len(fits) == 1:
        return Reading(fits[0])
    return Reading(None, devices.reason or f"{len(fits)} GPUs have a UUID that begins with {uuid}")


def visible(setting: str | None, uuids: Sequence[str]) -> list[str]:
    """The UUIDs that CUDA shows, in its order, if CUDA_VISIBLE_DEVICES is ``setting``.

    CUDA's rules: the list ends before the first entry that is invalid or of another kind than the first; a
    UUID may be cut short if only one GPU matches; an entry given twice hides all GPUs.

    Args:
        setting: None if the variable is not set.
        uuids: every GPU, in CUDA's order.
    """
    if setting is None:
        return list(uuids)
    entries = [entry.strip() for entry in setting.split(",")]
    shown: list[str] = []
    for entry in entries:
        fits = _fits(entry, uuids) if entry[:4].isdecimal() == entries[0][:4].isdecimal() else []
        if len(fits) != 1:
            break
        if fits[0] in shown:
            return []
        shown += fits
    return shown


def _fits(entry: str, uuids: Sequence[str]) -> list[str]:
    if entry.isdecimal():
        return list(uuids[int(entry) : int(entry) + 1])
    if entry.startswith("MIG-"):
        return [entry]
    return [uuid for uuid in uuids if entry.startswith("GPU-") and uuid.startswith(entry)]


def _by_index(calls: Calls, index: int, environ: Mapping[str, str]) -> Reading[Any]:
    devices = _devices(calls)
    if devices.value is None:
        return devices
    setting = environ.get("CUDA_VISIBLE_DEVICES")
    counted = setting is None or setting.strip()[:1].isdecimal()
    if counted and len({device.name for device in devices.value}) > 1:
        order = environ.get("CUDA_DEVICE_ORDER")
        if order != "PCI_BUS_ID":
            return Reading(None, "the GPUs differ, so CUDA may number them differently: name one by its UUID")
    shown = visible(setting, [device.uuid for device in devices.value])
    if index >= len(shown):
        mask = "" if setting is None else f" through CUDA_VISIBLE_DEVICES={setting}"
        return Reading(None, f"no GPU {index}: CUDA sees {len(shown)} of {len(devices.value)}{mask}")
    if shown[index].startswith("MIG-"):
        return calls.ask("nvmlDeviceGetHandleByUUID", shown[index])
    handle = next(device.handle for device in devices.value if device.uuid == shown[index])
    mode = calls.ask("nvmlDeviceGetMigMode", handle)
    if mode.value and mode.value[0]:
        return Reading(None, f"GPU {index} is in MIG mode: name an instance by its MIG- UUID")
    return Reading(handle)


def _devices(calls: Calls) -> Reading[list[_Device]]:
    """Every GPU that NVML can open, by PCI bus; CUDA doesn't see a lost or barred one either."""
    count = calls.ask("nvmlDeviceGetCount")
    if count.value is None:
        return Reading(None, count.reason)
    devices: list[_Device] = []
    barred = "no GPU in this machine"
    for index in range(count.value):
        handle = calls.ask("nvmlDeviceGetHandleByIndex", index)
        if handle.value is None:
            barred = handle.reason or barred
            continue
        uuid = calls.ask("nvmlDeviceGetUUID", handle.value)
        name = calls.ask("nvmlDeviceGetName", handle.value)
        bus = calls.ask("nvmlDeviceGetPciInfo", handle.value).then(lambda info: info.busId)
        # A GPU without a UUID still counts; without a bus id NVML's order stands.
        devices.append(_Device(handle.value, uuid.value or f"unknown {index}", name.value, bus.value or ""))
    if calls.stopped or not devices:
        return Reading(None, calls.stopped or barred)
    return Reading(sorted(devices, key=lambda device: device.pci_bus_id))
