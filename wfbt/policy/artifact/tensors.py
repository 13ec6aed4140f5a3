"""Named arrays as safetensors files: the header is judged before anything believes it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.messages import shown
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.strict import parse_json

F8 = npt.NDArray[np.float64]
MOST_HEADER = 1_000_000
MOST_TENSORS = 4_096
MOST_AXES = 8
_BYTES = {"F64": 8, "F32": 4, "F16": 2}


def read_tensors(data: bytes, source: str) -> dict[str, F8]:
    """Arrays by name of a safetensors file, as float64; ArtifactError unless each is finite and the bytes add up."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    _check_header(data, source)
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"{source}: is not a safetensors file that can be read: {error}") from None
    return {name: finite(arrays[name], f"{source}: {name}") for name in sorted(arrays)}


def tensor_bytes(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """A safetensors file of `arrays`, float32 where that loses nothing, else float64; equal arrays, equal bytes."""
    from safetensors.numpy import save

    return save({name: _narrowest(arrays[name]) for name in sorted(arrays)})


def finite(array: npt.NDArray[Any], where: str) -> F8:
    """A float64 copy; ArtifactError that says where the first number is that is none."""
    if array.dtype.kind != "f":
        raise ArtifactError(f"{where} must hold floating-point numbers, holds {array.dtype}")
    with np.errstate(invalid="ignore"):  # a signalling NaN warns when it is widened, and is refused below
        out = np.array(array, dtype=np.float64, order="C")
    if not (good := np.isfinite(out)).all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise ArtifactError(f"{where} must hold finite numbers, holds {out[at]} at {list(at)}")
    out.flags.writeable = False
    return out


def _narrowest(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wide = np.ascontiguousarray(array, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        narrow = wide.astype(np.float32)
    return narrow if np.array_equal(narrow, wide) else wide


def _check_header(data: bytes, source: str) -> None:
    if len(data) < 8:
        raise ArtifactError(f"{source}: is not a safetensors file: it is {len(data)} bytes long")
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(MOST_HEADER, len(data) - 8):
        raise ArtifactError(
            f"{source}: is not a safetensors file, or is cut: its header must be at most "
            f"{min(MOST_HEADER, len(data) - 8):,} bytes long, says {length:,}"
        )
    header = parse_json(data[8 : 8 + length], f"{source}: header", most=MOST_HEADER)
    if not isinstance(header, dict):
        raise ArtifactError(f"{source}: header must be a mapping of names to tensors")
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MOST_TENSORS:
        raise ArtifactError(f"{source}: must hold 1 to {MOST_TENSORS} tensors, holds {len(header)}")
    spans = sorted((_span(told, f"{source}: {shown(name)}"), name) for name, told in header.items())
    end = 0
    for (begin, after), name in spans:
        if begin != end:
            raise ArtifactError(
                f"{source}: {shown(name)} must begin at byte {end:,}, where the one before ends, says {begin:,}"
            )
        end = after
    if end != len(data) - 8 - length:
        raise ArtifactError(f"{source}: its tensors must fill {len(data) - 8 - length:,} bytes, say {end:,}")


def _span(told: Any, where: str) -> tuple[int, int]:
    """Where a tensor's bytes lie."""
    if not isinstance(told, dict) or set(told) != {"dtype", "shape", "data_offsets"}:
        raise ArtifactError(f"{where} must have dtype, shape and data_offsets, has {shown(told)}")
    shape, offsets = told["shape"], told["data_offsets"]
    if not isinstance(told["dtype"], str) or told["dtype"] not in _BYTES:
        raise ArtifactError(f"{where} must be of {', '.join(_BYTES)}, was {shown(told['dtype'])}")
    if not _whole_numbers(shape) or len(shape) > MOST_AXES:
        raise ArtifactError(f"{where} must have a shape of at most {MOST_AXES} whole numbers, was {shown(shape)}")
    if not _whole_numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ArtifactError(f"{where} must have two data_offsets in order, was {shown(offsets)}")
    needed = prod(shape) * _BYTES[told["dtype"]]
    if offsets[1] - offsets[0] != needed:
        raise ArtifactError(f"{where} needs {needed:,} bytes by its shape, has {offsets[1] - offsets[0]:,}")
    return offsets[0], offsets[1]


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 2**63 for one in value)
