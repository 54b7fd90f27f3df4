import ipaddress

import pytest
from websockets.datastructures import Headers

from gateway.edge.forwarded import Caller, caller_of, is_trusted

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


def caller(*headers: tuple[str, str], peer: str = "10.0.0.1", secure: bool = False) -> Caller:
    return caller_of(Headers([("Host", "box:8880"), *headers]), peer=peer, secure=secure, proxies=PROXIES)


def test_without_proxies_the_peer_is_the_caller():
    assert caller(peer="192.0.2.7") == Caller("192.0.2.7", False, "box:8880", True, False)


@pytest.mark.parametrize(
    "header",
    [("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Via", "1.1 x")],
)
def test_nobody_else_is_believed_and_whoever_says_such_a_thing_is_not_direct(header):
    found = caller(header, ("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "https"), peer="192.0.2.7")
    assert found == Caller("192.0.2.7", False, "box:8880", False, False)


def test_a_declared_proxy_is_believed():
    found = caller(
        ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "panel.example")
    )
    assert found == Caller("192.0.2.7", True, "panel.example", False, True)


def test_a_declared_proxy_that_says_nothing_still_stands_between():
    assert caller() == Caller("10.0.0.1", False, "box:8880", False, True)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("192.0.2.7, 10.1.1.1, 10.2.2.2", "192.0.2.7"),
        # What stands left of the first unknown hop was written by the client itself.
        ("127.0.0.1, 192.0.2.7, 10.2.2.2", "192.0.2.7"),
        ("127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_hop_that_is_no_proxy(chain, address):
    assert caller(("X-Forwarded-For", chain)).address == address
    if "unknown" not in chain and "[" not in chain and "::" not in chain and ":4711" not in chain:
        forwarded = ", ".join(f"for={hop.strip()}" for hop in chain.split(","))
        assert caller(("Forwarded", forwarded)).address == address


def test_forwarded_is_read_as_the_rfc_writes_it():
    found = caller(("Forwarded", 'for="[2001:db8::1]:47011";proto=https;host="panel.example:8443"; by=_x'))
    assert found == Caller("2001:db8::1", True, "panel.example:8443", False, True)
    found = caller(("Forwarded", 'for=192.0.2.7;host="a\\"b,c;d"'), ("Forwarded", "for=10.3.3.3"))
    assert (found.address, found.host) == ("192.0.2.7", 'a"b,c;d')
    assert caller(("Forwarded", "for=_hidden;proto=https")).address == "10.0.0.1"


@pytest.mark.parametrize(
    "header",
    [
        ("Forwarded", "for"),
        ("Forwarded", "for=1.2.3.4;for=2.3.4.5"),
        ("Forwarded", 'for="1.2.3.4'),
        ("Forwarded", "for=nobody"),
        ("X-Forwarded-For", "drop table"),
        ("X-Forwarded-For", ", ".join(["1.2.3.4"] * 40)),
    ],
)
def test_a_proxy_that_talks_nonsense_is_refused(header):
    with pytest.raises(ValueError, match=r".+"):
        caller(header)


def test_two_kinds_that_disagree_are_refused_since_one_is_the_clients_own():
    forwarded, other = ("Forwarded", "for=127.0.0.1;host=box"), ("X-Forwarded-For", "192.0.2.7")
    with pytest.raises(ValueError, match="disagree"):
        caller(forwarded, other)
    same = caller(("Forwarded", "for=192.0.2.7;proto=https"), other, ("X-Forwarded-Proto", "https"))
    assert (same.address, same.secure) == ("192.0.2.7", True)


def test_mapped_addresses_belong_to_their_network():
    assert is_trusted("::ffff:10.1.2.3", PROXIES)
    assert is_trusted("fd00::1%eth0", PROXIES)
    assert not is_trusted("unix", PROXIES)
