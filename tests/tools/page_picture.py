"""The picture of README's page: what a browser shows first of the newest published run's page."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.browser import Browser

PICTURE = "results/page.png"
WIDTH, HEIGHT = 1280, 700
COLOURS = 256
MOST_BYTES = 120_000
RUN = "run"
"""The text in it that names the run whose page it shows."""


def picture(page: Path) -> bytes:
    """A page as PNG, as a browser shows it first; it names the folder of its run."""
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder))
        try:
            browser.open(page.resolve().as_uri(), width=WIDTH, height=HEIGHT)
            seen = Image.open(io.BytesIO(browser.picture()))
        finally:
            browser.close()
    about, file = PngInfo(), io.BytesIO()
    about.add_text(RUN, page.parent.name)
    few = seen.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(file, format="PNG", optimize=True, pnginfo=about)
    return file.getvalue()


def run_of(file: Path) -> str | None:
    """The run whose page a picture shows; null where there is none."""
    if not file.is_file():
        return None
    with Image.open(file) as kept:
        found = kept.info.get(RUN)
    return found if isinstance(found, str) else None
