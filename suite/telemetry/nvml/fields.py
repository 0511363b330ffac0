"""Field values of NVML: how long the clocks were held down, by cause, and the memory's temperature."""

from __future__ import annotations

from typing import Any

from suite.telemetry.nvml.calls import Calls, reason_of
from suite.telemetry.reading import Reading

OF_OLD_DRIVER = "driver older than 580.82, which numbers this counter differently"

_MEMORY_TEMPERATURE_FIELD = 82

_THROTTLE_FIELDS = {
    "software_power_cap": 74,
    "sync_boost": 76,
    "software_thermal": 269,
    "hardware_thermal": 270,
    "hardware_power_brake": 271,
}
# Drivers before 580.82 have the last three as 251 to 253 or not at all, and 269 to 271 are settings of power
# smoothing. pynvml's constants follow its own header, not the driver, so they can't decide.
_RENUMBERED = (580, 82)

# nvmlValueType_t: the member of the union that holds the value.
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")


def read_fields(calls: Calls, gpu: Any) -> tuple[dict[str, Reading[int]], Reading[int]]:
    """Throttled nanoseconds by cause since the driver was loaded, and the memory's temperature in °C."""
    driver = calls.ask("nvmlSystemGetDriverVersion")
    numbered = driver.value is not None and _release(driver.value) >= _RENUMBERED
    wanted = [field for field in _THROTTLE_FIELDS.values() if numbered or field < 251]
    answer = calls.ask("nvmlDeviceGetFieldValues", gpu, [_MEMORY_TEMPERATURE_FIELD, *wanted])
    values = {field.fieldId: _value(field) for field in answer.value or ()}
    missing: Reading[int] = Reading(None, answer.reason or driver.reason or OF_OLD_DRIVER)
    throttled = {cause: values.get(field, missing) for cause, field in _THROTTLE_FIELDS.items()}
    return throttled, values.get(_MEMORY_TEMPERATURE_FIELD, missing)


def _release(driver_version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in driver_version.split(".")[:2] if part.isdecimal())


def _value(field: Any) -> Reading[int]:
    # The call can succeed although a field in it failed.
    if field.nvmlReturn:
        return Reading(None, reason_of(field.nvmlReturn))
    if field.valueType >= len(_MEMBERS):
        return Reading(None, f"value of unknown type {field.valueType}")
    return Reading(int(getattr(field.value, _MEMBERS[field.valueType])))
