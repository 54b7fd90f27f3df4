import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.origin import Verdict, check_origin, parse_host, parse_origin, parse_rule, toml_line


def allowed(value, *rules, host="box.lan:8443", secure=True):
    values = value if isinstance(value, list) else [value]
    return check_origin(values, host=host, secure=secure, rules=[parse_rule(r) for r in rules], missing="allow").allowed


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("https://box.lan:8443", "box.lan:8443", True),
        ("HTTPS://BOX.lan:8443", "box.LAN:8443", True),
        ("https://box.lan", "box.lan", True),
        ("https://box.lan:443", "box.lan", True),
        ("https://box.lan", "box.lan:443", True),
        ("http://box.lan", "box.lan:80", False),
        ("https://[::1]:8443", "[0:0:0:0:0:0:0:1]:8443", True),
        ("http://[fe80::1]", "[FE80::1]", False),
        # A proxy in front does TLS and says nothing of it.
        ("https://box.lan", "box.lan", False),
    ],
)
def test_the_same_origin_is_always_allowed(origin, host, secure):
    assert allowed(origin, host=host, secure=secure)


@pytest.mark.parametrize(
    ("origin", "host", "secure"),
    [
        ("http://box.lan", "box.lan", True),
        ("https://box.lan", "box.lan:8443", True),
        ("https://box.lan.", "box.lan", True),
        ("https://evil.example", "box.lan", True),
        ("https://box.lan", "evil box.lan", True),
        ("ws://box.lan", "box.lan", False),
    ],
)
def test_another_origin_is_not_the_same(origin, host, secure):
    assert not allowed(origin, host=host, secure=secure)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "box.lan",
        "https://",
        "https:box.lan",
        "https://box.lan/",
        "https://box.lan/x",
        "https://user@box.lan",
        "https://box.lan?x",
        "https://box.lan#x",
        "https://box.lan https://evil.example",
        "https://box.lan,https://evil.example",
        "https://box.lan:",
        "https://box.lan:99999",
        "https://[::1",
        "https://[::g]",
        "https://[1:2]",
        "https://böx.lan",
        "https://box\x1b[31m.lan",
        "https://box\x7f.lan",
        "https://box\x00.lan",
        'https://box".lan',
        "Null",
        "undefined",
        "https://box.lan\t",
    ],
)
def test_what_cannot_be_read_is_refused_and_never_taken_as_absent(value):
    assert not allowed(value, "https://box.lan", host=None)
    assert not check_origin([value], host=None, secure=True, rules=[parse_rule("null")], missing="allow").allowed


def test_absent_is_a_matter_of_configuration():
    for missing, verdict in (("allow", True), ("deny", False)):
        assert check_origin([], host="a", secure=True, rules=[], missing=missing).allowed is verdict


def test_two_headers_are_refused_even_if_both_are_good():
    assert not allowed(["https://box.lan:8443", "https://box.lan:8443"])


def test_null_is_refused_unless_it_is_named():
    assert not allowed("null")
    assert allowed("null", "null")
    assert not allowed("https://a.example", "null")


@pytest.mark.parametrize(
    ("rule", "origin", "verdict"),
    [
        ("https://panel.example", "https://panel.example", True),
        ("https://PANEL.example/", "https://panel.example:443", True),
        ("https://panel.example:443", "https://panel.example", True),
        ("https://panel.example", "http://panel.example", False),
        ("https://panel.example", "https://panel.example:8443", False),
        ("https://panel.example", "https://panel.example.evil.com", False),
        ("https://panel.example", "https://evilpanel.example", False),
        ("https://*.example.org", "https://a.example.org", True),
        ("https://*.example.org", "https://a.b.example.org", False),
        ("https://*.example.org", "https://example.org", False),
        ("https://*.example.org", "https://evilexample.org", False),
        ("https://*.example.org", "https://.example.org", False),
        ("http://localhost:*", "http://localhost:5173", True),
        ("http://localhost:*", "http://localhost", True),
        ("http://localhost:*", "https://localhost:5173", False),
        ("http://[::1]:*", "http://[0::1]:3000", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
    ],
)
def test_a_rule_allows_exactly_what_it_says(rule, origin, verdict):
    assert allowed(origin, rule) is verdict


@pytest.mark.parametrize(
    "rule", ["panel.example", "https://*", "https://*.org", "https://a.*.org", "https://a/b", "https://a b"]
)
def test_a_rule_that_would_open_too_much_or_says_nothing_is_refused(rule):
    with pytest.raises(ValueError, match=r".+"):
        parse_rule(rule)


@given(st.text(max_size=40))
def test_only_what_reads_back_as_itself_is_an_origin(text):
    try:
        origin = parse_origin(text)
    except ValueError:
        return
    assert parse_origin(str(origin)) == origin or origin.port == 0


@given(st.text(alphabet="aA1.:[]-_@/ ", max_size=20))
def test_a_host_is_read_or_refused(text):
    try:
        name, port = parse_host(text)
    except ValueError:
        return
    assert name == name.lower()
    assert port is None or 0 <= port <= 65535


def test_the_remedy_is_a_line_that_keeps_what_was_allowed():
    verdict = check_origin(["https://b.example"], host="a", secure=True, rules=[], missing="allow")
    assert toml_line(verdict, ["https://a.example"]) == '[origins] allow = ["https://a.example", "https://b.example"]'
    assert toml_line(Verdict(False, "unreadable"), []) is None
