"""OnnxRuntime Gather, a model of one node, into a given array; on the CPU it checks the ids."""

import os
from typing import Any

from backends.base import Array, Backend, BackendUnavailable, Lookup

INTEGERS = {1: 3, 2: 5, 4: 6, 8: 7}  # ONNX's number of the signed integer of each width


def model(width: int, index_width: int) -> bytes:
    """The ONNX model r = Gather(t, i) for rows and ids of these widths and of any shape."""

    def message(number: int, *parts: bytes) -> bytes:  # Protocol Buffers: number and kind, length, content
        return bytes((number << 3 | 2, sum(map(len, parts)))) + b"".join(parts)

    def value(number: int, name: bytes, width: int) -> bytes:
        return message(number, message(1, name), message(2, message(1, bytes((1 << 3, INTEGERS[width])))))

    node = message(1, message(1, b"t"), message(1, b"i"), message(2, b"r"), message(4, b"Gather"))
    ends = value(11, b"t", width), value(11, b"i", index_width), value(12, b"r", width)
    return bytes((1 << 3, 8)) + message(8, bytes((2 << 3, 13))) + message(7, node, message(2, b"g"), *ends)


class OnnxruntimeGather(Backend):
    devices = ("cpu", "cuda")
    view = "values"  # bound by address, as integers of their width
    packages = ("onnxruntime|onnxruntime-gpu",)
    clock = "host"

    def __init__(self) -> None:
        self.sessions: dict[tuple[Any, ...], Any] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import onnxruntime

        device, number = table.device.type, table.device.index or 0
        provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}[device]
        if provider not in onnxruntime.get_available_providers():
            raise BackendUnavailable("this onnxruntime is built without CUDA; install onnxruntime-gpu")
        key = table.element_size(), indices.element_size(), device, number
        if key not in self.sessions:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = len(os.sched_getaffinity(0))  # else it pins one to each core
            providers = [(provider, {"device_id": number} if device == "cuda" else {})]
            self.sessions[key] = onnxruntime.InferenceSession(model(*key[:2]), options, providers=providers)
        session = self.sessions[key]
        if session.get_providers()[0] != provider:
            raise BackendUnavailable("onnxruntime could not load its CUDA libraries")
        bound = session.io_binding()
        reads, writes = bound.bind_input, bound.bind_output
        for bind, name, array in ((reads, "t", table), (reads, "i", indices), (writes, "r", out)):
            bind(name, device, number, INTEGERS[array.element_size()], tuple(array.shape), array.data_ptr())

        def lookup(_held: Array = (table, indices)) -> Array:  # the binding holds their addresses only
            session.run_with_iobinding(bound)
            return out

        return lookup
