"""A configuration is complete, typed and absolute once it is loaded."""

import os
from pathlib import Path

import pytest
from support.configfolder import Folder

from gateway.config import Config, Listen, ListenTls, Role, Upstream, UpstreamTls, UpstreamTopic, load
from gateway.config.resolve import default_client_id, host_name, machine_id
from gateway.config.rows import Table, Tables, keys


def test_without_a_file_it_follows_the_broker_and_serves_viewers_of_this_machine() -> None:
    config = load(None, environ={})
    assert [upstream.urls for upstream in config.upstream] == [("mqtt://127.0.0.1:1883",)]
    assert config.upstream[0].topics == (UpstreamTopic(filter="#"),)
    assert [(listen.address, listen.port, listen.tls) for listen in config.listen] == [(("127.0.0.1",), 8880, None)]
    assert config.role == (Role(name="viewer", subscribe=("#",)),)
    assert config.auth.anonymous == "local"


def test_an_empty_file_says_the_same_as_none(folder: Folder) -> None:
    assert folder.load("") == load(None, environ={})


def test_every_value_arrives_in_its_unit(folder: Folder, certificate: tuple[Path, Path, Path]) -> None:
    ca, chain, key = certificate
    config = folder.load(f"""
[gateway]
name = "edge-1"
memory_budget = "64 MiB"
drain = "1m30s"
[[upstream]]
name = "plant"
urls = ["mqtts://a:8883", "mqtt://[::1]:1883"]
protocol = "5"
client_id = "me"
username = "u"
tls = {{ ca = "{ca}", insecure = true }}
keepalive = "5s"
session_expiry = "0s"
backoff = {{ min = "100ms", max = "5s", stable = "1m" }}
receive_maximum = 20
topics = [{{ filter = "a/+/b", exclude = ["a/x/#"], qos = 2 }}, {{ filter = "$SYS/#" }}]
[[listen]]
address = ["0.0.0.0", "::1"]
tls.certificate = "{chain}"
tls.key = "{key}"
[[listen]]
port = 80
[origins]
allow = ["https://*.example.org", "http://localhost:*", "null"]
missing = "deny"
[auth]
anonymous = "guest"
[[role]]
name = "guest"
subscribe = ["a/#", "b"]
[limits]
connections = 7
payload = "1 KiB"
handshake = "500ms"
[heartbeat]
interval = "1s"
timeout = "250ms"
[backpressure]
policy = "drop-oldest"
soft = "8 KiB"
hard = "1 MiB"
patience = "0s"
total = "4 MiB"
[history]
memory = "1 MiB"
age = "1d"
[log]
level = "debug"
format = "json"
""")
    assert (config.gateway.name, config.gateway.memory_budget, config.gateway.drain) == ("edge-1", 64 * 1024**2, 90.0)
    upstream = config.upstream[0]
    assert upstream.urls == ("mqtts://a:8883", "mqtt://[::1]:1883")
    assert (upstream.client_id, upstream.keepalive, upstream.session_expiry) == ("me", 5.0, 0.0)
    assert upstream.tls == UpstreamTls(ca=ca, insecure=True)
    assert (upstream.backoff.min, upstream.backoff.max, upstream.backoff.stable) == (0.1, 5.0, 60.0)
    assert upstream.topics == (
        UpstreamTopic(filter="a/+/b", exclude=("a/x/#",), qos=2),
        UpstreamTopic(filter="$SYS/#"),
    )
    assert config.listen[0] == Listen(address=("0.0.0.0", "::1"), tls=ListenTls(certificate=chain, key=key))
    assert [listen.port for listen in config.listen] == [8443, 80]
    assert (config.limits.connections, config.limits.payload, config.limits.handshake) == (7, 1024, 0.5)
    assert (config.heartbeat.interval, config.heartbeat.timeout) == (1.0, 0.25)
    assert (config.backpressure.policy, config.backpressure.soft, config.backpressure.total) == (
        "drop-oldest",
        8192,
        4 * 1024**2,
    )
    assert (config.history.memory, config.history.age) == (1024**2, 86_400.0)
    assert (config.log.level, config.log.format) == ("debug", "json")


def test_the_configuration_that_the_load_tool_writes_is_taken(
    folder: Folder, certificate: tuple[Path, Path, Path]
) -> None:
    _, chain, key = certificate
    config = folder.load(f"""[gateway]
name = "bench"
state_dir = "{folder.path}"
memory_budget = "2 GiB"
[[upstream]]
name = "bench"
urls = ["mqtt://127.0.0.1:40001"]
protocol = "3.1.1"
topics = [{{ filter = "sensors/#", qos = 0 }}]
[[listen]]
address = "127.0.0.1"
port = 40002
[[listen]]
address = "127.0.0.1"
port = 40003
tls = {{ certificate = "{chain}", key = "{key}" }}
[auth]
anonymous = "viewer"
[[role]]
name = "viewer"
subscribe = ["#"]
[limits]
connections = 20000
connections_per_address = 20000
""")
    assert config.limits.connections == 20000
    assert [listen.port for listen in config.listen] == [40002, 40003]


def test_a_memory_budget_may_be_a_share(folder: Folder) -> None:
    assert folder.load('gateway.memory_budget = "50%"').gateway.memory_budget == 0.5


def test_auto_leaves_the_value_to_run_time(folder: Folder) -> None:
    config = folder.load('limits.connections = "auto"\nhistory.memory = "auto"\nlisten = [{ port = "auto" }]')
    assert (config.limits.connections, config.history.memory, config.listen[0].port) == (None, None, 8880)


def test_any_free_port_may_be_asked_for(folder: Folder) -> None:
    assert [listen.port for listen in folder.load("listen = [{ port = 0 }, { port = 0 }]").listen] == [0, 0]


def test_a_file_from_an_editor_that_writes_a_byte_order_mark_is_read(folder: Folder) -> None:
    folder.file.write_bytes(b'\xef\xbb\xbf[gateway]\r\nname = "x"\r\n')
    assert folder.load().gateway.name == "x"


def test_a_configuration_cannot_be_changed() -> None:
    config = load(None, environ={})
    with pytest.raises(AttributeError):
        config.limits.subscriptions = 5  # type: ignore[misc]


def test_configurations_that_say_the_same_on_other_lines_are_equal(folder: Folder) -> None:
    one = folder.load('[gateway]\nname = "x"\n[heartbeat]\n')
    assert folder.load('\n\ngateway.name = "x"') == one
    assert folder.load('gateway.name = "y"') != one


def test_it_knows_where_a_key_was_written(folder: Folder) -> None:
    config = folder.load('\n[[listen]]\n[[listen]]\nport = 1\n[gateway]\nname = "x"')
    assert config.written.where("listen[1].port") == (str(folder.file), 4)
    assert config.written.where("listen[1].tls.key") == (str(folder.file), 3)
    assert config.written.where("limits.payload") == (str(folder.file), None)
    assert config.written.has("gateway.name")
    assert not config.written.has("gateway.drain")


class TestPaths:
    def test_relative_ones_start_at_the_folder_of_the_file(
        self, folder: Folder, certificate: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder.path / "tls").mkdir()
        for source, name in zip(certificate, ("ca.pem", "c.pem", "k.pem"), strict=True):
            (folder.path / "tls" / name).write_bytes(source.read_bytes())
        folder.write('listen = [{ tls = { certificate = "tls/c.pem", key = "tls/k.pem" } }]')
        monkeypatch.chdir(folder.path.parent)

        config = load(Path(folder.path.name) / "config.toml", environ={})

        assert config.listen[0].tls == ListenTls(certificate=folder.path / "tls/c.pem", key=folder.path / "tls/k.pem")

    def test_a_bare_name_is_found_among_the_credentials_of_the_service(self, folder: Folder, tmp_path: Path) -> None:
        secrets = tmp_path / "credentials"
        secrets.mkdir()
        (secrets / "mqtt.password").write_text("secret")
        (folder.path / "other.password").write_text("secret")
        text = 'upstream = [{{ username = "u", password_file = "{}" }}]'
        environ = {"CREDENTIALS_DIRECTORY": str(secrets)}

        found = folder.load(text.format("mqtt.password"), environ).upstream[0].password_file
        beside = folder.load(text.format("other.password"), environ).upstream[0].password_file

        assert (found, beside) == (secrets / "mqtt.password", folder.path / "other.password")

    @pytest.mark.parametrize(
        ("text", "environ", "expected"),
        [
            ("", {}, "/var/lib/sensor-gateway"),
            ("", {"STATE_DIRECTORY": "/run/one:/run/two"}, "/run/one"),
            ("", {"STATE_DIRECTORY": ""}, "/var/lib/sensor-gateway"),
            ('gateway.state_dir = "/srv/state"', {"STATE_DIRECTORY": "/run/one"}, "/srv/state"),
            (
                'gateway.state_dir = "/var/lib/sensor-gateway"',
                {"STATE_DIRECTORY": "/run/one"},
                "/var/lib/sensor-gateway",
            ),
        ],
    )
    def test_state_is_where_the_file_says_else_where_the_service_manager_says(
        self, folder: Folder, text: str, environ: dict[str, str], expected: str
    ) -> None:
        assert folder.load(text, environ).gateway.state_dir == Path(expected)

    def test_a_relative_state_folder_starts_at_the_file_too(self, folder: Folder) -> None:
        assert folder.load('gateway.state_dir = "state"').gateway.state_dir == folder.path / "state"


class TestNames:
    def test_the_gateway_is_called_like_its_machine(self) -> None:
        assert load(None, environ={}).gateway.name == host_name()
        assert host_name()[:8] == os.uname().nodename.split(".")[0][:8]

    def test_a_client_id_is_made_of_the_upstream_and_the_machine(self, folder: Folder) -> None:
        config = folder.load('upstream = [{ name = "a" }, { name = "b", prefix = "b/" }]')
        start = machine_id()[:8]
        assert [u.client_id for u in config.upstream] == [f"sensor-gateway-a-{start}", f"sensor-gateway-b-{start}"]

    def test_a_client_id_holds_eight_digits_of_the_machine_id(self) -> None:
        assert default_client_id("plant", "0123456789abcdef" * 2) == "sensor-gateway-plant-01234567"


def test_every_key_of_the_model_is_a_row_with_help() -> None:
    """A field without a row could be set by nobody; only `written` is none."""
    tables = [Config]
    seen = 0
    for model in tables:
        rows = keys(model)
        assert set(model.__struct_fields__) - set(rows) <= {"written"}
        for key in rows.values():
            assert key.row.help
            seen += 1
            if isinstance(key.row.kind, Table | Tables):
                tables.append(key.row.kind.model)
    assert seen > 90
    assert Upstream in tables
