"""Formats of files of ids: text, .npy, .npz and .safetensors, each read as the integers it holds."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAX_IDS = 2**27
"""Of a file: 1 GiB once read."""
PICKLED = (".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Files of torch.save and pickle, which run code when they are opened."""
IDS = ("indices", "ids", "input_ids")
"""The array of the ids, where a file has several: the first of these."""

_BLOCK = 2**20
_LONGEST_WORD = 100
_HEADING_BYTES = 2**16
_EXACT = 2**53
"""From here on not every whole number is a float."""
_BETWEEN = b'\t\v\f\r ,;[](){}"'
_ONE_A_LINE = bytes.maketrans(_BETWEEN, b"\n" * len(_BETWEEN))
_INTEGER = b"0123456789+-\n"
_FLOAT = _INTEGER + b".eE"
_COMMENT = re.compile(rb"#[^\n]*")
_NO_VALUE = rb"(?:nan|inf|infinity|null|none|na|true|false)\b"
_HEADING = re.compile(rb"\s*(\"?)(?!" + _NO_VALUE + rb")[a-z_][\w.-]*\1\s*", re.IGNORECASE)
_MARKS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"PK\x03\x04": "an archive",
    b"\x1f\x8b": "compressed",
    b"PAR1": "Parquet",
    b"\x93NUMPY": "an array whose name does not end in .npy",
}
"""How files begin that are no text."""
_INTEGERS = ("I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64")
"""As safetensors calls them."""


def read(path: str) -> Array:
    """The integers in a file, of the type and shape they have there; too many are not read to the end.

    Raises:
        ValueError: one line that says what the file holds instead, in text with the line and the word.
        OSError: it can't be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix in PICKLED:
        saving = "numpy.save('ids.npy', indices.numpy()) writes one that is"
        raise ValueError(f"{path}: not opened, as a file of torch.save or pickle can run code; {saving}")
    if suffix == ".npy":
        return _npy(path)
    if suffix == ".npz":
        return _npz(path)
    if suffix == ".safetensors":
        return _safetensors(path)
    return _text(path)


def named(path: str, name: str) -> Array | None:
    """The array of that name in a file that holds several; None where there is none.

    Raises:
        ValueError, OSError: as of ``read``.
    """
    if name not in beside(path):
        return None
    return _npz(path, name) if Path(path).suffix.lower() == ".npz" else _safetensors(path, name)


def beside(path: str) -> list[str]:
    """The other arrays of a file that holds more than ids, such as a trace's offsets; they are not read."""
    if Path(path).suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
    elif Path(path).suffix.lower() == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as tensors:
            names = list(tensors.keys())
    else:
        return []
    return [name for name in names if name != _ids_of(path, names)]


def _npy(path: str) -> Array:
    try:
        loaded = np.load(path, "r", allow_pickle=False)
    except OSError:
        raise
    except Exception:  # the header of an array is read as Python: whatever that raises
        raise ValueError(f"{path}: no array of numbers, or half of one; write it with numpy.save") from None
    if not isinstance(loaded, np.ndarray):
        raise ValueError(f"{path}: an archive of arrays; give it a name that ends in .npz")
    return loaded


def _npz(path: str, name: str | None = None) -> Array:
    try:
        with zipfile.ZipFile(path) as file:
            names = {name.removesuffix(".npy"): file.getinfo(name) for name in file.namelist()}
        which = name or _ids_of(path, list(names))
        _check_size(path, names[which].file_size // 8)
        with np.load(path, allow_pickle=False) as archive:
            loaded: Array = archive[which]
    except OSError:
        raise
    except Exception as error:  # as of a single array, and what zipfile and zlib raise
        if str(error).startswith(path):
            raise
        raise ValueError(f"{path}: no archive, or half of one; write it with numpy.savez") from None
    if not isinstance(loaded, np.ndarray):
        raise ValueError(f"{path}: {which} in it is no array; write it with numpy.savez")
    return loaded


def _safetensors(path: str, name: str | None = None) -> Array:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ValueError(f"{path}: needs safetensors, not installed; pip install safetensors") from None
    try:
        with safe_open(path, framework="numpy") as tensors:
            which = name or _ids_of(path, list(tensors.keys()))
            tensor = tensors.get_slice(which)
            if tensor.get_dtype() not in _INTEGERS:
                raise ValueError(f"{path}: {which} is {tensor.get_dtype()}, not integers; give whole numbers")
            _check_size(path, int(np.prod(tensor.get_shape(), dtype=object)))
            loaded: Array = tensors.get_tensor(which)
    except SafetensorError:
        raise ValueError(f"{path}: no tensors, or not all of them; write them with safetensors") from None
    return loaded


def _ids_of(path: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    found = next((name for name in IDS if name in names), None)
    if found is None:
        listed = ", ".join(names[:8]) or "none"
        raise ValueError(f"{path}: which of its arrays has the ids? ({listed}); name that one indices")
    return found


def _check_size(path: str, count: int) -> None:
    if count > MAX_IDS + 16:  # the header of an .npy, in numbers
        raise ValueError(f"{path}: more than {MAX_IDS:,} ids; give a part of it")


def _text(path: str) -> Array:
    parts: list[Array] = []
    with Path(path).open("rb") as file:
        start = file.read(8)
        for mark, what in _MARKS.items():
            if start.startswith(mark):
                raise ValueError(f"{path}: {what}; give text in UTF-8, or an .npy of integers")
        file.seek(3 if start.startswith(b"\xef\xbb\xbf") else 0)
        for number, block in _blocks(path, file, _after_heading(file)):
            parts.append(_numbers(path, number, block))
            if sum(map(len, parts)) > MAX_IDS:
                break
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _after_heading(file: BinaryIO) -> int:
    """Go on to the first line of numbers, past one word alone in its line; returns that line's number."""
    number = 1
    while line := file.readline(_HEADING_BYTES):
        words = _COMMENT.sub(b"", line)
        if words.strip() or not line.endswith(b"\n"):
            is_heading = _HEADING.fullmatch(words)
            if not is_heading:
                file.seek(-len(line), io.SEEK_CUR)
            return number + bool(is_heading)
        number += 1
    return number


def _blocks(path: str, file: BinaryIO, number: int) -> Iterator[tuple[int, bytes]]:
    """The text from a line on without comments, in blocks that end between words, with their first lines."""
    rest, in_comment = b"", False
    while block := file.read(_BLOCK):
        if in_comment:
            end = block.find(b"\n")
            in_comment, block = end < 0, block[end:] if end >= 0 else b""
        block = rest + block
        in_comment |= b"#" in block[block.rfind(b"\n") + 1 :]
        block = _COMMENT.sub(b"", block)
        end = len(block) if in_comment else block.translate(_ONE_A_LINE).rfind(b"\n") + 1
        block, rest = block[:end], block[end:]
        if len(rest) > _LONGEST_WORD:
            raise _no_number(path, number + block.count(b"\n"), rest)
        yield number, block
        number += block.count(b"\n")
    yield number, rest


def _numbers(path: str, number: int, block: bytes) -> Array:
    """The whole numbers of a block whose first line has this number."""
    lines = block.translate(_ONE_A_LINE)
    if not lines.strip():
        return np.zeros(0, np.int64)
    for kind, letters in ((np.int64, _INTEGER), (np.float64, _FLOAT)):
        if lines.translate(None, letters):
            continue
        try:
            values: Array = np.loadtxt(io.BytesIO(lines), kind, comments=None, ndmin=1)
        except ValueError:
            continue
        if kind is np.int64 or (np.abs(values).max() <= _EXACT and not (values % 1).any()):
            return values.astype(np.int64)
    if b"\0" in block:
        raise ValueError(f"{path}: binary; give text, or an .npy of integers")
    found: list[int] = []
    for place, line in enumerate(block.split(b"\n"), number):
        found += [_whole(path, place, word) for word in line.translate(_ONE_A_LINE).split()]
    return np.array(found, np.int64)


def _whole(path: str, number: int, word: bytes) -> int:
    if re.fullmatch(rb"[+-]?[0-9]{1,30}", word):
        if not -(2**63) <= (value := int(word)) < 2**63:
            raise _no_number(path, number, word, "does not fit 64 bits")
        return value
    if not re.fullmatch(rb"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?(e[+-]?[0-9]{1,3})?", word, re.I):
        raise _no_number(path, number, word)
    exact = float(word)
    if exact != exact // 1:
        raise _no_number(path, number, word)
    if abs(exact) > _EXACT:
        raise _no_number(path, number, word, "is too large for a number with a point")
    return int(exact)


def _no_number(path: str, number: int, word: bytes, what: str = "is no whole number") -> ValueError:
    shown = word.decode("utf-8", "replace")
    shown = shown if len(shown) <= 40 else f"{shown[:39]}…"
    return ValueError(f"{path}:{number}: {shown!r} {what}; give ids with spaces, commas or lines between")
