"""Presets: the sweeps measured by default, and the published token tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from suite.cases.case import CACHES, PLACES, Case, Sweep
from suite.cases.dtypes import DTYPE_BYTES


def _placed(*sweeps: Sweep) -> tuple[Sweep, ...]:
    """Each in every placement, cold; in a file with its pages in the page cache too."""
    cold = (replace(sweep, placement=PLACES) for sweep in sweeps)
    cached = (replace(sweep, placement=("file",), cache=("hot",)) for sweep in sweeps)
    return (*cold, *cached)


_DLRM = (
    *((40_000_000, 3), (39_060, 2), (17_295, 1), (7424, 2), (20_265, 6), (3, 1), (7122, 1), (1543, 1)),
    *((63, 1), (40_000_000, 7), (3_067_956, 3), (405_282, 8), (10, 1), (2209, 6), (11_938, 9), (155, 5)),
    *((4, 1), (976, 1), (14, 1), (40_000_000, 12), (40_000_000, 100), (40_000_000, 27), (590_152, 10)),
    *((12_973, 3), (108, 1), (36, 1)),
)
"""Rows and ids a bag of the 26 tables of DLRM-DCNv2, as MLCommons trains it on Criteo's data made multi-hot:
``num_embeddings_per_feature`` and ``multi_hot_sizes`` of its reference."""


def _bags(vocab: int, batch: int, *variants: str, dtypes: tuple[str, ...] = ("float32",), ids: str) -> Sweep:
    return Sweep(
        *((vocab,), (128,), dtypes, (batch,)),
        distribution=(ids,),
        operation=("bag",),
        variant=variants,
    )


PRESETS: dict[str, tuple[Sweep, ...]] = {
    "smoke": (
        Sweep((1000,), (7, 64), ("float32", "bfloat16"), (1, 17)),
        Sweep((50257,), (768,), ("float32",), (512,), cache=("cold", "hot")),
    ),
    "default": (
        # A language model's token table: one decode step, a batch of them, a prompt, many prompts.
        Sweep((128256,), (4096,), ("bfloat16",), (1, 16, 17, 512, 8192)),
        Sweep((128256,), (4096,), ("bfloat16",), (8192,), distribution=("text",)),
        # A small model and a recommender's table: short rows, where latency rules.
        Sweep((50257,), (768,), ("float32",), (17, 512, 8192), cache=("cold", "hot")),
        Sweep((1_000_000,), (64,), ("float32",), (512, 8192, 65536), distribution=("uniform", "zipf")),
        Sweep((1_000_000,), (64,), ("float32",), (65536,), ("int32",)),
        # Rows that are no multiple of a vector; one-byte elements.
        Sweep((100_000,), (129,), ("float16",), (8192,)),
        Sweep((262144,), (1024,), ("float8_e4m3fn", "int8"), (8192,)),
    ),
    "full": (
        Sweep(
            (32000, 128256, 1_000_000),
            (16, 64, 128, 768, 4096, 8192),
            ("float32", "bfloat16", "int8"),
            (1, 16, 17, 512, 8192, 65536),
            distribution=("uniform", "text"),
            cache=CACHES,
        ),
        Sweep((32000,), (1, 7, 100, 129, 1601), tuple(DTYPE_BYTES), (1, 16, 17, 4096), ("int32", "int64")),
        Sweep((128256,), (64, 1024), ("bfloat16",), (8192,), distribution=("zipf", "text-shuffled", "equal")),
    ),
    # Where libraries change kernels, lose their vectors or run out of 31 bits.
    "cliffs": (
        Sweep((128256,), (4096,), ("bfloat16",), (15, 16, 17, 18)),
        # Rows of 2 bytes to 3 KB that no vector divides, and two that it does.
        Sweep((50257,), (1, 7, 128, 129, 1600, 1601), ("bfloat16",), (16, 17, 8192)),
        # Rows of 16 to 512 bytes.
        Sweep((1_000_000,), (4, 8, 16, 32, 64, 128), ("float32",), (8192,)),
        # The same rows for other ids, and from a table off its alignment.
        Sweep(
            *((1_000_000,), (64,), ("float32",), (8192,), ("int32", "int64")),
            distribution=("uniform", "sorted", "equal"),
        ),
        Sweep((1_000_000,), (64,), ("float32",), (17, 8192), offset=(0, 4, 8, 16)),
        Sweep((262144,), (1024,), ("int8",), (8192,), offset=(0, 1, 2)),
        # Just below and above 2^31 elements; 2 GiB of output, which no cache holds, so that hot is as good.
        Sweep((262_143, 262_145), (8192,), ("int8",), (512,), ("int32", "int64")),
        Sweep((262_145,), (8192,), ("int8",), (262_143, 262_145), cache=("hot",)),
    ),
    # Tables larger than a device, or nearly: see SCALED for how they are fitted to the memory there is.
    # DeepSeek-V4.1-Flash's Engram table of layer 1, without the scales of its rows: 1, 16, 256, 4,096 tokens.
    "engram": _placed(
        Sweep(
            *((384_006_168,), (256,), ("float8_e4m3fn",), (24, 384, 6144, 98_304)),
            distribution=("ngram",),
        ),
    ),
    # Embeddings of each layer by token: Gemma-4 E4B's rows are long, those of Qwen3.8-Flash-Next short.
    "ple": _placed(
        Sweep((262_144,), (10_752,), ("bfloat16",), (1, 16, 512, 4096), distribution=("text",)),
        Sweep(
            *((320_001_536,), (160,), ("float8_e4m3fn",), (16, 256, 4096, 65_536)),
            distribution=("ngram-3",),
        ),
    ),
    # One size of table in rows of 256 B, 1 KB and 16 KB, wherever it may lie.
    "placements": _placed(
        *(
            Sweep(
                *((6_400_000_000 // (4 * dim),), (dim,), ("float32",), (16, 256, 4096, 65_536)),
                distribution=("uniform", "ngram", "ngram-shuffled"),
            )
            for dim in (64, 256, 4096)
        )
    ),
    "training": (
        # The item table of MLPerf Training's dlrmv4 (HSTU on Yambda-5b), whose optimiser is row-wise Adagrad;
        # ids repeat as items of a catalogue do.
        Sweep(
            *((9_390_000,), (512,), ("float32",), (4096, 65_536)),
            distribution=("zipf",),
            operation=("gradient", "update"),
        ),
        # Llama 3 8B's token table, whose gradient is dense as people train it, and 8,192 tokens of text.
        Sweep(
            *((128256,), (4096,), ("bfloat16",), (8192,)),
            distribution=("text",),
            operation=("gradient", "update"),
        ),
    ),
    "bags": (
        # One device's share of 65,536 samples over eight; ids uniform, as the reference makes them.
        *(_bags(rows, 8192, f"sum-{hotness}", ids="uniform") for rows, hotness in _DLRM),
        # One table of FBGEMM's own benchmark at its defaults, and other kinds of bags of as many ids.
        _bags(100_000, 512, "sum-20", dtypes=("float32", "float16", "bfloat16"), ids="uniform"),
        _bags(100_000, 512, "weighted-20", "mean-16", "ragged-20", ids="uniform"),
        _bags(100_000, 512, "sum-20", ids="meta-2022"),
    ),
    # Rows stored quantised. DeepSeek-V4.1-Flash's Engram table as it is published: fp8 with a byte of scale
    # for each 32, looked up as bfloat16. GPT-2's and Llama 3's token tables, published as floats, in 8 and 4
    # bits, as FBGEMM, PyTorch and ONNX Runtime store them.
    "quantised": (
        Sweep(
            *((384_006_168,), (256,), ("bfloat16",), (24, 384, 6144, 98_304)),
            distribution=("ngram", "uniform"),
            operation=("dequantised",),
            variant=("fp8-apart",),
        ),
        *(
            Sweep(
                *((vocab,), (dim,), (dtype,), (16, 512, 8192)),
                distribution=("uniform", "text"),
                operation=("dequantised",),
                variant=("int8-end", "int8-start", "int8-apart", "int4-start", "int4-apart"),
            )
            for vocab, dim, dtype in ((50257, 768, "float32"), (128256, 4096, "float16"))
        ),
    ),
}
SCALED = ("engram", "ple", "placements", "bags", "quantised", "training")
"""Presets whose tables have rows left out where they would fill more of the memory than MOST_OF_MEMORY."""
MOST_OF_MEMORY = 0.4
FEW = 5

_BF16 = {
    "llama-2-7b": (32000, 4096),
    "llama-3-8b": (128256, 4096),
    "llama-3-70b": (128256, 8192),
    "llama-3.1-405b": (128256, 16384),
    "llama-4": (202048, 5120),
    "mistral-7b": (32000, 4096),
    "mistral-nemo": (131072, 5120),
    "mixtral-8x22b": (32768, 6144),
    "qwen2.5-7b": (152064, 3584),
    "qwen2.5-72b": (152064, 8192),
    "qwen3-0.6b": (151936, 1024),
    "qwen3-4b": (151936, 2560),
    "qwen3-8b": (151936, 4096),
    "qwen3-32b": (151936, 5120),
    "gemma-2-9b": (256000, 3584),
    "gemma-3-27b": (262208, 5376),
    "gemma-4-per-layer": (262144, 8960),
    "deepseek-v3": (129280, 7168),
    "kimi-k2": (163840, 7168),
    "gpt-oss": (201088, 2880),
    "phi-4": (100352, 5120),
    "minimax-m2": (200064, 3072),
    "qwen3.8-27b": (248320, 5120),
    "gemma-4-e4b-ple": (262144, 10752),
}
_F32 = {
    "gpt2": (50257, 768),
    "gpt2-xl": (50257, 1600),
    "bert-base": (30522, 768),
    "t5-small": (32128, 512),
    "dlrm-mlperf": (40_000_000, 128),
    "dlrm-v4-item": (9_390_000, 512),
    "umt5-xxl": (256384, 4096),
}
_NGRAMS = {
    "engram-dsv4.1": ("ngram", 24, (384_006_168, 256)),
    "ple-qwen3.8-flash-next": ("ngram-3", 16, (320_001_536, 160)),
}
"""Tables of n-grams: distribution, ids a token, shape."""
MODELS: dict[str, tuple[int, int, str]] = {
    **{name: (*shape, "float32") for name, shape in _F32.items()},
    **{name: (*shape, "bfloat16") for name, shape in _BF16.items()},
    **{name: (*shape, "float8_e4m3fn") for name, (_, _, shape) in _NGRAMS.items()},
}
"""Published token tables: (vocab, dim, dtype)."""


def model_sweep(name: str) -> Sweep:
    """The sweep of one published table at decode and prefill batches, of so many tokens."""
    vocab, dim, dtype = MODELS[name]
    distribution, ids, _ = _NGRAMS.get(name, ("uniform", 1, None))
    batches = tuple(tokens * ids for tokens in (1, 16, 17, 512, 8192))
    return Sweep((vocab,), (dim,), (dtype,), batches, distribution=(distribution,))


def scaled(sweeps: Iterable[Sweep], memory_bytes: int) -> tuple[Sweep, ...]:
    """The same, each table with its rows halved until it fills no more than its share of the memory.

    Fewer rows behave alike while they are far more than the caches and page tables reach.
    """

    def fitting(sweep: Sweep) -> Sweep:
        vocab, most = sweep.vocab, MOST_OF_MEMORY * memory_bytes
        while max(map(filled_bytes, replace(sweep, vocab=vocab))) > most and min(vocab) > 1:
            vocab = tuple(-(-rows // 2) for rows in vocab)
        return replace(sweep, vocab=vocab)

    return tuple(map(fitting, sweeps))


def filled_bytes(case: Case) -> int:
    """What a case takes for its table; where there is none, for the few gradients as large that rotate."""
    return case.table_bytes if case.kind.has_table else FEW * case.rows_bytes


def scaling(published: Iterable[Sweep], fitted: Iterable[Sweep]) -> str | None:
    """What ``scaled`` did, in words; None if it left all rows."""
    pairs = zip(published, fitted, strict=True)
    changes = (
        f"{a}x{dim} to {b} rows"
        for sweep, other in pairs
        for dim in sweep.dim
        for a, b in zip(sweep.vocab, other.vocab, strict=True)
        if a != b
    )
    return "; ".join(dict.fromkeys(changes)) or None


def models_of(case: Case) -> tuple[str, ...]:
    """The models whose published table a case's is."""
    return tuple(name for name, table in MODELS.items() if table == (case.vocab, case.dim, case.dtype))
