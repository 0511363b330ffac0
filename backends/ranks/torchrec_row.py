"""TorchRec's sharded EmbeddingCollection, by rows: ids go to the ranks that hold them, rows come back."""

from typing import Any, ClassVar, Literal

from backends.base import Unsupported
from backends.ranks.base import Array, Call, Phase, Place, Way

ID_BYTES = 8


class TorchRecRow(Way):
    sharding: ClassVar[Literal["row", "column"]] = "row"
    ids = "share"
    result = "share"
    packages = ("torchrec", "fbgemm-gpu-cpu|fbgemm-gpu")

    def plan(self, place: Place) -> Any:
        """TorchRec's word for how the table is cut."""
        from torchrec.distributed.sharding_plan import row_wise

        return row_wise(compute_kernel="fused")

    def prepare(self, part: Array, ids: Array, place: Place) -> Call:
        import torch
        from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
        from torchrec.distributed.embedding import EmbeddingCollectionSharder
        from torchrec.distributed.sharding_plan import construct_module_sharding_plan
        from torchrec.distributed.types import ShardingEnv

        if part.dtype != torch.float32:
            raise Unsupported(f"its sequences are float32, not {part.dtype}")
        kind = place.device.partition(":")[0]
        table = EmbeddingConfig(place.vocab, place.dim, name="table", feature_names=["ids"])
        whole = EmbeddingCollection([table], torch.device("meta"))
        plan = construct_module_sharding_plan(
            whole, {"table": self.plan(place)}, None, place.ranks, place.ranks, kind
        )
        env, device = ShardingEnv.from_process_group(place.group), torch.device(place.device)
        module = EmbeddingCollectionSharder().shard(whole, plan, env, device)
        for lookup in module._lookups:
            for inner in lookup._emb_modules:
                tables = inner.emb_module
                weights = tables.weights_host if kind == "cpu" else tables.weights_dev
                weights.data = part.view(-1)  # no copy: the part itself is looked up
        features = KeyedJaggedTensor(["ids"], ids, lengths=torch.ones_like(ids))

        @torch.no_grad()
        def call(phase: Phase) -> Array:
            context = module.create_context()
            phase("exchange")
            there = module.input_dist(context, features).wait().wait()
            phase("lookup")
            rows = module.compute(context, there)
            phase("exchange")
            return module.output_dist(context, rows)["ids"].values()

        return call

    @staticmethod
    def wire_bytes(place: Place, row_bytes: int, distinct: int) -> float:
        others, own = place.ranks - 1, place.ids_each
        return own * others * (ID_BYTES + (ID_BYTES + row_bytes) / place.ranks)  # a length for every rank
