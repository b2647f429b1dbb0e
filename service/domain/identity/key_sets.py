"""Key sets of issuers (JWKS, RFC 7517): public keys, each for the algorithms of its own type.

The type of the key decides which algorithms it verifies, never the token. Symmetric keys are not used: a public key can
therefore not serve as the secret of an HMAC.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact
from joserfc.registry import Header

from service.domain.identity.tokens import LONGEST, Token

#: Bytes of a key set, fetched or inline.
LONGEST_KEY_SET: Final = 65_536
MOST_KEYS: Final = 64
_RSA_BITS: Final = range(2048, 8193)
#: Algorithms by the type of the key: ``kty``, and ``crv`` where it has one.
_ALGORITHMS: Final = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC P-256": frozenset({"ES256"}),
    "EC P-384": frozenset({"ES384"}),
    "EC P-521": frozenset({"ES512"}),
    "OKP Ed25519": frozenset({"EdDSA", "Ed25519"}),
}
ALGORITHMS: Final = frozenset().union(*_ALGORITHMS.values())
#: Members of a public key. Only these are read: never a certificate, a URL or a private part.
_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_IMPORTS: Final[Mapping[str, Callable[[Any], RSAKey | ECKey | OKPKey]]] = {
    "RSA": RSAKey.import_key,
    "EC": ECKey.import_key,
    "OKP": OKPKey.import_key,
}
#: ``use`` of keys that sign tokens; SPIFFE bundles name them ``jwt-svid``.
_USES: Final = (None, "sig", "jwt-svid")


class KeySetFault(ValueError):
    """Why a key set cannot be used; text for operators."""


class _KeyFault(ValueError):
    """Why one key of a set is not used."""


class _Registry(JWSRegistry):
    """The algorithms of this module; the bounds are those of ``parse_token``."""

    max_header_length = max_payload_length = max_signature_length = LONGEST

    def get_alg(self, name: str) -> Any:
        # joserfc warns of the name EdDSA, which RFC 9864 replaced by one name for each curve.
        return super().get_alg("Ed25519" if name == "EdDSA" else name)

    def check_header(self, header: Header) -> None:
        """Check nothing: `parse_token` did, and headers that name keys are ignored, whatever they have."""


_REGISTRY: Final = _Registry(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    id: str | None
    kind: str
    algorithm: str | None
    """The only algorithm, if the key set names it."""
    thumbprint: str
    _key: RSAKey | ECKey | OKPKey = field(repr=False)

    def fits(self, algorithm: str) -> bool:
        return algorithm in _ALGORITHMS[self.kind] and self.algorithm in (None, algorithm)

    def verifies(self, token: Token) -> bool:
        """Return whether this key signed the token."""
        if not self.fits(token.algorithm):
            return False
        try:
            deserialize_compact(token.text, self._key, registry=_REGISTRY)
        except (JoseError, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeySet:
    keys: tuple[VerificationKey, ...]

    def select(self, token: Token) -> VerificationKey | None:
        """Return the key that a token names; without a ``kid`` the only one that fits; None: there is none."""
        fitting = [key for key in self.keys if key.fits(token.algorithm)]
        if token.key_id is not None:
            fitting = [key for key in fitting if key.id == token.key_id]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def thumbprints(self) -> frozenset[str]:
        return frozenset(key.thumbprint for key in self.keys)


@lru_cache(maxsize=256)
def parse_key_set(content: str) -> KeySet:
    """Read a key set, without the keys that sign no tokens. Raises KeySetFault if no key is left, or one is private."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise KeySetFault("it is not JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list):
        raise KeySetFault("it is not an object with a list 'keys'")
    if len(keys) > MOST_KEYS:
        raise KeySetFault(f"it has more than {MOST_KEYS} keys")
    if any(isinstance(key, dict) and "d" in key for key in keys):
        raise KeySetFault("it has a private key; give public keys only, and replace that key")
    usable, faults = [], []
    for index, key in enumerate(keys):
        try:
            usable.append(_key(key))
        except _KeyFault as fault:
            faults.append(f"key {index}: {fault}")
    if not usable:
        raise KeySetFault("; ".join(["it has no key that can verify tokens", *faults[:4]]))
    return KeySet(tuple(usable))


def _key(jwk: object) -> VerificationKey:
    if not isinstance(jwk, dict):
        raise _KeyFault("it is not an object")
    kty, algorithm, key_id = (_optional_text(jwk, name) for name in ("kty", "alg", "kid"))
    if kty is None or kty not in _MEMBERS:
        raise _KeyFault("its 'kty' is not RSA, EC or OKP")
    kind = f"{kty} {jwk.get('crv')}" if "crv" in _MEMBERS[kty] else kty
    if kind not in _ALGORITHMS:
        raise _KeyFault("its 'crv' is not P-256, P-384, P-521 or Ed25519")
    _check_use(jwk)
    if algorithm is not None and algorithm not in _ALGORITHMS[kind]:
        raise _KeyFault("its 'alg' is not one of its type")
    key = _imported(kty, jwk)
    return VerificationKey(key_id, kind, algorithm, key.thumbprint(), key)


def _optional_text(jwk: Mapping[str, Any], name: str) -> str | None:
    value = jwk.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _KeyFault(f"its {name!r} is not a text")


def _check_use(jwk: Mapping[str, Any]) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use") not in _USES or not isinstance(operations, list) or "verify" not in operations:
        raise _KeyFault("it is not for signatures ('use', 'key_ops')")


def _imported(kty: str, jwk: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey:
    public = {"kty": kty, **{name: value for name in _MEMBERS[kty] if isinstance(value := jwk.get(name), str)}}
    if len(public) <= len(_MEMBERS[kty]):
        raise _KeyFault("a member of the public key is missing")
    try:
        if kty == "RSA":
            _check_bits(public["n"])
        return _IMPORTS[kty](public)
    except (JoseError, ValueError, TypeError) as error:
        if isinstance(error, _KeyFault):
            raise
        raise _KeyFault("it is no valid public key") from None


def _check_bits(modulus: str) -> None:
    bits = int.from_bytes(base64.urlsafe_b64decode(f"{modulus}==")).bit_length()
    if bits not in _RSA_BITS:
        raise _KeyFault(f"it has {bits} bits; RSA keys need 2048 to 8192")
