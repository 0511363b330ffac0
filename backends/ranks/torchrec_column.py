"""TorchRec's sharded EmbeddingCollection, by columns: all ids go to every rank, its columns come back."""

from typing import Any

from backends.base import Unsupported
from backends.ranks.base import Place
from backends.ranks.torchrec_row import ID_BYTES, TorchRecRow


class TorchRecColumn(TorchRecRow):
    sharding = "column"

    def plan(self, place: Place) -> Any:
        if place.dim % place.ranks:
            raise Unsupported(f"{place.dim} columns do not divide by {place.ranks} ranks")
        from torchrec.distributed.sharding_plan import column_wise

        return column_wise(ranks=list(range(place.ranks)), compute_kernel="fused")

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        others, own = place.ranks - 1, place.ids_each
        return own * others * (2 * ID_BYTES + row_bytes / place.ranks)
