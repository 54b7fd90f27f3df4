"""When a client is asked for a sign of life, when it counts as dead, and how long its answer took."""

from gateway.hub.heartbeat import Beat, Heartbeat


def test_a_silent_client_is_asked_once_and_dead_when_it_does_not_answer_in_time():
    heartbeat = Heartbeat(20.0, 10.0, 100.0)
    assert [heartbeat.beat(now) for now in (119.0, 120.0, 121.0, 129.9, 130.0)] == [
        *(Beat.NOTHING, Beat.PING, Beat.NOTHING, Beat.NOTHING, Beat.DEAD)
    ]


def test_it_is_due_when_it_has_something_to_say_and_not_before():
    heartbeat = Heartbeat(20.0, 10.0, 100.0)
    assert heartbeat.due == 120.0
    heartbeat.heard(115.0)
    assert heartbeat.due == 135.0
    assert heartbeat.beat(heartbeat.due) is Beat.PING
    assert heartbeat.due == 145.0
    assert heartbeat.beat(heartbeat.due) is Beat.DEAD


def test_whatever_comes_is_a_sign_of_life():
    heartbeat = Heartbeat(20.0, 10.0, 100.0)
    heartbeat.heard(115.0)
    assert heartbeat.beat(130.0) is Beat.NOTHING
    assert heartbeat.beat(135.0) is Beat.PING
    heartbeat.heard(144.0)
    assert heartbeat.beat(150.0) is Beat.NOTHING


def test_the_round_trip_is_that_of_the_last_ping_and_of_nothing_else():
    heartbeat = Heartbeat(20.0, 10.0, 100.0)
    heartbeat.heard(110.0)
    assert heartbeat.rtt is None
    assert heartbeat.beat(130.0) is Beat.PING
    heartbeat.heard(130.5)
    heartbeat.heard(140.0)
    assert heartbeat.rtt == 0.5
