"""Files of results: CSV, Parquet, formats of other tools; the same results give the same bytes."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from suite.analysis.outcomes import Results
from suite.command import BadRequest
from suite.report import export
from suite.text import csv_cell, plain

if TYPE_CHECKING:
    import pandas as pd


Location = str | os.PathLike[str]

STDOUT = "-"


def csv(results: Results, path: Location, instead: str = "give another file") -> None:
    """Write one row a record; floats to seven digits, no cell that a spreadsheet reads as a formula.

    Args:
        instead: what to do where it can't be written.

    Raises:
        BadRequest: it can't be written.
    """
    text = _table(results, csv_cell).to_csv(index=False, lineterminator="\n", float_format="%.7g")
    write(path, text, instead)


def parquet(results: Results, path: Location) -> None:
    """Write the columns of the CSV with their types, floats in full.

    Raises:
        BadRequest: pyarrow is missing, or it can't be written.
    """
    check_parquet()
    table = _table(results, plain)
    table.attrs = {}
    write(path, table.to_parquet(None, engine="pyarrow", index=False))


def check_parquet() -> None:
    """Raise BadRequest where Parquet can't be written."""
    if importlib.util.find_spec("pyarrow") is None:
        raise BadRequest("--parquet: pyarrow is not installed; pip install -e '.[parquet]', or give --csv")


def exported(results: Results, format_name: str, path: Location) -> None:
    """Write the results in one of ``export.FORMATS``.

    Args:
        path: the file; for asv the folder, in which files of the same name are overwritten.

    Raises:
        BadRequest: there is nothing to export, or it can't be written.
    """
    if format_name == "asv" and os.fspath(path) == STDOUT:
        raise BadRequest("--export asv=-: asv keeps a folder of files; give the name of one")
    for name, text in export.texts(results, format_name).items():
        file = Path(path, name)
        if name:
            with _written(file):
                file.parent.mkdir(parents=True, exist_ok=True)
        write(file, text)


def write(path: Location, data: str | bytes, instead: str = "give another file") -> None:
    """Write text, as UTF-8, or bytes to a file; ``-`` is standard output.

    Raises:
        BadRequest: it can't be written.
    """
    data = data.encode("utf-8") if isinstance(data, str) else data
    if os.fspath(path) == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    with _written(path, instead):
        Path(path).write_bytes(data)


@contextlib.contextmanager
def _written(path: Location, instead: str = "give another file") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise BadRequest(f"{os.fspath(path)}: can't be written ({why}); {instead}") from None


def _table(results: Results, cell: Callable[[str], str]) -> pd.DataFrame:
    """The frame, with every text made safe."""
    import pandas as pd

    from suite.analysis import fields, frame

    table = frame.frame(results)
    for name, kind in fields.COLUMNS.items():
        if kind == "string":
            safe = {text: cell(text) for text in table[name].dropna().unique()}
            table[name] = pd.Series([safe.get(text) for text in table[name]], dtype=table[name].dtype)
    return table
