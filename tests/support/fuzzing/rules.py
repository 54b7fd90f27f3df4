"""Pure verdicts over text from strangers: targets, filters, origins, and what is read before anybody is known."""

import ipaddress
from pathlib import Path

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderValue

from gateway.edge.credentials import carried
from gateway.edge.forwarded import caller_of
from gateway.edge.hosts import is_own
from gateway.edge.http import parse_target, subscription_in
from gateway.edge.origin import check_origin, parse_host, parse_origin, parse_rule
from gateway.edge.proxy_protocol import HEAD, rest_of, source_in
from gateway.edge.roles import Role, grant, may_see
from gateway.edge.tokens import Tokens
from gateway.edge.x509 import facts_of
from gateway.topics import Trie, covers, matches, overlaps, validate_filter, validate_topic

PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
TOKENS = Tokens(Path("no-such-file"))
RULES = [parse_rule(text) for text in ("https://panel.example", "https://*.kiosk.example", "http://localhost:*")]


def targets(data: bytes) -> None:
    """What a request asks for, and the subscription in it."""
    try:
        subscription_in(parse_target(data.decode("latin-1")))
    except ValueError:
        pass  # refused: what it is for


def filters(data: bytes) -> None:
    """Two filters and a topic: what the verdicts promise about each other."""
    parts = data.decode("utf-8", "surrogateescape" if data[:1] == b"s" else "replace").split("\n", 2)
    one, other, topic = (*parts, "", "")[:3]
    for text, check in ((one, validate_filter), (other, validate_filter), (topic, validate_topic)):
        try:
            check(text)
        except ValueError:
            return
    assert overlaps(one, other) == overlaps(other, one)
    assert not covers(one, other) or overlaps(one, other)
    if covers(one, other) and matches(other, topic):
        assert matches(one, topic)
    if matches(one, topic) and matches(other, topic):
        assert overlaps(one, other)
    role = Role("r", subscribe=(one,), deny=("a/#",))
    if grant(role, other).granted and matches(other, topic) and not matches("a/#", topic):
        assert may_see(role, topic)
    trie: Trie[int] = Trie()
    trie.add(one, 1)
    trie.add(other, 2)
    assert trie.match(topic) == {n for n, each in ((1, one), (2, other)) if matches(each, topic)}
    trie.remove(one, 1)
    trie.remove(other, 2)
    assert len(trie) == 0


def origins(data: bytes) -> None:
    """Origin and Host, and who stands behind the proxies."""
    text = data.decode("latin-1")
    value, host, proxy = (*text.split("\n", 2), "", "")[:3]
    verdict = check_origin([value], host=host, secure=True, rules=RULES, missing="deny")
    if verdict.allowed and verdict.reason != "same origin":
        rest = value.lower().partition("://")[2]
        name = rest.rpartition(":")[0] if ":" in rest else rest
        assert name in ("panel.example", "localhost") or name.endswith(".kiosk.example")
    try:
        parsed = parse_origin(value)
        assert parse_origin(str(parsed)) == parsed
        parse_host(host)
    except ValueError:
        pass  # refused: what it is for
    is_own(host, ["box", "*.lan"])
    for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Authorization", "Sec-WebSocket-Protocol"):
        try:
            headers = Headers([("Host", "box"), (name, proxy)])
        except InvalidHeaderValue:
            return  # the parser lets no such value through
        try:
            carried(headers)
            caller_of(headers, peer="10.0.0.1", secure=False, proxies=PROXIES)
        except ValueError:
            pass  # refused: what it is for


def preludes(data: bytes) -> None:
    """What is read before anybody is known: a proxy's header, a certificate, a token."""
    try:
        if rest_of(data[:HEAD]) <= len(data) - HEAD:
            source_in(data[:HEAD], data[HEAD:])
    except ValueError:
        pass
    try:
        facts_of(data)
    except ValueError:
        pass
    assert isinstance(TOKENS.verify(data.decode("utf-8", "replace"), 0.0), str)


TARGETS = (targets, filters, origins, preludes)

SEEDS = {
    "targets": [
        b"/stream?topic=sensors/%23&mode=latest&interval=2&replay=count:5",
        b"/?topic=a&readings=1&replay=e1:7",
        b"/events?topic=a&topic=b%2Bc&replay=age:60&status=1",
    ],
    "filters": [b"a/#\na/+/b\na/x/b", b"+/#\n#\n$SYS/x", b"$SYS/#\n$SYS/a\n/", b"/a\n+/a\n/a"],
    "origins": [
        b"https://a.kiosk.example\nbox:80\nfor=192.0.2.1;proto=https",
        b"null\n[::1]\nBearer x",
        b'http://[::1]:80\na.b.\nfor=unknown, for="[2001:db8::1]:80"',
    ],
    "preludes": [b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), b"\x30\x82\x01\x00\x30\x00"],
}
