"""PyTorch's DTensor, the table sharded by rows: masked, then summed, by torch's own rules."""

from typing import ClassVar, Literal

from backends.ranks.base import Array, Call, Phase, Place, Way, ring_bytes


class DTensorRow(Way):
    sharding: ClassVar[Literal["row", "column"]] = "row"
    cut = 0  # the dimension that is sharded

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch
        from torch.distributed.device_mesh import DeviceMesh
        from torch.distributed.tensor import DTensor, Replicate, Shard

        mesh = DeviceMesh.from_group(place.group, place.device.partition(":")[0])
        shape = torch.Size((place.vocab, place.dim))
        table = DTensor.from_local(
            part, mesh, [Shard(self.cut)], run_check=False, shape=shape, stride=(place.dim, 1)
        )
        everywhere = DTensor.from_local(ids, mesh, [Replicate()], run_check=False)

        def call(phase: Phase) -> Array:
            phase("lookup")
            rows: Array = torch.nn.functional.embedding(everywhere, table)
            phase("exchange")
            return rows.redistribute(mesh, [Replicate()]).to_local()

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        return ring_bytes(place, row_bytes, turns=2)
