"""Signatures by several keys, and their rotation: every key signs until the end of its overlap."""

import base64
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from service.domain.signing import (
    MOST_KEYS,
    SigningKey,
    in_force,
    new_key,
    new_private,
    new_secret,
    public_bytes,
    rotated,
    signed_headers,
)
from service.errors import OverlapPromised
from tests.support.factories import NOW

SPANS = st.integers(min_value=0, max_value=10).map(lambda hours: timedelta(hours=hours))
ROTATIONS = st.lists(st.tuples(SPANS, SPANS.filter(bool)), max_size=30)


@given(ROTATIONS)
def test_rotation_never_shortens_an_overlap(rotations: list[tuple[timedelta, timedelta]]) -> None:
    """Rotate at any times with any overlaps. A refused rotation changes nothing."""
    now, promised = NOW, dict[str, datetime]()
    keys: tuple[SigningKey, ...] = (SigningKey("secret 0"),)
    for number, (pause, overlap) in enumerate(rotations, 1):
        now += pause
        try:
            after = rotated(keys, SigningKey(f"secret {number}"), overlap=overlap, now=now)
        except OverlapPromised:
            assert len(in_force(keys, now)) == MOST_KEYS
            continue
        promised[keys[0].secret] = now + overlap
        keys = after
        assert keys[0].until is None
        assert {key.secret for key in keys[1:]} == {name for name, until in promised.items() if until > now}
        assert all(key.until == promised[key.secret] for key in keys[1:])


def test_rotation_without_overlap_ends_all_keys() -> None:
    keys = (SigningKey("current"), SigningKey("retired", until=NOW + timedelta(days=1)))
    assert rotated(keys, SigningKey("new"), overlap=timedelta(), now=NOW) == (SigningKey("new"),)


def test_rotation_of_as_many_keys_as_may_sign_is_refused() -> None:
    keys = (SigningKey("current"), *(SigningKey(str(n), until=NOW + timedelta(days=1)) for n in range(MOST_KEYS - 1)))
    with pytest.raises(OverlapPromised) as refused:
        rotated(keys, SigningKey("new"), overlap=timedelta(hours=1), now=NOW)

    assert str(refused.value) == (
        "10 secrets are in use, the most there may be. Rotate again when the first overlap has ended, at "
        "2026-01-31T10:30:00Z, or with an overlap of 0, which ends all of them."
    )


def test_rotation_of_one_key_less_is_made() -> None:
    keys = (SigningKey("current"), *(SigningKey(str(n), until=NOW + timedelta(days=1)) for n in range(MOST_KEYS - 2)))
    assert len(rotated(keys, SigningKey("new"), overlap=timedelta(hours=1), now=NOW)) == MOST_KEYS


def test_key_ends_at_the_end_of_its_overlap() -> None:
    key = SigningKey("retired", until=NOW)
    assert in_force([key], NOW - timedelta(microseconds=1)) == (key,)
    assert in_force([key], NOW) == ()


def test_new_keys_have_their_form_and_differ() -> None:
    shared, both = new_key(ed25519=False), new_key(ed25519=True)

    assert shared.private is None
    assert both.private is not None
    assert (shared.secret[:6], both.secret[:6], both.private[:5]) == ("whsec_", "whsec_", "whsk_")
    assert len(base64.b64decode(both.private.removeprefix("whsk_"), validate=True)) == 32
    assert len({shared.secret, both.secret, new_secret()}) == 3
    assert both.private != new_private()
    assert (shared.until, both.until) == (None, None)


def test_ed25519_signature_follows_the_standard() -> None:
    """Test 1 of RFC 8032 has this seed and this public key."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    private = f"whsk_{base64.b64encode(seed).decode()}"
    first, second = replace(new_key(ed25519=False), private=private), new_key(ed25519=False)

    headers = signed_headers((first, second), "msg_1", b"{}", NOW)

    shared, public, other = headers["webhook-signature"].split(" ")
    assert public_bytes(private).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    message = f"msg_1.{int(NOW.timestamp())}.{{}}".encode()
    assert public.startswith("v1a,")
    Ed25519PublicKey.from_public_bytes(public_bytes(private)).verify(base64.b64decode(public[4:]), message)
    assert [shared, other] == [
        signed_headers(key.secret, "msg_1", b"{}", NOW)["webhook-signature"] for key in (first, second)
    ]
