"""As all_to_all, but each rank asks for a row once, however often it has its id."""

from backends.ranks.base import Array, Call, Phase, Place, Way, as_bytes


class AllToAllDistinct(Way):
    sharding = "row"
    ids = "share"
    result = "share"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch
        from torch.distributed import all_to_all_single

        def call(phase: Phase) -> Array:
            phase("lookup")
            distinct, where = torch.unique(ids, return_inverse=True)  # sorted, so by owner
            counts = torch.bincount(distinct // place.each, minlength=place.ranks)
            phase("exchange")
            asked = torch.empty_like(counts)
            all_to_all_single(asked, counts, group=place.group)
            to, of = counts.tolist(), asked.tolist()
            wanted = ids.new_empty(sum(of))
            all_to_all_single(wanted, distinct, of, to, group=place.group)
            phase("lookup")
            rows = torch.nn.functional.embedding(wanted - place.first, part)
            phase("exchange")
            back = rows.new_empty(len(distinct), place.dim)
            all_to_all_single(as_bytes(back), as_bytes(rows), to, of, group=place.group)
            phase("lookup")
            return torch.nn.functional.embedding(where, back)

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        abroad = (place.ranks - 1) / place.ranks
        return abroad * distinct * (8 + row_bytes) + 8 * (place.ranks - 1)
