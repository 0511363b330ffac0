"""As all_to_all, but each rank asks for a row once, however often it has its id."""

from backends.ranks.all_to_all import fetched
from backends.ranks.base import Array, Call, Phase, Place, Way


class AllToAllDistinct(Way):
    sharding = "row"
    ids = "share"
    result = "share"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch

        def call(phase: Phase) -> Array:
            phase("lookup")
            distinct, where = torch.unique(ids, return_inverse=True)  # sorted, so in order of owners
            return torch.nn.functional.embedding(where, fetched(part, distinct, place, phase))

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        abroad = (place.ranks - 1) / place.ranks
        return abroad * distinct * (8 + row_bytes) + 8 * (place.ranks - 1)
