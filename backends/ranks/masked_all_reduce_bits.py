"""The sum over ranks of rows seen as integers, zeros where a rank has none: no bit is lost."""

from backends.ranks.base import Array, Call, Phase, Place, Way, as_sums, masked


class MaskedAllReduceBits(Way):
    sharding = "row"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        from torch.distributed import all_reduce

        def call(phase: Phase) -> Array:
            phase("lookup")
            rows = masked(part, ids, place.first)
            phase("exchange")
            all_reduce(as_sums(rows), group=place.group)
            return rows

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        return 2 * (place.ranks - 1) / place.ranks * place.batch * row_bytes
