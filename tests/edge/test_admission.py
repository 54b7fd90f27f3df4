"""How many may be here: at each limit, and one past it."""

from ipaddress import ip_network

import pytest

from gateway.edge.admission import SPARE, SPARE_PER_ADDRESS, Admission, ServerLimits
from gateway.edge.credentials import Identity
from gateway.edge.doors import Door
from gateway.edge.roles import VIEWER

LIMITS = ServerLimits(connections=4, per_address=2, per_user=2)
ANN = Identity(VIEWER, credential="t", method="token", user="ann")


def test_some_more_than_the_limit_get_a_handshake_to_be_told():
    admission = Admission(LIMITS)
    assert admission.refusal("a", Door(), 4 + SPARE - 1) is None
    assert admission.refusal("a", Door(), 4 + SPARE) == "connections"
    assert admission.no_room("a", None, 4) is None
    assert admission.no_room("a", None, 5)[0] == "connections"


def test_an_address_is_told_and_then_shut_out():
    admission = Admission(LIMITS)
    for number in range(2 + SPARE_PER_ADDRESS):
        assert admission.refusal("a", Door(), number) is None
        admission.arrive("a")
        assert (admission.no_room("a", None, 1) is None) == (number < 2)
    assert admission.refusal("a", Door(), 10) == "connections-per-address"
    assert admission.refusal("b", Door(), 10) is None


@pytest.mark.parametrize("peer", ["unix", "10.0.0.1"])
def test_a_trusted_proxy_is_not_counted_as_one_client(peer):
    admission = Admission(LIMITS)
    door = Door(proxies=(ip_network("10.0.0.0/8"),))
    for _ in range(50):
        admission.arrive(peer)
    assert admission.refusal(peer, door, 1) is None


def test_a_connection_counts_for_who_stands_behind_the_proxy():
    admission = Admission(LIMITS)
    for number in range(3):
        admission.arrive("proxy")
        admission.move("proxy", f"client{number % 2}")
    assert admission.no_room("proxy", None, 1) is None
    admission.arrive("client0")
    assert admission.no_room("client0", None, 1)[0] == "connections-per-address"


def test_a_user_has_so_many_sessions_and_nobody_without_a_name():
    admission = Admission(LIMITS)
    for _ in range(2):
        assert not admission.crowded(ANN)
        admission.book(None, ANN)
    assert admission.no_room("a", ANN, 1)[0] == "connections-per-user"
    admission.book(ANN, None)
    assert admission.no_room("a", ANN, 1) is None
    nobody = Identity(VIEWER, credential="anyone")
    for _ in range(5):
        admission.book(None, nobody)
    assert not admission.crowded(nobody)


def test_nothing_is_kept_of_who_has_left():
    admission = Admission(LIMITS)
    admission.arrive("a")
    admission.book(None, ANN)
    admission.move("a", "b")
    admission.book(ANN, None)
    admission.leave("b")
    assert not admission
