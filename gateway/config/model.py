"""Every key of the configuration: type, default, kind and one line of help. The file's tables are these structs.

Times are seconds, sizes bytes, None is "auto" or "off" as the help says. Paths are absolute once loaded.
`config.example.toml` and `docs/configuration.md` are generated from here.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec.structs import force_setattr

from gateway.config import kinds as k
from gateway.config.devices import Device
from gateway.config.rows import Row, Table, Tables
from gateway.config.tree import Node, Written

DEFAULT_STATE_DIR = Path("/var/lib/sensor-gateway")
TLS_PORT = 8443
PLAIN_PORT = 8880
AUTO_PORT = -1

_FILTER = k.topic_filter()
_PORT = k.whole(0, 65535)


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[
        str, Row(k.name(empty=True), "shown to viewers and used in topics of its own; empty: host name")
    ] = ""
    state_dir: Annotated[Path, Row(k.path(empty=False), "where state is kept; not written: $STATE_DIRECTORY first")] = (
        DEFAULT_STATE_DIR
    )
    memory_budget: Annotated[
        int | float | None,
        Row(
            k.auto(k.size_or_share("16 MiB", "1 TiB")),
            "all memory; auto: 70 % of the cgroup's limit, else a quarter of RAM up to 256 MiB",
        ),
    ] = None
    drain: Annotated[float, Row(k.duration("0s", "1h"), "time over which goodbyes are spread at a stop")] = 10.0


class UpstreamTls(msgspec.Struct, frozen=True, kw_only=True):
    ca: Annotated[Path | None, Row(k.path(), "certificates to trust (PEM); empty: those of the system")] = None
    certificate: Annotated[Path | None, Row(k.path(), "client certificate (PEM); empty: none")] = None
    key: Annotated[Path | None, Row(k.path(), "its key (PEM); empty: in the certificate's file")] = None
    insecure: Annotated[bool, Row(k.flag(), "true: believe any certificate, for trials only")] = False


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    min: Annotated[float, Row(k.duration("10ms", "1h"), "shortest wait before the next try")] = 1.0
    max: Annotated[float, Row(k.duration("10ms", "1d"), "longest wait before the next try")] = 30.0
    stable: Annotated[float, Row(k.duration("0s", "1d"), "a link this old starts again at min")] = 30.0


class UpstreamTopic(msgspec.Struct, frozen=True, kw_only=True):
    filter: Annotated[str, Row(_FILTER, "MQTT topic filter to subscribe")] = "#"
    exclude: Annotated[tuple[str, ...], Row(k.many(_FILTER), "filters whose topics are dropped on arrival")] = ()
    qos: Annotated[int, Row(k.whole(0, 2), "highest QoS asked of the broker")] = 0


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Row(k.name(), "shown to viewers and in the log; one of its own per upstream")] = "main"
    ingest: Annotated[
        Literal["auto", "own", "one", "none"],
        Row(
            k.choice("auto", "own", "one", "none"),
            "own: this gateway follows it; one: one of all gateways on the log does; none: devices publish to NATS; "
            "auto: one behind a shared log, else own",
        ),
    ] = "auto"
    urls: Annotated[
        tuple[str, ...],
        Row(
            k.many(k.text("an address such as mqtts://host:8883"), least=1, single=True),
            "one or a list, tried in turn: mqtt:// or mqtts://",
        ),
    ] = ("mqtt://127.0.0.1:1883",)
    protocol: Annotated[
        Literal["auto", "5", "3.1.1"], Row(k.choice("auto", "5", "3.1.1"), "auto: 5, then 3.1.1 if refused")
    ] = "auto"
    client_id: Annotated[
        str,
        Row(
            k.text("an MQTT client id"),
            "empty: sensor-gateway-NAME-<8 hex of the machine id>; with ingest one: sensor-gateway-NAME",
        ),
    ] = ""
    username: Annotated[str, Row(k.text(), "empty: none")] = ""
    password_file: Annotated[Path | None, Row(k.path(), "file with the password, re-read at every connect")] = None
    tls: Annotated[UpstreamTls, Row(Table(UpstreamTls), "for mqtts and wss")] = UpstreamTls()
    keepalive: Annotated[float, Row(k.duration("1s", "18h"), "a silent link is given up after 1.5 times this")] = 30.0
    linger: Annotated[
        float,
        Row(
            k.duration("0s", "1s"),
            "after messages wait so long before reading more: fewer wake-ups of a small box, for that much delay",
        ),
    ] = 0.0
    session_expiry: Annotated[
        float, Row(k.duration("0s", "365d"), "how long the broker keeps our session (MQTT 5)")
    ] = 3600.0
    backoff: Annotated[Backoff, Row(Table(Backoff), "waits between tries")] = Backoff()
    prefer_first: Annotated[bool, Row(k.flag(), "after a failover go back to the first url once it answers")] = True
    prefix: Annotated[str, Row(k.text(), "put before every topic of this upstream")] = ""
    receive_maximum: Annotated[int, Row(k.whole(1, 65535), "QoS 1 and 2 messages in flight (MQTT 5)")] = 1000
    canary: Annotated[
        float | None, Row(k.auto(k.duration("1s", "1h"), word=""), "how often a probe is sent round; empty: off")
    ] = None
    status: Annotated[str, Row(k.text("a topic"), "topic of a retained birth and will, {name} is ours; empty: off")] = (
        ""
    )
    topics: Annotated[tuple[UpstreamTopic, ...], Row(Tables(UpstreamTopic), "what to subscribe")] = (UpstreamTopic(),)


class ListenTls(msgspec.Struct, frozen=True, kw_only=True):
    certificate: Annotated[
        Path, Row(k.path(empty=False), "serves wss and https: certificate chain (PEM)", Path("tls/certificate.pem"))
    ]
    key: Annotated[Path, Row(k.path(empty=False), "its key (PEM)", Path("tls/key.pem"))]
    client_ca: Annotated[Path | None, Row(k.path(), "certificates that may sign clients (PEM); empty: none asked")] = (
        None
    )


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    address: Annotated[
        tuple[str, ...], Row(k.many(k.text("an address"), least=1, single=True), 'one or a list; "*": everywhere')
    ] = ("127.0.0.1",)
    port: Annotated[int, Row(k.auto(_PORT, unset=AUTO_PORT), "auto: 8443 with tls, else 8880; 0: any free one")] = (
        AUTO_PORT
    )
    tls: Annotated[ListenTls | None, Row(Table(ListenTls), "serve wss and https; without it ws and http")] = None
    insecure: Annotated[bool, Row(k.flag(), "true: off loopback without tls, you accept it")] = False
    hosts: Annotated[
        tuple[str, ...], Row(k.many(k.text("a host name")), "further names that this gateway is reached by")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], Row(k.many(k.network()), "proxies whose forwarding headers are believed")
    ] = ()
    proxy_protocol: Annotated[bool, Row(k.flag(), "true: trusted proxies speak PROXY protocol v2")] = False
    reuse_port: Annotated[bool, Row(k.flag(), "true: several gateways may share the port")] = False
    anonymous: Annotated[
        str | None,
        Row(k.auto(k.text('"local", a role or ""')), "who may read without signing in; auto: as [auth] says"),
    ] = None
    metrics: Annotated[bool, Row(k.flag(), "true: /metrics without signing in")] = False
    dialects: Annotated[
        tuple[str, ...],
        Row(k.many(k.choice("native", "stomp", "mqtt", "socketio", "sse"), least=1), "what clients may speak here"),
    ] = ("native", "stomp", "mqtt", "socketio", "sse")

    def __post_init__(self) -> None:
        if self.port == AUTO_PORT:
            force_setattr(self, "port", TLS_PORT if self.tls else PLAIN_PORT)


class Origins(msgspec.Struct, frozen=True, kw_only=True):
    allow: Annotated[
        tuple[str, ...], Row(k.many(k.origin()), 'beside the same origin; "http://localhost:*" to develop')
    ] = ()
    missing: Annotated[
        Literal["allow", "deny"], Row(k.choice("allow", "deny"), "clients that send no Origin: no browsers")
    ] = "allow"


class Jwt(msgspec.Struct, frozen=True, kw_only=True):
    algorithm: Annotated[
        str,
        Row(
            k.choice("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA"),
            "the only one accepted",
            "ES256",
        ),
    ]
    key_file: Annotated[Path, Row(k.path(empty=False), "secret or public key (PEM)", Path("jwt.key"))]
    audience: Annotated[str, Row(k.text(), "aud that a token must name; empty: not checked")] = ""
    issuer: Annotated[str, Row(k.text(), "iss that a token must name; empty: not checked")] = ""
    role: Annotated[str, Row(k.text(), "claim that holds the role")] = "role"
    topics: Annotated[str, Row(k.text(), "claim that holds topic filters; empty: none")] = ""


class ProxyAuth(msgspec.Struct, frozen=True, kw_only=True):
    user: Annotated[str, Row(k.text("a header name"), "header with the user's name")] = "Remote-User"
    role: Annotated[str, Row(k.text("a header name"), "header with the role")] = "Remote-Groups"


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    methods: Annotated[
        tuple[str, ...], Row(k.many(k.choice("token", "jwt", "certificate", "proxy")), "ways to sign in")
    ] = ("token",)
    anonymous: Annotated[
        str, Row(k.text('"local", a role or ""'), 'without signing in; local: viewer on this box; "": nobody')
    ] = "local"
    tokens_file: Annotated[Path | None, Row(k.path(), "hashes of the tokens; empty: tokens.json in state_dir")] = None
    jwt: Annotated[Jwt | None, Row(Table(Jwt), "for the method jwt")] = None
    proxy: Annotated[ProxyAuth, Row(Table(ProxyAuth), "for the method proxy")] = ProxyAuth()
    deadline: Annotated[float, Row(k.duration("1s", "5m"), "time to sign in after the handshake")] = 10.0


class Role(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Row(k.name(), "what tokens and [auth] call it", "viewer")]
    subscribe: Annotated[tuple[str, ...], Row(k.many(_FILTER), "filters it may read")] = ("#",)
    publish: Annotated[tuple[str, ...], Row(k.many(_FILTER), "filters it may write")] = ()
    deny: Annotated[tuple[str, ...], Row(k.many(_FILTER), "filters it may not read, whatever subscribe says")] = ()
    retain: Annotated[bool, Row(k.flag(), "may publish retained messages")] = False
    rights: Annotated[
        tuple[str, ...], Row(k.many(k.choice("metrics", "gateway")), "more than topics: metrics, gateway")
    ] = ()
    certificates: Annotated[
        tuple[str, ...], Row(k.many(k.text("a name")), "names (CN or SAN) of client certificates that get this role")
    ] = ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    connections: Annotated[
        int | None, Row(k.auto(k.whole(1, 1_000_000)), "clients at once; auto: by memory, at most 1000")
    ] = None
    connections_per_address: Annotated[int, Row(k.whole(1, 1_000_000), "clients at once from one address")] = 100
    connections_per_user: Annotated[int, Row(k.whole(1, 1_000_000), "clients at once signed in as one user")] = 100
    accept_rate: Annotated[
        int | None,
        Row(
            k.auto(k.whole(1, 1_000_000)),
            "new connections a second from one address, five times as many in a burst; auto: connections_per_address",
        ),
    ] = None
    message_size: Annotated[int, Row(k.size("1 KiB", "64 MiB"), "largest message that a client may send")] = 64 * 1024
    payload: Annotated[
        int, Row(k.size("1 B", "256 MiB"), "largest payload passed on; beyond it only its size is told")
    ] = 256 * 1024
    subscriptions: Annotated[int, Row(k.whole(1, 100_000), "filters per client")] = 100
    commands_per_second: Annotated[
        int, Row(k.whole(1, 1_000_000), "of one client, in the mean; five times as many in a burst")
    ] = 20
    last_values: Annotated[
        int, Row(k.whole(1, 100_000_000), "topics whose last value is kept; the oldest go first")
    ] = 20_000
    last_values_memory: Annotated[
        int | None,
        Row(k.auto(k.size("64 KiB", "1 TiB")), "their memory, and that of intervals; auto: a share of the budget"),
    ] = None
    handshake: Annotated[float, Row(k.duration("100ms", "5m"), "time for TLS and the request together")] = 10.0


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    interval: Annotated[
        float, Row(k.duration("100ms", "1h"), "how often a client is pinged, and told that all is well")
    ] = 20.0
    timeout: Annotated[float, Row(k.duration("100ms", "1h"), "time for the answer; then it counts as gone")] = 10.0


class Backpressure(msgspec.Struct, frozen=True, kw_only=True):
    policy: Annotated[
        Literal["latest", "drop-oldest", "disconnect"],
        Row(k.choice("latest", "drop-oldest", "disconnect"), "above soft: merge per topic, drop the oldest, or close"),
    ] = "latest"
    soft: Annotated[int, Row(k.size("1 KiB", "1 GiB"), "bytes waiting for a client at which the policy acts")] = (
        256 * 1024
    )
    hard: Annotated[int, Row(k.size("2 KiB", "4 GiB"), "bytes waiting for a client that are too many")] = (
        2 * 1024 * 1024
    )
    patience: Annotated[float, Row(k.duration("0s", "1h"), "above hard for this long: closed with 4413")] = 30.0
    total: Annotated[
        int | None, Row(k.auto(k.size("64 KiB", "1 TiB")), "bytes waiting in all; auto: a share of the budget")
    ] = None


class JetStream(msgspec.Struct, frozen=True, kw_only=True):
    urls: Annotated[
        tuple[str, ...],
        Row(
            k.many(k.text("an address such as nats://host:4222"), least=1, single=True),
            "one or a list of servers of one cluster: nats:// or tls://",
        ),
    ] = ("nats://127.0.0.1:4222",)
    user: Annotated[str, Row(k.text(), "empty: none")] = ""
    password_file: Annotated[Path | None, Row(k.path(), "file with the user's password; read at every connect")] = None
    token_file: Annotated[Path | None, Row(k.path(), "file with a token; read at every connect")] = None
    credentials: Annotated[Path | None, Row(k.path(), "file with a user's JWT and seed (.creds); empty: none")] = None
    nkey_file: Annotated[Path | None, Row(k.path(), "file with the seed of an NKey; empty: none")] = None
    tls: Annotated[UpstreamTls, Row(Table(UpstreamTls), "for tls://")] = UpstreamTls()
    stream: Annotated[
        str, Row(k.stream_name(), "the stream that holds the log; made if absent, checked if present")
    ] = "sensor-gateway"
    prefix: Annotated[
        str,
        Row(
            k.subject_prefix(),
            "put before every subject, topic a/b is PREFIX.a.b; empty: a.b, as devices publish to NATS' MQTT listener",
        ),
    ] = "sensor-gateway"
    topics: Annotated[tuple[str, ...], Row(k.many(_FILTER, least=1), "filters of the topics that the stream holds")] = (
        "#",
    )
    replicas: Annotated[int, Row(k.whole(1, 5), "servers that hold the stream; a single server: 1")] = 3
    max_bytes: Annotated[int, Row(k.size("1 MiB", "100 TiB"), "largest size of the stream; the oldest go first")] = (
        1024**3
    )
    max_age: Annotated[float, Row(k.duration("1m", "3650d"), "how long the stream keeps messages")] = 7 * 86400.0
    max_lag: Annotated[
        float, Row(k.duration("100ms", "1h"), "behind the stream for longer than this, /readyz says 503")
    ] = 5.0


class History(msgspec.Struct, frozen=True, kw_only=True):
    log: Annotated[
        Literal["auto", "memory", "sqlite", "jetstream"],
        Row(
            k.choice("auto", "memory", "sqlite", "jetstream"),
            "what gives messages their offsets; auto: sqlite where disk says a file, else memory; jetstream: shared "
            "by many gateways",
        ),
    ] = "auto"
    memory: Annotated[
        int | None, Row(k.auto(k.size("0 B", "1 TiB")), "messages kept in memory; auto: a share of the budget")
    ] = None
    age: Annotated[float, Row(k.duration("0s", "365d"), "how long they are kept in memory")] = 600.0
    disk: Annotated[Path | None, Row(k.path(), "SQLite file, relative to state_dir; empty: none")] = None
    disk_limit: Annotated[
        int, Row(k.size("1 MiB", "100 TiB"), "largest size on disk, with SQLite's write-ahead log")
    ] = 1024**3
    disk_age: Annotated[float, Row(k.duration("1m", "3650d"), "how long messages are kept on disk")] = 7 * 86400.0
    commit: Annotated[float, Row(k.duration("50ms", "10m"), "how often is written; rarer spares SD cards")] = 10.0
    durable: Annotated[bool, Row(k.flag(), "true: QoS 1 is acknowledged to the broker only once it is on disk")] = False
    jetstream: Annotated[JetStream, Row(Table(JetStream), 'for log = "jetstream"')] = JetStream()


class Log(msgspec.Struct, frozen=True, kw_only=True):
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Row(k.choice("debug", "info", "warning", "error"), "the least that is written"),
    ] = "info"
    format: Annotated[
        Literal["auto", "journal", "text", "json"],
        Row(k.choice("auto", "journal", "text", "json"), "auto: journal under systemd, else text"),
    ] = "auto"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration. Equal configurations say the same; where it was `written` does not count."""

    gateway: Annotated[Gateway, Row(Table(Gateway), "the process")] = Gateway()
    upstream: Annotated[tuple[Upstream, ...], Row(Tables(Upstream), "a broker to follow; several may be given")] = (
        Upstream(),
    )
    listen: Annotated[tuple[Listen, ...], Row(Tables(Listen), "where viewers connect; several may be given")] = (
        Listen(),
    )
    origins: Annotated[Origins, Row(Table(Origins), "which web pages may connect; the same origin always may")] = (
        Origins()
    )
    auth: Annotated[Auth, Row(Table(Auth), "who may come in")] = Auth()
    role: Annotated[
        tuple[Role, ...], Row(Tables(Role), "what somebody may see; without any: viewer, who may read #")
    ] = (Role(name="viewer"),)
    limits: Annotated[Limits, Row(Table(Limits), "what one client, and all of them, may take")] = Limits()
    heartbeat: Annotated[Heartbeat, Row(Table(Heartbeat), "how dead clients are found")] = Heartbeat()
    backpressure: Annotated[Backpressure, Row(Table(Backpressure), "what happens to a slow client")] = Backpressure()
    history: Annotated[History, Row(Table(History), "what can be replayed")] = History()
    device: Annotated[tuple[Device, ...], Row(Tables(Device), "what topics mean")] = ()
    log: Annotated[Log, Row(Table(Log), "what is written about it all")] = Log()
    written: Written = Written(Node({}, "", None))
