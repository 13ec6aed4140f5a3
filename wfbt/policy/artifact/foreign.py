"""Models that come without a manifest: their weights as safetensors, and a manifest to be completed beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfbt.errors import ArtifactError, ConfigError
from wfbt.policy.artifact.description import Scaling
from wfbt.policy.artifact.fields import plain
from wfbt.policy.artifact.files import read_whole
from wfbt.policy.artifact.layouts import Stack, stack_of
from wfbt.policy.artifact.manifest import ACCEPTED, json_bytes
from wfbt.policy.artifact.models import MOST_BYTES
from wfbt.policy.artifact.onnx import read_onnx
from wfbt.policy.artifact.onnx_stack import chain_of
from wfbt.policy.artifact.save import write_files
from wfbt.policy.artifact.sb3 import read_sb3
from wfbt.policy.artifact.template import described, template, template_of
from wfbt.policy.artifact.tensors import read_tensors, tensor_bytes
from wfbt.policy.artifact.torch_state import read_state

NORMALISER = "normaliser.json"


def write_bare(path: Path, folder: Path) -> Path:
    """Weights of the model file `path`, on the accept list, as safetensors, with a manifest of what it tells."""
    level = template_of(path)["levels"]["policy"]
    data, source = read_whole(path, MOST_BYTES), str(path)
    if path.suffix == ".zip":
        stack = read_sb3(data, source).stack
    elif path.suffix == ".onnx":
        stack = chain_of(read_onnx(data, source), source).stack
    else:
        stack = stack_of(read_tensors(data, source), source)
    return _write(stack, level, path, folder)


def write_trusted(path: Path, to: str, folder: Path) -> Path:
    """What stands in a pickle that a person trusts: weights of a torch file, or the normaliser of a VecNormalize.

    **It is opened as its maker meant it, so whatever it holds is executed.**
    """
    if path.suffix in ACCEPTED or path.is_dir():
        raise ConfigError(f"{path}: is read without running it; leave out --trust-pickle")
    if path.suffix in (".pth", ".pt"):
        if to == "onnx":
            raise ArtifactError(
                f"{path}: a torch file names no activation, so it becomes no graph; export it --to safetensors first, "
                "complete the manifest, and export the folder"
            )
        stack = _torch_stack(path)
        return _write(stack, described(stack, None, None, None, None), path, folder)
    told = plain(_pickled_scaling(path))
    if (folder / NORMALISER).exists():
        raise ArtifactError(f"{folder / NORMALISER}: is there; choose a new folder")
    write_files(folder, [(NORMALISER, json_bytes(told))], None)
    return folder


def _write(stack: Stack, level: dict[str, Any], path: Path, folder: Path) -> Path:
    name = f"{path.stem}.safetensors"
    arrays = {
        f"layers.{n}.{part}": array
        for n, layer in enumerate(stack)
        for part in ("weight", "bias", "norm_gain", "norm_shift")
        if (array := getattr(layer, part)) is not None
    }
    data = tensor_bytes(arrays)
    write_files(folder, [(name, data)], json_bytes(template(name, data, level)))
    return folder


def _torch_stack(path: Path) -> Stack:
    data, source = read_whole(path, MOST_BYTES), str(path)
    try:
        return stack_of(read_state(data, source), source)
    except ArtifactError:
        pass  # older formats and whole modules need torch, and the trust that was given
    try:
        import torch
    except ImportError:
        raise ArtifactError(f"{path}: needs the package torch to be opened; install wfbt[rl]") from None
    try:
        held = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever its maker's code raises
        raise ArtifactError(f"{path}: cannot be opened: {type(error).__name__}: {error}") from None
    state = held.state_dict() if hasattr(held, "state_dict") else held
    if not isinstance(state, dict) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise ArtifactError(
            f"{path}: must hold a state dictionary of tensors or a module, holds a {type(held).__name__}"
        )
    return stack_of({str(name): one.detach().numpy() for name, one in state.items()}, source)


def _pickled_scaling(path: Path) -> Scaling:
    import pickle

    try:
        held = pickle.loads(read_whole(path, MOST_BYTES))
    except ImportError as error:
        raise ArtifactError(f"{path}: needs {error.name or error} to be opened; install wfbt[rl]") from None
    except Exception as error:  # whatever its maker's code raises
        raise ArtifactError(f"{path}: cannot be opened: {type(error).__name__}: {error}") from None
    statistics = getattr(held, "obs_rms", None)
    if statistics is None or isinstance(statistics, dict):
        raise ArtifactError(f"{path}: must hold a VecNormalize of one observation, holds a {type(held).__name__}")
    deviation = (statistics.var + held.epsilon) ** 0.5
    return Scaling(
        mean=tuple(statistics.mean.ravel().tolist()),
        deviation=tuple(deviation.ravel().tolist()),
        clip=float(held.clip_obs),
    )
