import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.edge.jwts import Claims, Jwts
from gateway.errors import GatewayError

SECRET = b"0123456789abcdef0123456789abcdef"
KEYS = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def judge(tmp_path, algorithm="HS256", key=SECRET, **options):
    file = tmp_path / "key"
    file.write_bytes(key)
    settings = {"audience": "", "issuer": "", "role_claim": "role", "topics_claim": ""} | options
    return Jwts(algorithm=algorithm, key_file=file, **settings)


def public(private) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def claims(**more):
    return {"sub": "ann", "role": "viewer", "exp": time.time() + 600, **more}


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_signed_by_the_right_key_it_is_believed(tmp_path, algorithm):
    private = KEYS[algorithm]()
    found = judge(tmp_path, algorithm, public(private)).verify(jwt.encode(claims(), private, algorithm))
    assert isinstance(found, Claims)
    assert (found.user, found.roles, found.topics) == ("ann", ("viewer",), None)
    stranger = KEYS[algorithm]()
    verdict = judge(tmp_path, algorithm, public(private)).verify(jwt.encode(claims(), stranger, algorithm))
    assert verdict == "this token is not believed: its signature is wrong"


def test_a_secret_works_too(tmp_path):
    assert isinstance(judge(tmp_path).verify(jwt.encode(claims(), SECRET, "HS256")), Claims)


def test_the_algorithm_is_that_of_the_configuration(tmp_path):
    private = KEYS["RS256"]()
    pem = public(private)
    believed = judge(tmp_path, "RS256", pem)
    # Signed with the public key as a secret: the confusion that a token's own "alg" invites.
    forged = _sign_by_hand({"alg": "HS256", "typ": "JWT"}, claims(), pem)
    assert isinstance(believed.verify(forged), str)
    none = _part({"alg": "none"}) + "." + _part(claims()) + "."
    assert isinstance(believed.verify(none), str)
    assert isinstance(judge(tmp_path, key=SECRET * 2).verify(jwt.encode(claims(), SECRET * 2, "HS384")), str)


def _part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _sign_by_hand(header, body, secret) -> str:
    import hashlib
    import hmac

    signed = f"{_part(header)}.{_part(body)}"
    mark = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "is missing"),
        ({"nbf": time.time() + 1000}, "not valid yet"),
        ({"aud": "other"}, "somebody else (aud)"),
        ({"aud": None}, "is missing"),
        ({"iss": "other"}, "issued it (iss)"),
        ({"iss": None}, "is missing"),
        ({"role": None}, "names no role"),
        ({"role": 7}, "names no role"),
        ({"role": []}, "names no role"),
    ],
)
def test_what_is_claimed_is_checked(tmp_path, change, why):
    good = claims(aud="box", iss="us")
    believed = judge(tmp_path, audience="box", issuer="us")
    assert isinstance(believed.verify(jwt.encode(good, SECRET, "HS256")), Claims)
    bad = {k: v for k, v in (good | change).items() if v is not None}
    assert why in believed.verify(jwt.encode(bad, SECRET, "HS256"))


def test_roles_and_topics_may_be_lists(tmp_path):
    believed = judge(tmp_path, topics_claim="topics")
    found = believed.verify(jwt.encode(claims(role=["a", "b"], topics=["x/#"]), SECRET, "HS256"))
    assert (found.roles, found.topics) == (("a", "b"), ("x/#",))
    assert believed.verify(jwt.encode(claims(), SECRET, "HS256")).topics == ()


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "é.é.é", "x" * 9000, "eyJ" * 100])
def test_nonsense_is_refused_without_repeating_it(tmp_path, text):
    verdict = judge(tmp_path).verify(text)
    assert isinstance(verdict, str)
    assert len(text) < 3 or text not in verdict


@pytest.mark.parametrize(
    ("algorithm", "key", "why"),
    [
        ("HS512", SECRET, "expected 64 or more"),
        ("RS256", public(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "expected 2048 or more"),
        ("HS256", b"short", "expected 32 or more"),
        ("HS256", public(KEYS["ES256"]()), "no key for HS256"),
        ("ES256", SECRET, "no key for ES256"),
        ("RS256", public(KEYS["ES256"]()), "no key for RS256"),
    ],
)
def test_a_key_that_does_not_fit_stops_the_start(tmp_path, algorithm, key, why):
    with pytest.raises(GatewayError, match=why):
        judge(tmp_path, algorithm, key)


def test_a_changed_key_is_taken_and_a_broken_one_is_not(tmp_path):
    believed = judge(tmp_path)
    other = b"another secret of thirty-two bytes and more"
    (tmp_path / "key").write_bytes(other)
    assert believed.refresh()
    assert not believed.refresh()
    assert isinstance(believed.verify(jwt.encode(claims(), other, "HS256")), Claims)
    (tmp_path / "key").write_bytes(b"")
    with pytest.raises(GatewayError):
        believed.refresh()
    assert isinstance(believed.verify(jwt.encode(claims(), other, "HS256")), Claims)
