"""Body models of the SMPL family, official pickles among them, read without running anything they bring along.

The pickles were pickled by Python 2 with chumpy arrays and scipy matrices. Here only numpy's own reconstruction is
allowed; chumpy and scipy classes become inert holders of their state, and every other class or function is refused.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.motion_files.raw_motion import MAX_ARRAY_BYTES, read_bytes
from motionqa.data.schema import InputError

Array = np.ndarray


class _Held:
    """Stands in for a chumpy or scipy object: keeps the pickled state and does nothing else."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


class _HeldMatrix(_Held):
    """Stands in for a scipy sparse matrix."""


def _reconstruct(*args: Any) -> Any:
    """Python 2's `copy_reg._reconstructor` for stand-ins only."""
    if not (args and isinstance(args[0], type) and issubclass(args[0], _Held)):
        raise pickle.UnpicklingError("reconstructs something else than a chumpy or scipy object")
    return args[0]()


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """`_codecs.encode` as Python 3 uses it to pickle bytes for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("encodes something else than latin-1 text")
    return text.encode("latin-1")


def _numpy_reconstruct(subtype: Any, shape: Any, dtype: Any) -> Array:
    if subtype is not np.ndarray:
        raise pickle.UnpicklingError("reconstructs a subclass of ndarray")
    return np.ndarray.__new__(np.ndarray, shape if shape == (0,) else (0,), dtype)


def _scalar(dtype: Any, data: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, (bytes, str)):
        raise pickle.UnpicklingError("holds a scalar that is no plain number")
    return np.frombuffer(data.encode("latin-1") if isinstance(data, str) else data, dtype=dtype, count=1)[0]


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise pickle.UnpicklingError("holds an array that is no plain numbers")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


_NUMPY = {
    "_reconstruct": _numpy_reconstruct,
    "scalar": _scalar,
    "ndarray": np.ndarray,
    "dtype": np.dtype,
    "_frombuffer": _frombuffer,
}


class InertUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain values; anything else becomes an empty stand-in, and nothing is run."""

    def find_class(self, module: str, name: str) -> Any:
        root = module.partition(".")[0]
        allowed = _NUMPY.get(name) if root == "numpy" and module != "numpy.testing" else None
        if allowed is not None:
            return allowed
        if root == "chumpy":
            return _Held
        if root == "scipy" and ".sparse" in module and name.endswith(("_matrix", "_array")):
            return _HeldMatrix
        if (module, name) in (("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")):
            return _reconstruct
        if (module, name) in (("__builtin__", "object"), ("builtins", "object")):
            return object
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        raise pickle.UnpicklingError(f"asks for {module}.{name}")


def load_body_model(path: Path, keys: tuple[str, ...]) -> dict[str, Array]:
    """The named arrays of a body model file, .npz or .pkl. InputError where it cannot be read or lacks one."""
    if path.suffix.lower() == ".npz":
        return {k: v for k, v in load_npz(path, keys).items() if k in keys}
    found = load_model_pickle(path)
    missing = [k for k in keys if found.get(k) is None]
    if missing:
        raise InputError(f"{path.name} has no readable {', '.join(missing)}; it is no SMPL-family body model")
    return {k: np.asarray(found[k]) for k in keys}


def load_model_pickle(path: Path) -> dict[str, Any]:
    """The model's dictionary, chumpy and sparse values as plain arrays. InputError where it asks for anything else."""
    raw = read_bytes(path, MAX_ARRAY_BYTES)
    try:
        data = InertUnpickler(io.BytesIO(raw), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path.name} is refused: it {error}, which a body model does not need and which could run code. "
            "Use the file from the model's own site"
        ) from error
    except Exception as error:  # a damaged pickle can fail anywhere
        raise InputError(f"{path.name} is no readable body model pickle ({error!r:.80})") from error
    if not isinstance(data, dict):
        raise InputError(f"{path.name} holds a {type(data).__name__}, expected the dictionary of a body model")
    return {str(key): _plain(value) for key, value in data.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """Arrays out of stand-ins: chumpy's `Ch` keeps its numbers in x, `Select` picks from another array."""
    if depth > 8 or not isinstance(value, _Held):
        return value
    state = value.state
    if isinstance(value, _HeldMatrix):
        return _dense(state)
    if "x" in state:
        return np.asarray(_plain(state["x"], depth + 1))
    if "a" in state and "idxs" in state:
        chosen = np.asarray(_plain(state["a"], depth + 1)).ravel()[np.asarray(state["idxs"]).ravel()]
        return chosen.reshape(state.get("preferred_shape", chosen.shape))
    return None


def _dense(state: dict[str, Any]) -> Array | None:
    from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

    shape = state.get("_shape", state.get("shape"))
    if shape is None or len(shape) != 2 or np.prod(shape, dtype=float) > 1e8:
        return None
    if "indptr" in state:
        kind = csr_matrix if state.get("format") == "csr" else csc_matrix
        return kind((state["data"], state["indices"], state["indptr"]), shape=shape).toarray()
    if "row" in state:
        return coo_matrix((state["data"], (state["row"], state["col"])), shape=shape).toarray()
    return None
