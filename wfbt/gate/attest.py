"""A verdict that names all it was made of, sealed so that one changed byte is seen.

An in-toto Statement v1 in a DSSE v1 envelope, signed with Ed25519 where a key is given.  Both are written in one
canonical form, and only that form is read: whatever can be said in two ways (spaces, repeated keys, spare bits of
base64) is refused, so every byte of the file counts.  Beside the standard's fields stands `sha256`, over the same
bytes as a signature: it shows an accident in an unsigned envelope, and proves nothing about who wrote it.

A deployer's side imports this module: it stands on the standard library alone, and on cryptography where a key is used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wfbt.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:wfbt:verdict:v1"

STATUSES = {"PASS": 0, "FAIL": 1, "REFUSED": 3, "INCONCLUSIVE": 4}
"""Each with the exit code of the command line."""
HASHES = ("model", "strategy", "criteria", "data", "source", "lock")
SUBJECTS = ("model", "strategy")
"""What a verdict is about; the other hashes are what it was judged by."""
ALWAYS = ("strategy", "criteria", "data", "source")

MOST_BYTES = 16_000_000
"""Of an envelope: a year of trades of a few symbols is thousands of files, each with its hash."""
MOST_SEED = 2**63 - 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
# SubjectPublicKeyInfo of an Ed25519 key is these bytes and the key: RFC 8410, section 4.
_SPKI = bytes.fromhex("302a300506032b6570032100")
_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{1,200}?)\s+-----END PUBLIC KEY-----\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Hashes of what a verdict stands on: 64 lower-case hex digits of sha256 each.

    Attributes
    ----------
    model, lock : str or None
        None where there is none (a rule has no model file; an installation may have no lock file), with its reason.
    strategy, criteria, data, source : str
    trials : tuple of str
        What ended the trial ledger, sorted; none where no trial was recorded, with its reason.
    reasons : mapping of str to str
        Why `model`, `lock` or `trials` is missing: those that are, and no other.
    """

    model: str | None
    strategy: str
    criteria: str
    data: str
    source: str
    lock: str | None
    trials: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in HASHES:
            value = getattr(self, name)
            if value is not None or name in ALWAYS:
                _check_hash(value, name)
        for head in self.trials:
            _check_hash(head, "trials")
        if list(self.trials) != sorted(set(self.trials)):
            raise ArtifactError("trials: the heads of the trial ledger must be sorted and each there once")
        missing = {name for name in HASHES if getattr(self, name) is None} | ({"trials"} if not self.trials else set())
        told = all(isinstance(why, str) and why and why.isprintable() for why in self.reasons.values())
        if set(self.reasons) != missing or not told:
            raise ArtifactError(
                f"reasons: must say why each of {sorted(missing)} is missing and nothing else, in printable text, "
                f"was given for {sorted(self.reasons)}"
            )
        object.__setattr__(self, "reasons", MappingProxyType(dict(self.reasons)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is attested.

    Attributes
    ----------
    status : str
        One of STATUSES.
    bound : Bound
    version : str
        Of wfbt.
    seed : int
        Of the run, 0 … 2⁶³ − 1.
    issued, expires : datetime
        UTC, whole seconds; in force from `issued` until just before `expires`.
    findings : mapping
        What was judged: plain JSON, finite numbers.
    """

    status: str
    bound: Bound
    version: str
    seed: int
    issued: datetime
    expires: datetime
    findings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ArtifactError(f"status: must be one of {', '.join(STATUSES)}, was {_shown(self.status)}")
        if not isinstance(self.version, str) or not self.version:
            raise ArtifactError(f"version: must be that of wfbt, was {_shown(self.version)}")
        if type(self.seed) is not int or not 0 <= self.seed <= MOST_SEED:
            raise ArtifactError(f"seed: must be a whole number from 0 to {MOST_SEED}, was {_shown(self.seed)}")
        for name in ("issued", "expires"):
            when = getattr(self, name)
            if when.utcoffset() is None or when.utcoffset() or when.microsecond:
                raise ArtifactError(f"{name}: must be whole seconds of UTC, was {when.isoformat()}")
        if not self.issued < self.expires:
            raise ArtifactError(f"expires: must be after issued ({_time(self.issued)}), was {_time(self.expires)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A statement that held, and what it was held against.

    Attributes
    ----------
    statement : Statement
    signed_by : str or None
        Key id; None where an unsigned one was allowed.
    compared : tuple of str
        Names of what was given and agreed; of the rest nothing is known but the statement's word.
    """

    statement: Statement
    signed_by: str | None
    compared: tuple[str, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: DSSE v1's pre-authentication encoding, protocol.md, "Signature Definition"."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(statement: Statement, private_key: bytes | None = None) -> bytes:
    """The envelope of a statement, signed where `private_key` (PEM, PKCS #8, not encrypted) is given.

    The same statement and key give the same bytes: Ed25519 draws nothing.
    """
    payload = _canonical(_tree(statement), "statement")
    _statement(payload, "statement")  # what could not be read back must not be written
    message = pae(PAYLOAD_TYPE, payload)
    signatures = []
    if private_key is not None:
        key = _private(private_key)
        signatures = [{"keyid": _id(key.public_key()), "sig": _base64(key.sign(message))}]
    envelope = _canonical(
        {
            "payload": _base64(payload),
            "payloadType": PAYLOAD_TYPE,
            "sha256": hashlib.sha256(message).hexdigest(),
            "signatures": signatures,
        },
        "statement",
    )
    if len(envelope) > MOST_BYTES:
        raise ArtifactError(f"statement: must take at most {MOST_BYTES:,} bytes, takes {len(envelope):,}")
    return envelope


def verify(
    envelope: bytes,
    source: str,
    *,
    now: datetime,
    given: Mapping[str, str],
    trials: Container[str] | None = None,
    key: bytes | None = None,
    allow_unsigned: bool = False,
    accept: tuple[str, ...] = ("PASS",),
) -> Verified:
    """Hold an envelope against what is at hand; ArtifactError at the first thing that does not agree.

    Nothing in the payload is read before the signature has held.

    Parameters
    ----------
    source : str
        What messages call the file.
    now : datetime
        Aware.
    given : mapping of str to str
        sha256 of what the deployer holds, by the names in HASHES.
    trials : container of str, optional
        Entries of the trial ledger; one that lacks a head of the verdict was cut.
    key : bytes, optional
        Public key, PEM.  With it an unsigned envelope is refused whatever `allow_unsigned` says; without it a signed
        one is, since nobody checked the signature.
    accept : tuple of str
        Statuses that do not raise.
    """
    if now.utcoffset() is None:
        raise ArtifactError(f"now: must have a time zone, was {now.isoformat()}")
    payload, signed_by = _opened(envelope, source, key, allow_unsigned)
    statement = _statement(payload, source)
    bound = statement.bound
    for name, found in given.items():
        if name not in HASHES:
            raise ArtifactError(f"{source}: binds no hash called {_shown(name)}; it binds {', '.join(HASHES)}")
        _check_hash(found, name)
        told = getattr(bound, name)
        if told is None:
            raise ArtifactError(
                f"{source}: {name} sha256: the verdict binds none ({bound.reasons[name]}), what was given has {found}; "
                f"judge it with this {name} by wfbt gate, or leave it out"
            )
        if told != found:
            raise ArtifactError(
                f"{source}: {name} sha256: the verdict binds {told}, what was given has {found}; "
                f"give the {name} that was judged, or judge this one by wfbt gate"
            )
    if trials is not None:
        for head in bound.trials:
            if head not in trials:
                raise ArtifactError(
                    f"{source}: trials: the verdict binds the head {head}, the trial ledger given has no such entry: "
                    "it was cut or is another one; give the one that the gate was run with, or a later one"
                )
    if now < statement.issued:
        raise ArtifactError(
            f"{source}: was issued at {_time(statement.issued)}, and it is {_time(now.astimezone(UTC))}; set the clock"
        )
    if now >= statement.expires:
        raise ArtifactError(
            f"{source}: expired at {_time(statement.expires)}, and it is {_time(now.astimezone(UTC))}; "
            "judge the strategy anew by wfbt gate"
        )
    if statement.status not in accept:
        raise ArtifactError(
            f"{source}: the verdict is {statement.status}, must be {' or '.join(accept)}; do not deploy"
        )
    compared = tuple(name for name in HASHES if name in given) + (("trials",) if trials is not None else ())
    return Verified(statement=statement, signed_by=signed_by, compared=compared)


def check_private_key(private_key: bytes, source: str) -> None:
    """ConfigError unless `private_key` is one to sign with."""
    try:
        _private(private_key)
    except ArtifactError as error:
        raise ConfigError(f"{source}: {error}") from None


def key_id(public_key: bytes, source: str = "public key") -> str:
    """sha256 of the 32 bytes of an Ed25519 public key in PEM."""
    return hashlib.sha256(_raw(public_key, source)).hexdigest()


def _opened(envelope: bytes, source: str, key: bytes | None, allow_unsigned: bool) -> tuple[bytes, str | None]:
    """The payload and who signed it."""
    tree = _fields(_parsed(envelope, source), ("payload", "payloadType", "sha256", "signatures"), source)
    if tree["payloadType"] != PAYLOAD_TYPE:
        raise ArtifactError(f"{source}: payloadType must be {PAYLOAD_TYPE}, was {_shown(tree['payloadType'])}")
    payload = _bytes(tree["payload"], f"{source}: payload")
    message = pae(PAYLOAD_TYPE, payload)
    found = hashlib.sha256(message).hexdigest()
    if tree["sha256"] != found:
        raise ArtifactError(
            f"{source}: payload sha256: the envelope says {_shown(tree['sha256'])}, the payload has {found}; "
            "it was changed after it was sealed: take the file from where it was written"
        )
    signatures = tree["signatures"]
    if not isinstance(signatures, list) or len(signatures) > 1:
        raise ArtifactError(f"{source}: signatures must be a list of one or none, was {_shown(signatures)}")
    if not signatures:
        if key is not None or not allow_unsigned:
            raise ArtifactError(f"{source}: is not signed; seal it by wfbt gate --sign, or allow unsigned verdicts")
        return payload, None
    one = _fields(signatures[0], ("keyid", "sig"), f"{source}: signatures[0]")
    if key is None:
        raise ArtifactError(
            f"{source}: is signed by the key {_shown(one['keyid'])} and no public key was given; give it by --key"
        )
    signer = key_id(key)
    if one["keyid"] != signer:
        raise ArtifactError(
            f"{source}: keyid: the envelope says {_shown(one['keyid'])}, the public key given has {signer}; "
            "give the key of the signer you trust"
        )
    _check_signature(_bytes(one["sig"], f"{source}: sig"), message, key, source)
    return payload, signer


def _check_signature(signature: bytes, message: bytes, key: bytes, source: str) -> None:
    public = _public(key)
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, message)
    except InvalidSignature:
        raise ArtifactError(
            f"{source}: the signature {signature.hex()[:16]}… does not hold for payload sha256 "
            f"{hashlib.sha256(message).hexdigest()} and the key {key_id(key)}; do not deploy: "
            "take the file from where it was signed"
        ) from None


def predicate(statement: Statement) -> dict[str, Any]:
    """A statement in plain values, times as text."""
    bound = statement.bound
    return {
        "status": statement.status,
        "bound": {name: getattr(bound, name) for name in HASHES} | {"trials": list(bound.trials)},
        "reasons": dict(bound.reasons),
        "version": statement.version,
        "seed": statement.seed,
        "issued": _time(statement.issued),
        "expires": _time(statement.expires),
        "findings": dict(statement.findings),
    }


def _tree(statement: Statement) -> dict[str, Any]:
    bound = statement.bound
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": getattr(bound, name)}} for name in SUBJECTS if getattr(bound, name)
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate(statement),
    }


def _statement(payload: bytes, source: str) -> Statement:
    """Read a payload; it must be, byte for byte, what its statement is written as."""
    tree = _fields(_parsed(payload, source), ("_type", "subject", "predicateType", "predicate"), source)
    for name, wanted in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if tree[name] != wanted:
            raise ArtifactError(f"{source}: {name} must be {wanted}, was {_shown(tree[name])}")
    names = ("status", "bound", "reasons", "version", "seed", "issued", "expires", "findings")
    told = _fields(tree["predicate"], names, f"{source}: predicate")
    bound = _fields(told["bound"], (*HASHES, "trials"), f"{source}: predicate.bound")
    for name, wanted_type in (("reasons", dict), ("findings", dict)):
        if not isinstance(told[name], wanted_type):
            raise ArtifactError(f"{source}: predicate.{name} must be an object, was {_shown(told[name])}")
    if not isinstance(bound["trials"], list):
        raise ArtifactError(f"{source}: predicate.bound.trials must be a list, was {_shown(bound['trials'])}")
    for head in bound["trials"]:
        _check_hash(head, "trials")
    try:
        statement = Statement(
            status=told["status"],
            bound=Bound(
                **{name: bound[name] for name in HASHES}, trials=tuple(bound["trials"]), reasons=told["reasons"]
            ),
            version=told["version"],
            seed=told["seed"],
            issued=_when(told["issued"], "issued"),
            expires=_when(told["expires"], "expires"),
            findings=told["findings"],
        )
    except ArtifactError as error:
        raise ArtifactError(f"{source}: {error}") from None
    if _canonical(_tree(statement), source) != payload:
        raise ArtifactError(f"{source}: subject: must name what predicate.bound does, was {_shown(tree['subject'])}")
    return statement


def _parsed(data: bytes, source: str) -> Any:
    """The tree of canonical JSON.

    Comparing it with what it would be written as refuses repeated keys, NaN and other spellings at one stroke.
    """
    if len(data) > MOST_BYTES:
        raise ArtifactError(f"{source}: must be at most {MOST_BYTES:,} bytes long, is {len(data):,}")
    try:
        tree = json.loads(data.decode("ascii"))
        same = _canonical(tree, source) == data
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source}: is no JSON that wfbt wrote ({error}); take the file from its source") from None
    if not same:
        raise ArtifactError(
            f"{source}: was edited or formatted since it was written (spaces, order or repeats of keys, or spelling of "
            "numbers); take the file from its source"
        )
    return tree


def _canonical(tree: Any, source: str) -> bytes:
    try:
        return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{source}: must hold plain JSON with finite numbers: {error}") from None


def _fields(tree: Any, names: tuple[str, ...], source: str) -> dict[str, Any]:
    if not isinstance(tree, dict) or set(tree) != set(names):
        held = sorted(tree) if isinstance(tree, dict) else tree
        raise ArtifactError(f"{source}: must be an object of {', '.join(sorted(names))}, was {_shown(held)}")
    return tree


def _check_hash(value: Any, name: str) -> None:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ArtifactError(f"{name} sha256: must be 64 lower-case hex digits, was {_shown(value)}")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any, source: str) -> bytes:
    """Base64 in its one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ArtifactError(f"{source}: must be base64, was {_shown(text)}") from None
    if _base64(data) != text:
        raise ArtifactError(f"{source}: must be base64 without spare bits, ends {_shown(text[-4:])}")
    return data


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _when(text: Any, name: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise ArtifactError(f"{name}: must be a time such as 2026-01-31T00:00:00Z, was {_shown(text)}") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"


def _raw(public_key: bytes, source: str) -> bytes:
    # Read here, not by cryptography: its serialization package takes longer to import than all else that verify does.
    found = _PEM.fullmatch(public_key[:1000])
    try:
        data = base64.b64decode(b"".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        data = b""
    if len(data) != len(_SPKI) + 32 or not data.startswith(_SPKI):
        raise ArtifactError(f"{source}: must be an Ed25519 public key in PEM (openssl pkey -pubout writes one)")
    return data[len(_SPKI) :]


def _public(public_key: bytes) -> Ed25519PublicKey:
    raw = _raw(public_key, "public key")
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError:
        raise ArtifactError(_NEEDED) from None
    return Ed25519PublicKey.from_public_bytes(raw)


def _private(private_key: bytes) -> Ed25519PrivateKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError:
        raise ArtifactError(_NEEDED) from None
    try:
        key = load_pem_private_key(private_key, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ArtifactError(
            "private key: must be an Ed25519 key in PEM, not encrypted (openssl genpkey -algorithm ed25519 writes one)"
        )
    return key


def _id(public: Ed25519PublicKey) -> str:
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


_NEEDED = "signatures need cryptography, which is not installed here; install it with: pip install cryptography"
