"""PyTorch's DTensor, the table sharded by columns: they are gathered, by torch's own rules."""

from backends.ranks.base import Place, ring_bytes
from backends.ranks.dtensor_row import DTensorRow


class DTensorColumn(DTensorRow):
    sharding = "column"
    cut = 1

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        return ring_bytes(place, row_bytes)
