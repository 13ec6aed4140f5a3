"""Good files, spoiled: by what they say where they are YAML or JSON, and by their bytes where they are anything.

All is drawn from a `random.Random`, so a seed and a number name one spoiled file for good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

import yaml


class Raw(str):
    """Text that is written as it stands, without quotes."""


class Pairs(list):
    """The keys and values of a mapping, in which a key may stand twice."""


NUMBERS = (
    0, 1, -1, 2, 0.0, -0.0, 0.5, 1.0, 99, 1e9, 1e-9, 5e-324, 1e-300, 1e308, -1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63), 10**30, Raw("1e999"), Raw("-1e999"), Raw("NaN"), Raw(".nan"), Raw(".inf"), Raw("-.inf"), Raw("Infinity"),
    Raw("-Infinity"), Raw("nan"), Raw("0x10"), Raw("010"), Raw("1_000"), Raw("12:30"), Raw("+1"), Raw("1e3"),
    Raw("9" * 5000), Raw("0." + "0" * 400 + "1"),
)  # fmt: skip
TEXTS = (
    "", " ", "a", "NaN", "inf", "null", "true", "no", "auto", "none", "a.b", "a[0]", "min(a)", "*", "../../x", "/",
    "/dev/zero", "/dev/null", ".", "-1h", "0s", "1h", "1e9h", "999999999999d", "2024-02-30", "9999-12-31", "0001-01-01",
    "é", "é", "ＮａＮ", "\u202e", "\ufeff", "\x00", "\x1b[2J", "a\nb", "a\tb", "\x7f", "\x85", "\u2028", "😀",
    "x" * 3000, Raw('"\\ud800"'), Raw('"\\udc00\\ud800"'), Raw("'"), Raw('"'), Raw("&a"), Raw("*a"),
    Raw("!!python/object:os.system"), Raw("<<"), Raw("|"), Raw("---"), Raw("{"),
    Raw("]"), Raw("%YAML 1.2"), Raw("# "), Raw("? "),
)  # fmt: skip
PIECES = (b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\n", b"\t", b"\x1b", b"{", b"]", b"0")


class Core(yaml.SafeLoader):
    """YAML with the numbers and words of JSON: `no` is text, and so is a date."""


Core.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)


def mutated(data: bytes, form: str, random: Random, others: tuple[bytes, ...] = ()) -> bytes:
    """`data`, spoiled in one to four places.

    Parameters
    ----------
    form : str
        "yaml", "json", or "bytes" for what is neither.
    others : tuple of bytes
        Files to splice pieces of.
    """
    if form != "bytes" and random.random() < 0.6:
        tree = _opened(yaml.load(data, Core) if form == "yaml" else json.loads(data))
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            tree = _changed(tree, random)
        spoiled = _written(tree).encode("utf-8", "surrogatepass")
        if random.random() < 0.9:
            return spoiled
        data = spoiled
    out = data
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        out = random.choice(_BYTES)(out, random, (data, *others))
    return out


def flipped(data: bytes, random: Random, _: tuple[bytes, ...] = ()) -> bytes:
    """One bit of one byte is another."""
    if not data:
        return b"\x00"
    out = bytearray(data)
    out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def _set(data: bytes, random: Random, _: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    new = random.choice((random.randbytes(random.randint(1, 8)), random.choice(PIECES)))
    return data[:at] + new + data[at + len(new) :]


def _cut(data: bytes, random: Random, _: tuple[bytes, ...]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _dropped(data: bytes, random: Random, _: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 2, 9, 60)) :]


def _inserted(data: bytes, random: Random, _: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    new = random.choice((random.randbytes(random.randint(1, 8)), random.choice(PIECES)))
    return data[:at] + new * random.choice((1, 1, 1, 40, 3000)) + data[at:]


def _spliced(data: bytes, random: Random, others: tuple[bytes, ...]) -> bytes:
    other = random.choice(others)
    at, start = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    piece = other[start : start + random.choice((4, 30, 300))]
    return data[:at] + piece + data[at + random.choice((0, len(piece))) :]


def _repeated(data: bytes, random: Random, _: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    piece = data[at : at + random.choice((1, 8, 80))]
    return data[:at] + piece * random.choice((1, 2, 30, 2000)) + data[at:]


_BYTES: tuple[Callable[[bytes, Random, tuple[bytes, ...]], bytes], ...] = (
    flipped, flipped, _set, _cut, _dropped, _inserted, _spliced, _repeated,
)  # fmt: skip


def _opened(tree: Any) -> Any:
    """A tree with mappings as `Pairs`."""
    if isinstance(tree, dict):
        return Pairs([key, _opened(value)] for key, value in tree.items())
    return [_opened(value) for value in tree] if isinstance(tree, list) else tree


def _written(tree: Any) -> str:
    """JSON, which is YAML too, with every `Raw` as it stands."""
    if isinstance(tree, Pairs):
        return "{" + ", ".join(f"{_written(key)}: {_written(value)}" for key, value in tree) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(_written(value) for value in tree) + "]"
    return str(tree) if isinstance(tree, Raw) else json.dumps(tree, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class _Place:
    """A value: item `number` of `group`, and in mappings the second half of the pair that is there."""

    group: list[Any]
    number: int

    @property
    def pair(self) -> list[Any] | None:
        return self.group[self.number] if isinstance(self.group, Pairs) else None

    @property
    def value(self) -> Any:
        return self.pair[1] if self.pair is not None else self.group[self.number]

    def put(self, value: Any) -> None:
        if self.pair is not None:
            self.pair[1] = value
        else:
            self.group[self.number] = value


def _places(tree: Any) -> list[_Place]:
    found: list[_Place] = []
    groups = [tree]
    while groups:
        group = groups.pop()
        if isinstance(group, list):
            inside = [_Place(group, number) for number in range(len(group))]
            found += inside
            groups += [place.value for place in inside]
    return found


def _changed(tree: Any, random: Random) -> Any:
    """A tree with one thing changed; the tree itself is used up."""
    places = _places(tree)
    if not places:
        return random.choice((Pairs(), [], None, 0))
    place = random.choice(places)
    group, value = place.group, place.value
    match random.randrange(11):
        case 0:
            del group[place.number]
        case 1:
            twice = deepcopy(group[place.number])
            group.insert(random.randrange(len(group) + 1), twice)
        case 2:
            other = random.choice(places)
            one, two = deepcopy(value), deepcopy(other.value)
            if all(there.value is not value for there in _places(other.value)):
                other.put(one)
            place.put(two)
        case 3:
            place.put(_retyped(value, random))
        case 4:
            place.put(random.choice(NUMBERS))
        case 5:
            place.put(random.choice(TEXTS))
        case 6:
            place.put(_nudged(value, random))
        case 7:
            place.put(_nested(value, random))
        case 8 | 9:
            pairs = [one.pair for one in places if one.pair is not None]
            if pairs:
                pair = random.choice(pairs)
                pair[0] = random.choice(pairs)[0] if random.random() < 0.3 else _near(str(pair[0]), random)
        case 10:
            new = random.choice((*NUMBERS, *TEXTS))
            name = random.choice(("x", "seed", "reasons", "name", "sha256", "thresholds"))
            group.append([name, new] if isinstance(group, Pairs) else new)
    return tree


def _retyped(value: Any, random: Random) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, default=str)[:200]
    return random.choice(
        (None, True, False, 0, 1.5, text, [], Pairs(), [value], [value, value], Pairs([["a", value]]), Raw(text or "~"))
    )


def _nudged(value: Any, random: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return random.choice((-value, value + 1, value - 1, value * 10, value / 3, value * 1e6, float(value)))
    if isinstance(value, str) and value:
        at = random.randrange(len(value))
        return value[:at] + random.choice(("", value[at] * 2, chr(ord(value[at]) ^ 1), "0", ".")) + value[at + 1 :]
    return random.choice(NUMBERS)


def _nested(value: Any, random: Random) -> Any:
    depth = random.choice((1, 3, 19, 22, 60, 900, 20_000))
    left, right = random.choice((("[", "]"), ('{"a": ', "}")))
    inner = _written(value)
    return Raw(left * depth + inner + right * depth) if depth > 3 or random.random() < 0.5 else [[[value]]]


def _near(key: str, random: Random) -> str:
    at = random.randrange(len(key) + 1)
    return random.choice(
        (
            key[:at] + key[at + 1 :],
            key[:at] + key[at : at + 2][::-1] + key[at + 2 :],
            key + "s",
            key.upper(),
            key.replace("_", "-"),
            f"{key} ",
            f" {key}",
            key[:at] + "\u200b" + key[at:],
            key.replace("a", "\u0430"),
        )
    )
