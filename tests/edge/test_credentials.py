import base64

import pytest
from websockets.datastructures import Headers

from gateway.edge.credentials import Credentials, Identity, Judge, Refusal, carried
from gateway.edge.roles import Role
from gateway.edge.tokens import Tokens

ROLES = {
    "viewer": Role("viewer", subscribe=("#",), certificates=("panel.lan",)),
    "home": Role("home", subscribe=("home/%u/#",)),
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def bearer(text: str) -> str:
    return "bearer." + base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_the_header_and_the_subprotocol_carry_a_token():
    headers = Headers([("Authorization", "Bearer abc"), ("Sec-WebSocket-Protocol", f"{bearer('def')}, mqtt")])
    assert carried(headers) == Credentials("abc", "def", ("mqtt",))
    assert carried(Headers()) == Credentials(None, None, ())
    # A proxy's own sign-in passes through; it is none of ours.
    assert carried(Headers([("Authorization", "Basic YTpi")])).header is None


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([("Authorization", "Bearer ")], "Bearer and one token"),
        ([("Authorization", "Bearer a b")], "Bearer and one token"),
        ([("Authorization", "Bearer " + "a" * 9000)], "Bearer and one token"),
        ([("Sec-WebSocket-Protocol", bearer("a"))], "never alone"),
        ([("Sec-WebSocket-Protocol", f"{bearer('a')}, {bearer('b')}, mqtt")], "more than one"),
        ([("Sec-WebSocket-Protocol", "bearer.$$$, mqtt")], "base64url"),
        ([("Sec-WebSocket-Protocol", "bearer.w7Y, mqtt")], "base64url"),
        ([("Sec-WebSocket-Protocol", f"bearer.{'a' * 20000}, mqtt")], "too long"),
    ],
)
def test_a_credential_that_cannot_be_read_is_refused(headers, why):
    with pytest.raises(ValueError, match=why) as caught:
        carried(Headers(headers))
    assert "aaaa" not in str(caught.value)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "tokens.json")


def judge(clock, tokens, methods=("token",)):
    tokens.refresh()
    return Judge(roles=ROLES, methods=methods, tokens=tokens, clock=clock, wall=clock)


def test_a_token_becomes_an_identity(clock, tokens):
    text = tokens.new("ann", "home", now=0.0, expires=5000.0)
    found = judge(clock, tokens).bearer(text, "192.0.2.1")
    assert isinstance(found, Identity)
    assert (found.user, found.method, found.expires) == ("ann", "token", 5000.0)
    assert found.role.subscribe == ("home/ann/#",)
    assert found.credential in text


def test_a_token_of_a_role_that_is_gone_is_refused(clock, tokens):
    text = tokens.new("ann", "admin", now=0.0)
    assert isinstance(judge(clock, tokens).bearer(text, "192.0.2.1"), Refusal)


def test_ten_failures_a_minute_shut_the_door_for_a_minute(clock, tokens):
    good = tokens.new("ann", "viewer", now=0.0)
    who = judge(clock, tokens)
    for _ in range(9):
        assert who.bearer("gw_wrong", "192.0.2.1").retry_after is None
    assert isinstance(who.bearer(good, "192.0.2.1"), Identity)
    who.bearer("gw_wrong", "192.0.2.1")
    refused = who.bearer(good, "192.0.2.1")
    assert refused.retry_after == 60.0
    assert isinstance(who.bearer(good, "192.0.2.2"), Identity)
    clock.now += 60.1
    assert isinstance(who.bearer(good, "192.0.2.1"), Identity)


def test_one_household_of_ipv6_counts_as_one(clock, tokens):
    who = judge(clock, tokens)
    for number in range(10):
        who.bearer("gw_wrong", f"2001:db8::{number:x}")
    assert who.bearer("gw_wrong", "2001:db8::ffff").retry_after
    assert who.bearer("gw_wrong", "2001:db8:0:1::1").retry_after is None


def test_certificates_sign_in_by_their_names(clock, tokens):
    off = judge(clock, tokens)
    assert off.certificate(["panel.lan"]) is None
    who = judge(clock, tokens, ["certificate"])
    assert who.certificate([]) is None
    found = who.certificate(["x", "panel.lan"])
    assert (found.user, found.role.name, found.method) == ("panel.lan", "viewer", "certificate")
    assert isinstance(who.certificate(["stranger"]), Refusal)


def test_a_proxy_names_user_and_role(clock, tokens):
    who = judge(clock, tokens, ["proxy"])
    found = who.proxy(Headers([("Remote-User", "ann"), ("Remote-Groups", "staff,home")]))
    assert (found.user, found.role.subscribe) == ("ann", ("home/ann/#",))
    assert who.proxy(Headers()) is None
    assert isinstance(who.proxy(Headers([("Remote-User", "ann"), ("Remote-Groups", "staff")])), Refusal)
    assert isinstance(who.proxy(Headers([("Remote-User", "a"), ("Remote-User", "b")])), Refusal)
    assert isinstance(who.proxy(Headers([("Remote-User", "+"), ("Remote-Groups", "home")])), Refusal)
    assert judge(clock, tokens).proxy(Headers([("Remote-User", "ann")])) is None


def test_still_sees_what_has_changed(clock, tokens):
    text = tokens.new("ann", "viewer", now=0.0)
    who = judge(clock, tokens)
    before = who.bearer(text, "192.0.2.1")
    assert who.still(before) == before
    narrower = Judge(
        roles={"viewer": Role("viewer", subscribe=("a/#",))}, methods=["token"], tokens=tokens, clock=clock, wall=clock
    )
    assert narrower.still(before).role.subscribe == ("a/#",)
    tokens.revoke("ann")
    tokens.refresh()
    assert who.still(before) == Refusal("your token was revoked")
    expired = Identity(ROLES["viewer"], "ann", "jwt", expires=999.0)
    assert who.still(expired) == Refusal("your credential has expired")
    assert who.still(Identity(ROLES["viewer"], "ann", "jwt")) == Refusal("your way to sign in was turned off")
