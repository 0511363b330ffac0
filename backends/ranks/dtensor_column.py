"""PyTorch's DTensor, the table sharded by columns: they are gathered, by torch's own rules."""

from backends.ranks.base import Array, Call, Phase, Place, Way


class DTensorColumn(Way):
    sharding = "column"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch
        from torch.distributed.device_mesh import DeviceMesh
        from torch.distributed.tensor import DTensor, Replicate, Shard

        mesh = DeviceMesh.from_group(place.group, place.device.partition(":")[0])
        shape = torch.Size((place.vocab, place.dim))
        table = DTensor.from_local(
            part, mesh, [Shard(1)], run_check=False, shape=shape, stride=(place.dim, 1)
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
        return (place.ranks - 1) / place.ranks * place.batch * row_bytes
