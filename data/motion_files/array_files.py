"""Bounded, pickle-free reading of numpy's npy and npz files.

numpy allocates what a header claims before it reads, so headers are compared with the bytes that are there first.
"""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from motionqa.data.motion_files.raw_motion import MAX_ARRAY_BYTES, read_bytes
from motionqa.data.schema import InputError

Array = np.ndarray

MAX_MEMBERS = 1_000


def load_npy(path: Path) -> Array:
    """The array of an .npy file. InputError for damage, pickled objects, or a header larger than the file."""
    raw = read_bytes(path, MAX_ARRAY_BYTES)
    return _checked_load(raw, path.name)


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in an .npz file; InputError where it is no whole zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [n.removesuffix(".npy") for n in archive.namelist()[:MAX_MEMBERS]]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise InputError(f"{path.name} is no complete npz archive ({error}); download or save it again") from error


def load_npz(path: Path, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Array]:
    """The named arrays of an .npz file, and of the optional ones those that are there and hold plain values.

    InputError names missing arrays, pickled objects and claims of more data than there is.
    """
    present = npz_keys(path)
    missing = [k for k in keys if k not in present]
    if missing:
        raise InputError(f"{path.name} has no array {', '.join(missing)}; it has {', '.join(present[:30]) or 'none'}")
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for key in (*keys, *(k for k in optional if k in present)):
                info = archive.getinfo(f"{key}.npy")
                if info.file_size > MAX_ARRAY_BYTES:
                    raise InputError(
                        f"{path.name}: array {key} claims {info.file_size / 2**30:.1f} GB, at most 1 is read"
                    )
                try:
                    with archive.open(info) as member:
                        arrays[key] = _checked_load(member.read(), f"{path.name}, array {key}")
                except InputError:
                    if key in keys:
                        raise
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path.name} is damaged ({error}); download or save it again") from error
    except Exception as error:  # zlib.error and friends have no common base
        if type(error).__module__ in ("zlib", "_lzma", "_bz2") or isinstance(error, MemoryError):
            raise InputError(f"{path.name} is damaged ({error}); download or save it again") from error
        raise
    return arrays


def _checked_load(raw: bytes, what: str) -> Array:
    shape, dtype = _header(raw[:20_000], what)
    if dtype.hasobject:
        raise InputError(
            f"{what} holds pickled Python objects, which could run code and are never loaded. "
            "Save plain numbers: np.save(path, np.asarray(data, dtype=float))"
        )
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > len(raw):
        raise InputError(f"{what}: the header claims {claimed:,} bytes but {len(raw):,} are there; the file is cut off")
    return np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)


def _header(head: bytes, what: str) -> tuple[tuple[int, ...], np.dtype]:
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # numpy parses the header as Python source: any syntax error may come out
        raise InputError(f"{what} has no readable numpy header ({error}); it is damaged or no numpy file") from error
    return shape, dtype
