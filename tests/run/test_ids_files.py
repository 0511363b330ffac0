"""Files that hold no ids."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.cases import formats, ids
from suite.run.inputs import with_ids
from suite.run.options import parse
from tests.support.commands import SMALL, nothing_left, refused

pytestmark = pytest.mark.usefixtures("elsewhere")


def npy_header(shape: str) -> bytes:
    """The start of an .npy file that promises more than it holds."""
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 16


NO_NUMBER = "is no whole number; give ids with spaces, commas or lines between"
IDS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("ids.txt", b"", ": empty"),
    "only spaces": ("ids.txt", b" \n\t ", ": empty"),
    "only a heading": ("ids.txt", b"id\n", ": empty"),
    "only a comment": ("ids.txt", b"\xef\xbb\xbf# 1 2", ": empty"),
    "words": ("ids.txt", b"one two", f":1: 'one' {NO_NUMBER}"),
    "two columns": ("ids.csv", b"user,id\n1,7", f":1: 'user' {NO_NUMBER}"),
    "a column of row numbers": ("ids.csv", b",id\n0,7", f":1: 'id' {NO_NUMBER}"),
    "no value": ("ids.csv", b"NaN\n1", f":1: 'NaN' {NO_NUMBER}"),
    "a gap": ("ids.csv", b"id\n1\n\nnull", f":4: 'null' {NO_NUMBER}"),
    "two headings": ("ids.csv", b"id\nid\n1", f":2: 'id' {NO_NUMBER}"),
    "one word of many": (
        "ids.txt",
        b"1 2\n" * 300_000 + b"3 oops\n4" + b"\n5" * 9,
        ":300001: 'oops' is no",
    ),
    "an underscore": ("ids.txt", b"1_0 2_0", f":1: '1_0' {NO_NUMBER}"),
    "other digits": ("ids.txt", "1 ٣".encode(), f":1: '٣' {NO_NUMBER}"),
    "a sign between": ("ids.txt", b"1-2", f":1: '1-2' {NO_NUMBER}"),
    "printed by numpy": ("ids.txt", b"[0 1\n ... 8 9]", f":2: '...' {NO_NUMBER}"),
    "floats": ("ids.txt", b"2\n1.5", f":2: '1.5' {NO_NUMBER}"),
    "small floats": ("ids.txt", b"1e-3", f":1: '1e-3' {NO_NUMBER}"),
    "large floats": (
        "ids.txt",
        b"9007199254740994.0",
        "'9007199254740994.0' is too large for a number with a",
    ),
    "infinite": ("ids.txt", b"1e999", "'1e999' "),
    "binary": ("ids.txt", bytes(range(256)), "binary; give text"),
    "numbers in binary": ("ids.bin", np.arange(9).tobytes(), "binary; give text"),
    "utf-16": ("ids.txt", "1 2".encode("utf-16"), "UTF-16; give text in UTF-8"),
    "utf-16 without a mark": ("ids.txt", "1 2".encode("utf-16-le"), "binary; give text"),
    "compressed": ("ids.txt.gz", b"\x1f\x8b\x08\x00", "compressed; give text"),
    "very long number": ("ids.txt", b"9" * 5000, ":1: '" + "9" * 39 + "…' is no whole number"),
    "a word without an end": ("ids.txt", b"1\n" + b"9" * 2**21, ":2: '9999"),
    "over 64 bits": (
        "ids.txt",
        b"0\n99999999999999999999",
        ":2: '99999999999999999999' does not fit 64 bits",
    ),
    "just over 64 bits": ("ids.txt", b"9223372036854775808", "does not fit 64 bits"),
    "just below 64 bits": ("ids.txt", b"-9223372036854775809", "does not fit 64 bits"),
    "the least of 64 bits": ("ids.txt", b"-9223372036854775808", "reach from -9223372036854775808"),
    "out of range": ("ids.txt", b"0 99 100", "reach from 0 to 100, the table has rows 0 to 99"),
    "negative": ("ids.txt", b"-1 3", "reach from -1"),
    "not an npy": ("ids.npy", b"1 2 3", "no array of numbers"),
    "half a header": ("ids.npy", b"\x93NUMPY\x01\x00", "no array of numbers"),
    "empty npy": ("ids.NPY", b"", "no array of numbers"),
    "less than promised": ("ids.npy", npy_header("(1000,)"), "half of one; write it with numpy.save"),
    "much less than promised": ("ids.npy", npy_header("(1000000000000000,)"), ""),
    "code in the header": ("ids.npy", npy_header("(__import__('os').getpid(),)"), "no array of numbers"),
    "an npy by another name": ("ids.dat", npy_header("(2,)"), "does not end in .npy"),
    "not an npz": ("ids.npz", b"1 2 3", "no archive"),
    "half an npz": ("ids.npz", b"PK\x03\x04" + bytes(40), "no archive"),
    "of torch.save": ("ids.pt", b"PK\x03\x04", "can run code; numpy.save('ids.npy', indices.numpy()) writes"),
    "a pickle": ("ids.PKL", b"\x80\x04", "can run code"),
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
        "floats": (np.arange(3.0), "holds float64, not integers"),
        "bools": (np.array([True]), "not integers"),
        "words": (np.array(["1"]), "not integers"),
        "fields": (np.zeros(2, [("id", "i4")]), "not integers"),
        "none": (np.zeros(0, np.int64), "empty"),
        "too large": (np.array([2**63], np.uint64), "do not fit 64 bits"),
        "pickle": (pickled, "no array of numbers"),
    }
    for name, (values, says) in arrays.items():
        path = saved(tmp_path / f"{name}.npy", values, allow_pickle=True)
        assert says in refused(capsys, [*SMALL, "--indices", path]), name
    archive = tmp_path / "archive.npy"
    with archive.open("wb") as file:
        np.savez(file, a=np.arange(3))
    assert "give it a name that ends in .npz" in refused(capsys, [*SMALL, "--indices", str(archive)])
    assert nothing_left(elsewhere), "the pickle was not loaded"


def test_more_ids_than_are_held_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    path = tmp_path / "ids.npy"
    np.lib.format.open_memmap(path, "w+", np.int8, (formats.MAX_IDS + 1,))
    assert "more than 134,217,728 ids; give a part of it" in refused(capsys, [*SMALL, "--indices", str(path)])
    assert nothing_left(elsewhere)


@pytest.mark.parametrize("block", [1, 2, 7, 2**20])
def test_text_is_read_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(formats, "_BLOCK", block)
    monkeypatch.setattr(formats, "MAX_IDS", 300)
    path, numbers = tmp_path / "ids.txt", [*range(0, 30000, 100)]
    for between in (" ", "\n", " \r\n\t ", ", ", "],[", "; # 7, x\n"):
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
    with pytest.raises(ValueError, match=r"write it with numpy\.save") as refusal:
        ids.read_file(str(path))
    assert "\n" not in str(refusal.value)


TEXTS = {
    "commas": b"0,7,14",
    "commas and spaces": b"0, 7, 14,\n",
    "a list": b"[0, 7, 14]",
    "lists": b"[[0], [7, 14]]\n",
    "a tuple": b"(0, 7, 14)",
    "a heading": b"id\n0\n7\n14\n",
    "a heading in quotes": b'"token_id"\r\n"0"\r\n"7"\r\n"14"\r\n',
    "a heading after a comment": b"# made today\n\nids\n0\n7 14",
    "comments": b"# 3 ids\n0 # zero\n7\n14 # 99",
    "a byte order mark": b"\xef\xbb\xbf0 7 14\n",
    "a mark and a heading": b"\xef\xbb\xbfid\n0\n7\n14\n",
    "as numpy.savetxt writes": b"0.000000000000000e+00\n7.000000000000000e+00\n1.400000000000000e+01\n",
    "points": b"0.0\n7.0\n14.0\n",
    "both": b"0.0 7 +14.",
    "lines of several": b"0\t7\n14",
    "one a line": b"0\r\n7\r\n14\r\n",
}


@pytest.mark.parametrize("block", [1, 5, 2**20])
@pytest.mark.parametrize("which", TEXTS)
def test_ids_are_read_as_other_programs_write_them(
    which: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_BLOCK", block)
    path = tmp_path / "ids.csv"
    path.write_bytes(TEXTS[which])
    assert ids.read_file(str(path)).tolist() == [0, 7, 14]


def test_ids_at_the_ends_of_64_bits_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    for written in (
        "-9223372036854775808 9223372036854775807",
        "-9223372036854775808 9223372036854775807 7.0",
    ):
        path.write_text(written)
        assert ids.read_file(str(path)).tolist()[:2] == [-(2**63), 2**63 - 1]
    path.write_text("9007199254740992.0 9007199254740993")
    assert ids.read_file(str(path)).tolist() == [2**53, 2**53 + 1]


def test_arrays_are_read_whatever_the_case_of_their_name(tmp_path: Path) -> None:
    for name in ("IDS.NPY", "ids.Npy"):
        assert ids.read_file(saved(tmp_path / name, np.arange(5, dtype=np.uint16))).tolist() == [*range(5)]
    np.savez_compressed(tmp_path / "one.npz", anything=np.array([[3, 1], [4, 1]]))
    assert ids.read_file(str(tmp_path / "one.npz")).tolist() == [3, 1, 4, 1]


TRACE = {"offsets": np.array([0, 2, 3]), "indices": np.array([3, 1, 4], np.int32), "weights": np.ones(3)}


def test_of_a_trace_the_indices_are_taken_and_the_rest_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, **TRACE)
    assert ids.read_file(str(path)).tolist() == [3, 1, 4]
    _, said = with_ids(parse([*SMALL, "--batch", "2,4,8", "--indices", str(path)]))
    assert f"{path}: offsets, weights not used; --operation bag --variant trace takes offsets" in said
    assert f"{path}: holds 3 ids; a batch of 4, 8 repeats them" in said


BAGS = ["--operation", "bag", "--vocab", "10", "--dim", "4", "--batch", "2", "--variant", "trace"]


def test_of_a_trace_bags_are_as_long_as_its_offsets_say(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, **TRACE)
    assert ids.read_lengths(str(path), 3).tolist() == [2, 1]
    request, said = with_ids(parse([*BAGS, "--indices", str(path)]))
    assert [case.variant for case in request.cases] == ["trace-2"], "3 ids in 2 bags"
    assert f"{path}: weights not used; --operation bag --variant trace takes offsets" in said
    given, lengths = ids.of_file(request.cases[0], str(path))
    assert (given.tolist(), lengths.tolist()) == ([3, 1, 4], [2, 1])
    np.savez(path, indices=TRACE["indices"], offsets=[0, 1])
    with pytest.raises(ValueError, match="holds other ids than when the run began"):
        ids.of_file(request.cases[0], str(path))
    assert with_ids(parse([*SMALL, "--indices", str(path)]))[0].cases[0].variant == "", (
        "ids alone are the same"
    )


@pytest.mark.parametrize(
    ("offsets", "says"),
    [
        (None, "has no offsets; give an .npz"),
        ([1, 2], "offsets do not begin with 0"),
        ([0.0, 2.0], "offsets do not begin with 0"),
        ([[0, 2]], "offsets do not begin with 0"),
        (np.zeros(0, np.int64), "offsets do not begin with 0"),
        ([0, 2, 1], "offsets fall, or pass the last of 3 ids"),
        ([0, 4], "offsets fall, or pass the last of 3 ids"),
    ],
)
def test_offsets_that_cut_nothing_are_refused(offsets: Any, says: str, tmp_path: Path, capsys: Any) -> None:
    arrays = {"indices": np.array([3, 1, 4])} | ({} if offsets is None else {"offsets": offsets})
    np.savez(tmp_path / "trace.npz", **arrays)
    assert says in refused(capsys, [*BAGS, "--indices", str(tmp_path / "trace.npz")])


def test_bags_of_a_file_want_one(capsys: Any) -> None:
    assert "--variant trace: has the bags of a file; give --indices FILE" in refused(capsys, BAGS)


def test_ids_enough_for_every_batch_are_no_news(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("3 1 4 1")
    request = parse([*SMALL, "--batch", "2,4", "--indices", str(path)])
    assert with_ids(request)[1] == []


ARCHIVES = {
    "two of no known name": ({"a": np.arange(3), "b": np.arange(3)}, "(a, b); name that one indices"),
    "none": ({}, "(none); name that one indices"),
    "floats": ({"ids": np.arange(3.0)}, "holds float64, not integers"),
    "objects": ({"ids": np.array([None])}, "no archive"),
}


@pytest.mark.parametrize("which", ARCHIVES)
def test_an_archive_without_ids_is_refused(which: str, tmp_path: Path, capsys: Any) -> None:
    arrays, says = ARCHIVES[which]
    np.savez(tmp_path / "ids.npz", **arrays)
    assert says in refused(capsys, [*SMALL, "--indices", str(tmp_path / "ids.npz")])


def test_an_archive_of_too_many_is_refused_before_it_is_unpacked(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MAX_IDS", 1000)
    np.savez_compressed(tmp_path / "ids.npz", ids=np.zeros(2000, np.int64))
    np.savez_compressed(tmp_path / "few.npz", ids=np.zeros(900, np.int64))
    assert len(ids.read_file(str(tmp_path / "few.npz"))) == 900
    monkeypatch.setattr(np, "load", None)
    assert "more than 1,000 ids" in refused(capsys, [*SMALL, "--indices", str(tmp_path / "ids.npz")])


def test_without_safetensors_it_is_said_what_to_install(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    (tmp_path / "ids.safetensors").write_bytes(b"")
    said = refused(capsys, [*SMALL, "--indices", str(tmp_path / "ids.safetensors")])
    assert "needs safetensors, not installed; pip install safetensors" in said


def test_tensors_are_read(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.numpy import save_file

    path = tmp_path / "ids.safetensors"
    save_file({"ids": np.array([[3, 1], [4, 1]], np.int32)}, path)
    assert ids.read_file(str(path)).tolist() == [3, 1, 4, 1] and formats.beside(str(path)) == []
    save_file(TRACE, path)
    assert ids.read_file(str(path)).tolist() == [3, 1, 4]
    assert set(formats.beside(str(path))) == {"offsets", "weights"}
    assert ids.read_lengths(str(path), 3).tolist() == [2, 1]
    monkeypatch.setattr(formats, "MAX_IDS", 1)
    save_file({"ids": np.zeros(2000, np.int64)}, path)
    assert "more than 1 ids" in refused(capsys, [*SMALL, "--indices", str(path)])
    for arrays, says in (
        ({"ids": np.ones(3)}, "ids is F64, not integers"),
        ({"a": np.ones(1), "b": np.ones(1)}, "(a, b)"),
    ):
        save_file(arrays, path)
        assert says in refused(capsys, [*SMALL, "--indices", str(path)])
    path.write_bytes(b"{}")
    assert "no tensors" in refused(capsys, [*SMALL, "--indices", str(path)])


@pytest.mark.parametrize("write", ["%d", "%.1f"])
def test_a_million_ids_are_read_at_once(tmp_path: Path, write: str) -> None:
    """A guard against reading word by word, not a benchmark: that takes some 2 s."""
    path = tmp_path / "ids.txt"
    many = np.arange(1_000_000) % 50_000
    path.write_text("id\n" + "\n".join((write % k) for k in many.tolist()))
    began = time.process_time()
    read = ids.read_file(str(path))
    assert time.process_time() - began < 1
    assert np.array_equal(read, many)


def test_the_ends_of_64_bits_are_numbers() -> None:
    for number in (-(2**63), 2**63 - 1, -(2**62) - 1):
        assert formats._whole("ids.txt", 1, str(number).encode()) == number
