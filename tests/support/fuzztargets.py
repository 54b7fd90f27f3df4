"""What takes bytes from strangers, each with seeds and the only exceptions it may raise.

`make fuzz` runs them for as long as it is told, `tests/test_fuzz.py` for a moment each.
"""

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import tomli
from support import mqttpackets as packets
from support.samples import families, load, payload

from devices.registry import Registry
from gateway import config
from gateway.edge.dialects.native import NativeJson, is_json
from gateway.edge.http import parse_target, subscription_in
from gateway.edge.origin import parse_host, parse_origin
from gateway.errors import CloseConnection
from gateway.hub.message import Message
from gateway.topics import Trie, covers, matches, overlaps, validate_filter, validate_topic
from gateway.upstream.acknowledgements import Acknowledgements
from gateway.upstream.bufferedsocket import FOREIGN, BufferedSocket, ProtocolBreach
from gateway.upstream.counters import Counters
from gateway.upstream.names import TopicNames

ROOT = Path(__file__).parent.parent.parent


class Target(NamedTuple):
    """`feed` takes any bytes and may raise nothing but `allowed`."""

    name: str
    feed: Callable[[bytes], None]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = ()


def http_target(data: bytes) -> None:
    target = parse_target(data.decode("latin-1"))
    subscription_in(target)


def origin(data: bytes) -> None:
    text = data.decode("latin-1")
    try:
        parse_host(text)
    except ValueError:
        pass  # no host may be an origin still
    parsed = parse_origin(text)
    assert parse_origin(str(parsed)) == parsed


def command(data: bytes) -> None:
    for text in (True, False):
        try:
            NativeJson().commands(data, text=text)
        except CloseConnection:
            continue  # the conversation is over: a verdict like any other
    if is_json(data):
        json.loads(data)


def topic_rules(data: bytes) -> None:
    one, _, other = data.decode(errors="surrogateescape").partition("\n")
    validate_filter(one)
    trie: Trie[int] = Trie()
    trie.add(one, 1)
    try:
        validate_topic(other)
    except ValueError:
        validate_filter(other)
        assert overlaps(one, other) == overlaps(other, one)
        assert not covers(one, other) or overlaps(one, other)
    else:
        assert matches(one, other) == (trie.match(other) == {1})
    trie.remove(one, 1)
    assert len(trie) == 0


def configuration(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.toml"
        file.write_bytes(data)
        config.load(file, environ={})


def device(data: bytes) -> None:
    """The topic, a line break, the payload: to every family."""
    name, _, body = data.partition(b"\n")
    text = name.decode(errors="replace")
    registry = Registry()
    for retained in (True, False):
        registry.observe(text, body, retained, 1e9)
        registry.decode(text, body, retained, 1e9)


class _Chunks:
    """A transport that gives its bytes in two pieces, then ends."""

    def __init__(self, data: bytes) -> None:
        middle = len(data) // 2
        self._chunks = [chunk for chunk in (data[:middle], data[middle:]) if chunk]

    def recv(self, size: int, /) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def send(self, data: bytes, /) -> int:
        return len(data)

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool, /) -> None: ...


def broker(data: bytes) -> None:
    """What a broker sends, at both versions, up to the first packet that is paho's or the end."""
    for version_5 in (False, True):
        sock = BufferedSocket(
            _Chunks(data),
            upstream="main",
            version_5=version_5,
            names=TopicNames("main", "", [("#", [])], b""),
            acknowledgements=Acknowledgements(lambda mids: None),
            counters=Counters(),
            payload_limit=1000,
            own=b"",
        )
        taken: list[Message] = []
        try:
            for _ in range(100):
                reason, _ = sock.take(taken, [], 5.0, 512)
                if reason == FOREIGN or not sock.fill():
                    break
        except ProtocolBreach:
            pass  # the link ends here: a verdict like any other
        for message in taken:
            validate_topic(message.topic)
            assert len(message.payload) <= 1000


def _samples() -> list[bytes]:
    return [
        sample["topic"].encode("utf-8", "surrogatepass") + b"\n" + payload(sample)
        for family in families()
        for sample in load(family)[:8]
    ]


TARGETS = (
    Target(
        "http target",
        http_target,
        [b"/stream?topic=sensors/%23&mode=latest&interval=2&replay=count:5", b"/?topic=a&readings=1&replay=e1:7"],
        (ValueError,),
    ),
    Target(
        "origin", origin, [b"https://box.example:8443", b"http://[::1]:80", b"null", b"https://a.b."], (ValueError,)
    ),
    Target(
        "command",
        command,
        [
            b'{"type":"subscribe","id":1,"topics":["a/#"],"mode":"latest","interval":2,"replay":{"epoch":"e","offset":1}}',
            b'{"type":"publish","id":"x","topic":"a","data":{"a":[1,2.5,null]},"qos":1,"retain":true}',
            b'{"type":"unsubscribe","id":2,"topics":["a"]}',
            b'{"type":"history","topic":"a","path":"b.c","from":1,"to":2,"points":10}',
            b'{"type":"ping","id":1}',
        ],
    ),
    Target(
        "topics", topic_rules, [b"a/+/#\na/b/c", b"$SYS/#\n$SYS/a", b"+/+\n/", b"#\na/#", b"/a\n+/a"], (ValueError,)
    ),
    Target("configuration", configuration, [(ROOT / "config.example.toml").read_bytes()], (config.ConfigError,)),
    Target("device", device, _samples()),
    Target(
        "broker",
        broker,
        [
            packets.publish("a/b", b"x" * size, qos=qos, mid=7, properties=properties)
            for size in (0, 5, 200, 1200)
            for qos in (0, 1, 2)
            for properties in (None, b"", b"\x26\x00\x01a\x00\x01b")
        ],
    ),
)


def mutate(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some bytes flipped, put in, taken out, doubled, or another seed's instead."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        size = min(rng.choice((1, 1, 2, 4, 16, 64)), len(data) - at)
        match rng.randrange(7):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 8)))
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size] * rng.choice((1, 2, 50))
            case 4:
                other = rng.choice(seeds)
                start = rng.randint(0, len(other))
                data[at : at + size] = other[start : start + rng.choice((1, 8, 40))]
            case 5:
                data[at:at] = rng.choice(_INTERESTING)
            case 6:
                del data[at:]
    return bytes(data[:20_000])


_INTERESTING = (
    *(b"\0", b"\xff\xff\xff\xff", b"\x80" * 4, b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\x1b[2J"),
    *(b"-1", b"1e999", b"NaN", b"Infinity", b"9" * 400, b"true", b"null", b'""', b"{}", b"[" * 600, b'{"a":' * 50),
    *(b"+", b"#", b"/", b"$", b"%", b"%00", b"%ff", b"\\u0000", b"\\ud800", b"\n", b"\r\n", b'"', b"'''", b'"""'),
)


def run(target: Target, rng: random.Random) -> bytes | None:
    """One round: the bytes that `target` should not have stumbled over, None where it stood."""
    data = mutate(rng, target.seeds)
    try:
        target.feed(data)
    except target.allowed:
        return None
    except Exception:  # whatever it is, it is the finding
        return data
    return None


def parsed_seed(target: Target) -> None:
    """The seeds themselves are good: what is fuzzed from them is near to what is accepted."""
    for seed in target.seeds:
        if target.name == "configuration":
            tomli.loads(seed.decode())
        elif target.name in ("http target", "command", "device", "broker"):
            target.feed(seed)
