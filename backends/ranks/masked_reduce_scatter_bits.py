"""Each rank gets the sum of its share of rows seen as integers, zeros where it has none: no bit is lost."""

from backends.ranks.base import Array, Call, Phase, Place, Way, as_sums, collective, masked


class MaskedReduceScatterBits(Way):
    sharding = "row"
    result = "share"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        reduce_scatter = collective("reduce_scatter_single", "reduce_scatter_tensor")

        def call(phase: Phase) -> Array:
            phase("lookup")
            rows = masked(part, ids, place.first)
            phase("exchange")
            own = rows.new_empty(place.ids_each, place.dim)
            reduce_scatter(as_sums(own), as_sums(rows), group=place.group)
            return own

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        times = 2 if place.backend == "gloo" else 1  # Gloo's is an all-reduce of which a share is kept
        return times * (place.ranks - 1) / place.ranks * place.batch * row_bytes
