"""Files that hold no ids."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from suite.cases import ids
from tests.support.commands import SMALL, nothing_left, refused

pytestmark = pytest.mark.usefixtures("elsewhere")


def npy_header(shape: str) -> bytes:
    """The start of an .npy file that promises more than it holds."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 16


IDS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("ids.txt", b"", "empty"),
    "only spaces": ("ids.txt", b" \n\t ", "empty"),
    "words": ("ids.txt", b"one two", "not ids"),
    "floats": ("ids.txt", b"1.5 2", "not ids"),
    "scientific": ("ids.txt", b"1e3", "not ids"),
    "commas": ("ids.txt", b"1,2,3", "not ids"),
    "binary": ("ids.txt", bytes(range(256)), "not ids"),
    "utf-16": ("ids.txt", "1 2".encode("utf-16"), "not ids"),
    "very long number": ("ids.txt", b"9" * 5000, "not ids"),
    "a word without an end": ("ids.txt", b"1 " + b"9" * 2**21, "not ids"),
    "over 64 bits": ("ids.txt", b"9" * 30, "not ids"),
    "out of range": ("ids.txt", b"0 99 100", "reach from 0 to 100, the table has rows 0 to 99"),
    "negative": ("ids.txt", b"-1 3", "reach from -1"),
    "not an npy": ("ids.npy", b"1 2 3", "not ids"),
    "half a header": ("ids.npy", b"\x93NUMPY\x01\x00", "not ids"),
    "empty npy": ("ids.npy", b"", "not ids"),
    "less than promised": ("ids.npy", npy_header("(1000,)"), "not ids"),
    "much less than promised": ("ids.npy", npy_header("(1000000000000000,)"), "not ids"),
    "code in the header": ("ids.npy", npy_header("(__import__('os').getpid(),)"), "not ids"),
}


def saved(path: Path, values: object, **more: bool) -> str:
    with path.open("wb") as file:
        np.save(file, values, **more)  # type: ignore[arg-type]
    return str(path)


@pytest.mark.parametrize("which", IDS)
def test_a_file_that_holds_no_ids_is_refused(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    name, content, says = IDS[which]
    path = tmp_path / name
    path.write_bytes(content)
    said = refused(capsys, [*SMALL, "--indices", str(path)])
    assert says in said
    assert said.startswith(str(path))
    assert nothing_left(elsewhere)


class Bomb:
    """A pickle that would leave a mark if it were loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_arrays_that_hold_no_ids_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    pickled = np.empty(1, object)
    pickled[0] = Bomb()
    arrays = {
        "floats": (np.arange(3.0), "not integers"),
        "bools": (np.array([True]), "not integers"),
        "words": (np.array(["1"]), "not integers"),
        "fields": (np.zeros(2, [("id", "i4")]), "not integers"),
        "none": (np.zeros(0, np.int64), "empty"),
        "too large": (np.array([2**63], np.uint64), "do not fit 64 bits"),
        "pickle": (pickled, "not ids"),
    }
    for name, (values, says) in arrays.items():
        path = saved(tmp_path / f"{name}.npy", values, allow_pickle=True)
        assert says in refused(capsys, [*SMALL, "--indices", path]), name
    archive = tmp_path / "archive.npy"
    with archive.open("wb") as file:
        np.savez(file, a=np.arange(3))
    assert "not integers" in refused(capsys, [*SMALL, "--indices", str(archive)])
    assert nothing_left(elsewhere), "the pickle was not loaded"


def test_more_ids_than_are_held_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    path = tmp_path / "ids.npy"
    np.lib.format.open_memmap(path, "w+", np.int8, (ids.MAX_IDS + 1,))
    assert "more than 134,217,728 ids; give a part of it" in refused(capsys, [*SMALL, "--indices", str(path)])
    assert nothing_left(elsewhere)


@pytest.mark.parametrize("block", [1, 2, 7, 2**20])
def test_text_is_read_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ids, "_BLOCK", block)
    monkeypatch.setattr(ids, "MAX_IDS", 300)
    path, numbers = tmp_path / "ids.txt", [*range(0, 30000, 100)]
    for between in (" ", "\n", " \r\n\t "):
        for end in ("", between):
            path.write_text(between.join(map(str, numbers)) + end)
            assert ids.read_file(str(path)).tolist() == numbers
    path.write_text(f"{path.read_text()} 5")
    with pytest.raises(ValueError, match="more than 300 ids"):
        ids.read_file(str(path))


def test_paths_that_are_no_file_of_ids_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(ids.MAX_FILE_BYTES + 1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    paths = {
        str(tmp_path / "missing"): "No such file",
        str(tmp_path / "ids.npy" / "deeper"): "No such file",
        str(huge / "deeper"): "Not a directory",
        str(huge): "larger than 2 GiB",
        str(tmp_path): "not a regular file",
        str(pipe): "not a regular file",
        "/dev/zero": "not a regular file",
        "a" * 5000: "File name too long",
    }
    for path, says in paths.items():
        assert says in refused(capsys, [*SMALL, "--indices", path])
    assert nothing_left(elsewhere)


def test_ids_must_fit_every_table_of_the_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("5 150")
    argv = ["--vocab", "200,100", "--dim", "8", "--indices", str(path), "--backend", "numpy_take"]
    assert "rows 0 to 99" in refused(capsys, argv)


@pytest.mark.parametrize(
    "header",
    [b"{'descr': '<i8'", b"{'descr' '<i8'}", b"{'descr': '", b"{\x00}", b"(" * 120, b"{'descr': 3}", b"1"],
)
def test_an_npy_whose_header_is_broken_is_refused(tmp_path: Path, header: bytes) -> None:
    """NumPy reads it as Python, and raises what Python's parser does."""
    path = tmp_path / "ids.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n")
    with pytest.raises(ValueError, match="not ids; give whole numbers") as refusal:
        ids.read_file(str(path))
    assert "\n" not in str(refusal.value)
