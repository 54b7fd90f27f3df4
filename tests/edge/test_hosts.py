import pytest

from gateway.edge.hosts import is_loopback_host, is_own, own_names

NAMES = own_names("Box.example", ["panel.lan", "*.kiosk.lan"])


@pytest.mark.parametrize(
    "host",
    [
        "box",
        "BOX:8443",
        "box.local",
        "box.example:1",
        "panel.lan",
        "a.kiosk.lan",
        "localhost",
        "192.168.1.5:80",
        "[fe80::1]:80",
    ],
)
def test_own_names_and_all_numbers_are_ours(host):
    assert is_own(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "box.evil.example",
        "a.b.kiosk.lan",
        "kiosk.lan",
        "",
        "box lan",
        "127.0.0.1.evil.example",
        "box:x",
        "box\x1b",
    ],
)
def test_other_names_are_not(host):
    assert not is_own(host, NAMES)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost:8880", True),
        ("127.0.0.1", True),
        ("127.9.9.9:1", True),
        ("[::1]:8880", True),
        ("[::2]", False),
        ("10.0.0.1", False),
        ("box.lan", False),
        ("localhost.evil.example", False),
        ("bad host", False),
    ],
)
def test_loopback_is_what_names_this_machine(host, loopback):
    assert is_loopback_host(host) is loopback
