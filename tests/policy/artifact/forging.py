"""Model files written byte by byte, good and hostile, without torch and without the program that reads them."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np

from tests.policy.artifact.making import stack


class Payload:
    """An object whose unpickling runs a command that leaves a file behind."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch '{self.canary}'",)


def payload(canary):
    return pickle.dumps(Payload(str(canary)), protocol=2)


def text(word):
    data = word.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(number):
    return b"J" + struct.pack("<i", number)


def tensor(
    key, numbers, shape, strides, offset=0, kind="torch FloatStorage", rebuild="torch._utils _rebuild_tensor_v2"
):
    """The instructions that put one tensor on the stack."""
    storage = b"(" + text("storage") + b"c" + kind.replace(" ", "\n").encode() + b"\n" + text(key) + text("cpu")
    storage += whole(numbers) + b"tQ"
    arguments = storage + whole(offset) + b"(" + b"".join(map(whole, shape)) + b"t"
    arguments += b"(" + b"".join(map(whole, strides)) + b"t" + b"\x89" + b"ccollections\nOrderedDict\n)R"
    return b"c" + rebuild.replace(" ", "\n").encode() + b"\n(" + arguments + b"tR"


def program(named):
    """A dictionary of tensors; `named` maps names to instructions."""
    inside = b"".join(text(name) + code for name, code in named.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + inside + b"u."


def zipped(entries, compression=zipfile.ZIP_STORED):
    """A zip of (name, data) pairs, names as they are, even twice."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name) if isinstance(name, str) else name
            archive.writestr(entry, data, compress_type=compression)
    return out.getvalue()


def directory(whole):
    """Where the directory of a zip begins."""
    return struct.unpack("<I", whole[-6:-2])[0]


def torch_file(arrays, code=None, extra=()):
    """What torch.save writes for a dictionary of arrays; `code` replaces its program."""
    named, storages = {}, []
    for n, (name, array) in enumerate(arrays.items()):
        strides = [step // array.itemsize for step in array.strides]
        kind = {4: "torch FloatStorage", 8: "torch DoubleStorage"}[array.itemsize]
        named[name] = tensor(str(n), array.size, array.shape, strides, kind=kind)
        storages.append((f"archive/data/{n}", array.tobytes()))
    inside = program(named) if code is None else code
    return zipped([("archive/data.pkl", inside), ("archive/byteorder", b"little"), *storages, *extra])


def ppo_arrays(widths=(4, 8, 3), seed=1):
    layers = [(layer.weight.astype("f4"), layer.bias.astype("f4")) for layer in stack(widths, seed)]
    arrays = {}
    for n, (weight, bias) in enumerate(layers[:-1]):
        for net in ("policy", "value"):
            arrays[f"mlp_extractor.{net}_net.{2 * n}.weight"] = weight
            arrays[f"mlp_extractor.{net}_net.{2 * n}.bias"] = bias
    arrays["action_net.weight"], arrays["action_net.bias"] = layers[-1]
    arrays["value_net.weight"] = np.ones((1, widths[-2]), "f4")
    arrays["value_net.bias"] = np.zeros(1, "f4")
    return arrays


def ppo_data(inputs=4, actions=3, serialized="", **other):
    return {
        "policy_class": {
            ":type:": "<class 'abc.ABCMeta'>",
            ":serialized:": serialized,
            "__module__": "stable_baselines3.common.policies",
        },
        "policy_kwargs": {"net_arch": [8]},
        "observation_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", "_shape": [inputs]},
        "action_space": {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": str(actions)},
        "gamma": 0.99,
        "low": float("-inf"),
    } | other


def sb3_zip(arrays=None, data=None, policy=None, extra=(), **options):
    """What Stable-Baselines3 writes for a PPO policy, or a forgery of it."""
    told = json.dumps(ppo_data() if data is None else data)
    inside = torch_file(ppo_arrays() if arrays is None else arrays) if policy is None else policy
    return zipped([("data", told), ("policy.pth", inside), *extra], **options)


def serialized(canary):
    return base64.b64encode(payload(canary)).decode()


def safetensors_file(header, body=b""):
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + body


def f32(shape, begin, end):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
