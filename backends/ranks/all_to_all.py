"""Each rank sends its ids to the ranks that hold their rows, and gets the rows back, as recommenders do."""

from backends.ranks.base import Array, Call, Phase, Place, Way, as_bytes


def fetched(part: Array, ids: Array, place: Place, phase: Phase) -> Array:
    """(n, dim): the rows of ids that are in order of the ranks that hold them."""
    import torch
    from torch.distributed import all_to_all_single

    counts = torch.bincount(ids // place.each, minlength=place.ranks)
    phase("exchange")
    asked = torch.empty_like(counts)
    all_to_all_single(asked, counts, group=place.group)
    to, of = counts.tolist(), asked.tolist()
    wanted = ids.new_empty(sum(of))
    all_to_all_single(wanted, ids, of, to, group=place.group)
    phase("lookup")
    rows = torch.nn.functional.embedding(wanted - place.first, part)
    phase("exchange")
    back = rows.new_empty(len(ids), place.dim)
    all_to_all_single(as_bytes(back), as_bytes(rows), to, of, group=place.group)
    phase("lookup")
    return back


class AllToAll(Way):
    sharding = "row"
    ids = "share"
    result = "share"

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch

        def call(phase: Phase) -> Array:
            phase("lookup")
            order = torch.argsort(ids // place.each, stable=True)
            back = fetched(part, ids[order], place, phase)
            result = torch.empty_like(back)
            result[order] = back
            return result

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        abroad = (place.ranks - 1) / place.ranks
        return abroad * place.ids_each * (8 + row_bytes) + 8 * (place.ranks - 1)
