import pytest

from gateway.upstream.address import Address, parse


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://box", ("mqtt", "box", 1883, "/mqtt")),
        ("mqtts://box", ("mqtts", "box", 8883, "/mqtt")),
        ("mqtts://[::1]:1", ("mqtts", "::1", 1, "/mqtt")),
        ("ws://box:9001", ("ws", "box", 9001, "/mqtt")),
        ("wss://box/ws/mqtt", ("wss", "box", 443, "/ws/mqtt")),
        ("unix:///run/mosquitto/broker.sock", ("unix", "", 0, "/run/mosquitto/broker.sock")),
        ("unix:///run/a%20b", ("unix", "", 0, "/run/a b")),
    ],
)
def test_a_url_is_read(url: str, expected: tuple[str, str, int, str]) -> None:
    assert parse(url) == Address(url, *expected)


@pytest.mark.parametrize("url", ["http://box", "box:1883", "mqtt://", "unix://", ""])
def test_what_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a broker"):
        parse(url)


def test_only_mqtts_and_wss_use_tls() -> None:
    assert [parse(f"{scheme}://box").tls for scheme in ("mqtt", "mqtts", "ws", "wss")] == [False, True, False, True]
