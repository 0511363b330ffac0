"""Each rank looks up its columns of all rows; all are gathered by everybody and laid side by side."""

from backends.base import Unsupported
from backends.ranks.base import Array, Call, Phase, Place, Way, as_bytes, collective, ring_bytes


class ColumnAllGather(Way):
    sharding = "column"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch

        if place.each * place.ranks != place.dim:
            raise Unsupported(f"{place.dim} columns do not divide by {place.ranks} ranks")

        all_gather = collective("all_gather_single", "all_gather_into_tensor")

        def call(phase: Phase) -> Array:
            phase("lookup")
            rows = torch.nn.functional.embedding(ids, part)
            phase("exchange")
            gathered = rows.new_empty(place.ranks * place.batch, place.each)
            all_gather(as_bytes(gathered), as_bytes(rows), group=place.group)
            phase("lookup")
            beside = gathered.view(place.ranks, place.batch, place.each).transpose(0, 1)
            return beside.reshape(place.batch, place.dim)

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        return ring_bytes(place, row_bytes)
