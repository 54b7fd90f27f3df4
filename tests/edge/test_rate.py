from gateway.edge.rate import Rate


def test_an_address_has_its_rate_and_five_seconds_of_burst():
    rate = Rate(2.0)
    assert [rate.take("192.0.2.1", 0.0) for _ in range(11)] == [True] * 10 + [False]
    assert rate.take("192.0.2.2", 0.0)
    assert not rate.take("192.0.2.1", 0.4)
    assert rate.take("192.0.2.1", 1.0)


def test_one_network_of_ipv6_is_one_address():
    rate = Rate(1.0)
    assert [rate.take(f"2001:db8::{n:x}", 0.0) for n in range(6)] == [True] * 5 + [False]
    assert rate.take("2001:db8:0:1::1", 0.0)


def test_whoever_is_silent_is_forgotten_and_has_a_full_burst_again():
    rate = Rate(1.0)
    for _ in range(6):
        rate.take("192.0.2.1", 0.0)
    rate.forget(4.9)
    assert not rate.take("192.0.2.1", 0.0)
    rate.forget(5.0)
    assert rate._buckets == {}
    assert rate.take("192.0.2.1", 5.0)
