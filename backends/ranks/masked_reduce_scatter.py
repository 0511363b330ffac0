"""Rows that are not here are zeros; each rank gets the sum of its share of them, as serving does."""

from backends.ranks.base import Array, Call, Phase, Place, Way, collective, masked, ring_bytes


class MaskedReduceScatter(Way):
    sharding = "row"
    result = "share"

    @staticmethod
    def summed(rows: Array) -> Array:
        """Rows as what they are summed as."""
        return rows

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        reduce_scatter = collective("reduce_scatter_single", "reduce_scatter_tensor")

        def call(phase: Phase) -> Array:
            phase("lookup")
            rows = masked(part, ids, place.first)
            phase("exchange")
            own = rows.new_empty(place.ids_each, place.dim)
            reduce_scatter(self.summed(own), self.summed(rows), group=place.group)
            return own

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        # Gloo's is an all-reduce of which a share is kept.
        return ring_bytes(place, row_bytes, turns=2 if place.backend == "gloo" else 1)
