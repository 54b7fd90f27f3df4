"""The commands that an operator types, against a real gateway and real files."""

import errno
import json
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from paho.mqtt.publish import single
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from support.processes import free_port
from websockets.asyncio.client import connect

from gateway.cli import main
from gateway.commands import doctor
from gateway.commands.authority import make, own_names
from gateway.config import load
from gateway.logs import offsets
from gateway.operations import control, whereabouts
from gateway.operations.whereabouts import running_on

NOBODY = '[[upstream]]\nname = "main"\nurls = ["mqtt://127.0.0.1:1"]\n'


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def publish(broker: Mosquitto, topic: str, payload: bytes, *, retain: bool = False) -> None:
    single(topic, payload, hostname="127.0.0.1", port=broker.port, retain=retain)


def test_reload_prints_what_is_wrong_and_fails(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(NOBODY)
    assert typed("reload", "--config", daemon.config_file).output == "reloaded\n"
    daemon.config_file.write_text(daemon.config_file.read_text() + "[limits]\nsubscription = 1\n")
    refused = typed("reload", "--config", daemon.config_file)
    assert refused.exit_code == 78
    assert "subscription" in refused.output


BROKEN = "[limits]\nsubscriptions = = 5\n"


def test_a_file_that_is_no_toml_any_more_still_leads_to_its_gateway(gateway: Callable[[str], Daemon]) -> None:
    """Its control socket lies where the file said when the gateway was started."""
    daemon = gateway(NOBODY)
    good = daemon.config_file.read_text()
    daemon.config_file.write_text(f"{good}{BROKEN}")
    line = good.count("\n") + 2
    for path in (daemon.config_file, Path(os.path.relpath(daemon.config_file))):
        refused = typed("reload", "--config", path)
        assert refused.exit_code == 78
        assert refused.stdout == ""
        assert refused.stderr.startswith("refused, nothing has changed: the gateway goes on as before\n")
        assert f"{daemon.config_file}:{line}: not TOML: " in refused.stderr
    assert daemon.log.count("reload refused: ") == 2
    assert "RELOAD REFUSED" in typed("top", "--once", "--config", daemon.config_file).output
    assert "no upstream subscribes" not in typed("explain", "a", "--config", daemon.config_file).output
    assert "so: " in typed("explain", "a", "--config", daemon.config_file).output
    found = typed("doctor", "--config", daemon.config_file)
    assert found.exit_code == 1
    assert f"failure  configuration: {daemon.config_file}:{line}: not TOML" in found.output
    assert "ok       gateway: " in found.output
    assert "warning  reload: RELOAD REFUSED" in found.output
    daemon.config_file.write_text(good)
    assert typed("reload", "--config", daemon.config_file).output == "reloaded\n"
    daemon.stop()
    daemon.config_file.write_text(f"{good}{BROKEN}")
    nobody = typed("reload", "--config", daemon.config_file)
    assert nobody.exit_code == 78
    assert "no running gateway answers" in nobody.stderr
    assert f"{daemon.config_file}:{line}: not TOML: " in nobody.stderr
    assert "gateway: no running gateway answers" in typed("doctor", "--config", daemon.config_file).output


def test_a_file_that_moves_the_control_socket_still_leads_to_its_gateway(
    gateway: Callable[[str], Daemon], tmp_path: Path
) -> None:
    daemon = gateway(NOBODY)
    daemon.config_file.write_text(daemon.config_file.read_text().replace(str(daemon.folder), str(tmp_path)))
    assert typed("reload", "--config", daemon.config_file).output == (
        "reloaded\nafter a restart only: gateway.state_dir\n"
    )


def test_a_gateway_on_another_file_is_not_asked(
    gateway: Callable[[str], Daemon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = gateway(NOBODY)
    monkeypatch.setattr(control, "RUN", other.folder)
    config = tmp_path / "config.toml"
    for text in (f'[gateway]\nstate_dir = "{tmp_path}"\n', BROKEN):
        config.write_text(text)
        assert "no running gateway answers" in typed("reload", "--config", config).output
    assert "reload" not in other.log


def test_what_somebody_else_has_bound_is_not_believed(
    gateway: Callable[[str], Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = gateway(NOBODY)
    assert running_on(daemon.config_file) == [daemon.folder / "control.sock"]
    monkeypatch.setattr(whereabouts, "_trusted", set)
    assert running_on(daemon.config_file) == []


def test_without_a_gateway_the_commands_say_where_they_looked(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[gateway]\nstate_dir = "{tmp_path}"\n')
    for command in (["reload"], ["explain", "a"], ["top", "--once"]):
        result = typed(*command, "--config", config)
        assert result.exit_code == 1
        assert f"{tmp_path}/control.sock" in result.output


async def test_explain_follows_a_message_to_the_client(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    daemon = gateway(
        f'[[upstream]]\nname = "main"\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "explain/#" }}]\n'
    )
    await daemon.logged("connected to")
    async with connect(f"{daemon.url}?topic=explain/a", compression=None, proxy=None) as client:
        publish(shared_mosquitto, "explain/a", b"21")
        told = json.loads(await client.recv())
        while told["type"] != "message":
            told = json.loads(await client.recv())
        well = typed("explain", "explain/a", "--config", daemon.config_file)
        assert well.exit_code == 0
        assert "so: all is well" in well.output
        other = typed("explain", "explain/b", "--config", daemon.config_file)
        assert other.exit_code == 1
        assert "so: nothing was ever published there; did you mean explain/a?" in other.output
        foreign = typed("explain", "elsewhere", "--config", daemon.config_file)
        assert "so: no upstream subscribes to it" in foreign.output
        shown = typed("top", "--once", "--config", daemon.config_file)
        assert "explain/a" in shown.output
        assert "connected" in shown.output


async def test_explain_blames_no_broker_that_does_not_have_the_topic_and_steers_no_terminal(
    gateway: Callable[[str], Daemon], shared_mosquitto: Mosquitto
) -> None:
    """One broker that was away was the reason given for every topic, whoever it came from."""
    up = f'[[upstream]]\nname = "main"\nurls = ["{shared_mosquitto.url}"]\ntopics = [{{ filter = "blame/#" }}]\n'
    down = '[[upstream]]\nname = "barn"\nurls = ["mqtt://127.0.0.1:1"]\nprefix = "barn/"\n'
    daemon = gateway(up + down)
    await daemon.logged("connected to")
    async with connect(f"{daemon.url}?topic=blame/%23&topic=x/%1B%5B2J", compression=None, proxy=None):
        told = typed("explain", "blame/a", "--config", daemon.config_file)
        assert "so: nothing was ever published there" in told.output
        assert "barn" not in told.output
        told = typed("explain", "barn/a", "--config", daemon.config_file)
        assert "so: the broker is away: barn is waiting (connection refused)" in told.output
        assert "x/\\u001b[2J" in told.output
    told = typed("explain", "a\udcff", "--config", daemon.config_file)
    assert told.exit_code == 1
    assert told.stderr == (
        "sensor-gateway: what was typed is not UTF-8, so that no topic or client is named like that\n"
    )


def test_doctor_names_what_is_wrong_and_how_to_mend_it(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(NOBODY)
    found = typed("doctor", "--config", daemon.config_file)
    assert found.exit_code == 1
    assert "failure  broker main: mqtt://127.0.0.1:1: Connection refused" in found.output
    assert "ok       configuration: " in found.output
    daemon.config_file.write_text("[limit]\n")
    assert "failure  configuration: " in typed("doctor", "--config", daemon.config_file).output


def test_doctor_may_not_ask_the_gateway_and_does_not_call_it_somebody_else(
    gateway: Callable[[str], Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It advised to start what runs, and held the port against it."""
    daemon = gateway(NOBODY)

    def connect_refused(sock: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", connect_refused)
        found = typed("doctor", "--config", daemon.config_file).output
    assert "permission denied: be root" in found
    assert f"→ sudo sensor-gateway doctor --config {daemon.config_file}\n" in found
    assert "systemctl start" not in found
    assert "listener" not in found


def test_doctor_may_not_look_into_the_folder_of_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is neither root nor of the group got a traceback, as the package has it."""
    config = tmp_path / "config.toml"
    config.write_text(f'gateway.state_dir = "{tmp_path}/state"\n[history]\ndisk = "history.db"\n{NOBODY}')

    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(doctor.shutil, "disk_usage", refuse)
        found = typed("doctor", "--config", config).output
    fix = f"sudo sensor-gateway doctor --config {config}"
    assert f"warning  disk: you may not look into {tmp_path}\n         → {fix}\n" in found
    assert " clock: " in found


def test_doctor_says_of_a_listener_what_would_mend_it(tmp_path: Path) -> None:
    """Whatever was wrong, somebody else had the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "config.toml"
        listen = f'[[listen]]\nport = {port}\n[[listen]]\naddress = "203.0.113.7"\nport = {port}\ninsecure = true\n'
        config.write_text(f'gateway.state_dir = "{tmp_path}"\n{NOBODY}{listen}')
        found = typed("doctor", "--config", config).output
    assert f"127.0.0.1:{port}: Address already in use\n         → somebody else has it: ss" in found
    assert f"203.0.113.7:{port}: Cannot assign requested address\n         → is it an address of this machine?" in found


def test_doctor_reads_the_tokens_that_a_start_would_read(tmp_path: Path) -> None:
    """All was well, and nothing started."""
    config = tmp_path / "config.toml"
    config.write_text(f'gateway.state_dir = "{tmp_path}"\n{NOBODY}')
    assert "ok       signing in: by token" in typed("doctor", "--config", config).output
    (tmp_path / "tokens.json").write_text("none")
    found = typed("doctor", "--config", config)
    assert f"failure  signing in: {tmp_path}/tokens.json: no file of tokens: " in found.output
    assert found.exit_code == 1


def test_doctor_says_that_a_brokers_unix_socket_is_gone(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'gateway.state_dir = "{tmp_path}"\n[[upstream]]\nurls = ["unix://{tmp_path}/none.sock"]\n')
    found = typed("doctor", "--config", config)
    assert f"failure  broker main: unix://{tmp_path}/none.sock: No such file or directory" in found.output
    assert found.exit_code == 1


def test_init_for_the_network_makes_all_that_a_browser_needs(tmp_path: Path) -> None:
    config = tmp_path / "etc" / "config.toml"
    made = typed(
        "init", "--lan", "--broker", "mqtt://127.0.0.1:1", "--config", config, "--state-dir", tmp_path / "state"
    )
    assert made.exit_code == 0, made.output
    assert f"https://{own_names()[1]}:8443/#token=gw_" in made.output
    assert made.output.endswith(f"\nNow: sensor-gateway run --config {config}\n")
    assert typed("check", config).output == "ok\n"
    assert str(config.parent / "tls/certificate.pem") in typed("certificate", "show", "--config", config).output
    assert (config.parent / "tls/ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert (config.parent / "tls/key.pem").stat().st_mode & 0o077 == 0o040
    again = typed("init", "--config", config)
    assert again.exit_code == 1
    assert "exists" in again.output


def test_init_has_a_small_box_woken_less_often_and_says_so(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    assert typed("init", "--broker", "mqtt://127.0.0.1:1", "--config", config).exit_code == 0
    assert [upstream.linger for upstream in load(config).upstream] == [0.2]
    assert "take it out where" in config.read_text()


def test_init_writes_nothing_that_would_not_be_accepted(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    refused = typed("init", "--broker", "mqtt://user:secret@127.0.0.1:1", "--config", config)
    assert refused.exit_code == 1
    assert "credentials do not belong into an address" in refused.output
    assert "secret" not in refused.output
    assert not config.exists()


def test_init_takes_a_state_folder_from_where_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("init", "--lan", "--broker", "mqtt://127.0.0.1:1", "--state-dir", 'a "state"')
    assert typed(*arguments, "--config", "etc/config.toml").exit_code == 0
    assert (tmp_path / 'a "state"/tokens.json').exists()
    (tmp_path / "etc/config.toml").unlink()
    again = typed(*arguments, "--config", "etc/config.toml")
    assert again.exit_code == 0, again.output
    assert "first-2" in typed("token", "list", "--config", "etc/config.toml").output


def test_init_that_cannot_make_a_token_can_be_typed_again(tmp_path: Path) -> None:
    """Its configuration stood in the way of the second try."""
    config, state = tmp_path / "config.toml", tmp_path / "state"
    state.write_text("no folder")
    arguments = ("init", "--lan", "--config", config, "--broker", "mqtt://127.0.0.1:1", "--state-dir", state)
    failed = typed(*arguments)
    assert failed.exit_code == 1
    assert f"sensor-gateway: {state}: File exists; {config} is taken away again" in failed.output
    state.unlink()
    made = typed(*arguments)
    assert made.exit_code == 0, made.output
    assert "#token=gw_" in made.output


def test_init_leaves_a_certificate_of_somebody_elses_alone(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/certificate.pem").write_text("an ACME client's")
    refused = typed("init", "--lan", "--broker", "mqtt://127.0.0.1:1", "--config", tmp_path / "config.toml")
    assert refused.exit_code == 1
    assert "move it away" in refused.output
    assert (tmp_path / "tls/certificate.pem").read_text() == "an ACME client's"
    assert not (tmp_path / "config.toml").exists()


def test_init_listens_to_a_broker_over_websocket_too(tmp_path: Path) -> None:
    port = free_port()
    with Mosquitto(config=f"listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true") as broker:
        publish(broker, "tele/plug/SENSOR", b'{"Time":"2026-01-01T00:00:00","ENERGY":{"Power":5}}', retain=True)
        made = typed("init", "--broker", f"ws://127.0.0.1:{port}", "--config", tmp_path / "config.toml")
    assert "heard at the broker: tasmota (1 topics)" in made.output


def test_init_says_which_families_the_broker_has(tmp_path: Path, mosquitto: Mosquitto) -> None:
    publish(mosquitto, "tele/plug/SENSOR", b'{"Time":"2026-01-01T00:00:00","ENERGY":{"Power":5}}', retain=True)
    made = typed("init", "--broker", mosquitto.url, "--config", tmp_path / "config.toml")
    assert "heard at the broker: tasmota (1 topics)" in made.output


def test_who_asks_for_certificates_where_there_are_none_learns_how_to_make_one(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[[listen]]\nport = 8880\n")
    shown = typed("certificate", "show", "--config", config)
    assert shown.exit_code == 1
    assert f"there is none in {tmp_path / 'tls'}" in shown.output
    assert "certificate new" in shown.output


@pytest.mark.parametrize("name", ["", "two words", "a..b", "x" * 64 + ".example", "*", "https://box.example"])
def test_a_certificate_is_made_for_hosts_and_addresses_only(tmp_path: Path, name: str) -> None:
    refused = typed("certificate", "new", "--folder", tmp_path / "tls", "box.example", name)
    assert refused.exit_code == 1
    assert f'"{name}" is neither a host name nor an address' in refused.output
    assert not (tmp_path / "tls").exists()


def test_a_certificate_says_how_the_configuration_names_it_and_takes_any_script(tmp_path: Path) -> None:
    made = typed("certificate", "new", "--folder", tmp_path, "bücher.example", "*.box.example")
    assert made.exit_code == 0, made.output
    assert "names        xn--bcher-kva.example, *.box.example" in made.output
    assert f'tls = {{ certificate = "{tmp_path}/certificate.pem", key = "{tmp_path}/key.pem" }}' in made.output


def test_a_certificate_is_renewed_by_the_same_authority_for_the_same_names(tmp_path: Path) -> None:
    assert typed("certificate", "new", "box.example", "10.0.0.5", "--folder", tmp_path).exit_code == 0
    authority, first = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "certificate.pem").read_bytes()
    renewed = typed("certificate", "renew", "--folder", tmp_path)
    assert "names        box.example, 10.0.0.5" in renewed.output
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "certificate.pem").read_bytes() != first
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / "certificate.pem"], capture_output=True
    )
    assert verified.returncode == 0, verified.stderr
    assert typed("certificate", "new", "--folder", tmp_path).exit_code == 1


@pytest.mark.parametrize("own_authority", [False, True])
def test_a_certificate_of_somebody_elses_is_not_renewed(tmp_path: Path, certificate: Any, own_authority: bool) -> None:
    """An ACME client's was replaced by one of a new authority, which no browser believed."""
    if own_authority:
        assert typed("certificate", "new", "localhost", "--folder", tmp_path).exit_code == 0
    shutil.copy(certificate.certificate, tmp_path / "certificate.pem")
    shutil.copy(certificate.key, tmp_path / "key.pem")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    refused = typed("certificate", "renew", "--folder", tmp_path)
    assert refused.exit_code == 1
    assert "renew it where it comes from, such as an ACME client" in refused.output
    assert f"sensor-gateway certificate new --folder {tmp_path}" in refused.output
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_what_is_not_there_is_not_renewed(tmp_path: Path) -> None:
    refused = typed("certificate", "renew", "--folder", tmp_path)
    assert refused.output == (
        f"sensor-gateway: there is none in {tmp_path} to renew: make one: "
        f"sensor-gateway certificate new --folder {tmp_path}\n"
    )


def test_doctor_says_what_renews_a_certificate(tmp_path: Path, certificate: Any) -> None:
    config, tls = tmp_path / "config.toml", tmp_path / "tls"
    make(tls, ["localhost"], days=5)
    config.write_text(f'''
        gateway.state_dir = "{tmp_path}"
        [[upstream]]
        urls = ["mqtt://127.0.0.1:1"]
        [[listen]]
        port = {free_port()}
        tls = {{ certificate = "tls/certificate.pem", key = "tls/key.pem" }}
        ''')
    found = typed("doctor", "--config", config).output
    assert f"localhost: 5 days left\n         → sensor-gateway certificate renew --folder {tls} (it is" in found
    (tls / "ca-key.pem").unlink()
    found = typed("doctor", "--config", config).output
    assert "localhost: 5 days left\n         → renew it where it comes from, such as an ACME client (it is" in found


def test_doctor_says_what_to_type_for_the_file_that_it_looked_at(tmp_path: Path) -> None:
    """Typed as it said, its commands were about the gateway on the default file."""
    config = tmp_path / "my box.toml"
    config.write_text(f'gateway.state_dir = "{tmp_path}"\n{NOBODY}')
    (tmp_path / "tokens.json").write_text("{")
    found = typed("doctor", "--config", config).output
    assert f"→ sensor-gateway run --config '{config}', or the unit that does\n" in found
    assert f"→ nothing starts on it: mend it, then: sensor-gateway check '{config}'\n" in found


def test_a_backup_restores_files_history_and_begins_a_new_epoch(tmp_path: Path) -> None:
    config, state = tmp_path / "etc/config.toml", tmp_path / "state"
    (config.parent / "conf.d").mkdir(parents=True)
    state.mkdir()
    config.write_text(f'[gateway]\nstate_dir = "{state}"\n[history]\ndisk = "history.db"\n')
    piece = config.parent / "conf.d/a.toml"
    piece.write_text("[limits]\nsubscriptions = 7\n")
    database = sqlite3.connect(state / "history.db")
    database.executescript("PRAGMA journal_mode = WAL; CREATE TABLE kept (x); INSERT INTO kept VALUES (1);")
    # Still open, its newest rows in the write-ahead log: as beside a running gateway.
    reserved = offsets.Offsets(state)
    before = reserved.resume(5, exact=True).epoch
    assert typed("token", "new", "anna", "--role", "viewer", "--config", config).exit_code == 0
    saved = typed("backup", tmp_path / "all.tgz", "--config", config)
    assert saved.exit_code == 0, saved.output
    assert (tmp_path / "all.tgz").stat().st_mode & 0o777 == 0o600
    database.close()
    reserved.release()

    piece.unlink()
    (state / "tokens.json").unlink()
    (state / "history.db").write_bytes(b"broken")
    restored = typed("restore", tmp_path / "all.tgz", "--config", config)
    assert restored.exit_code == 0, restored.output
    assert "subscriptions = 7" in piece.read_text()
    assert "anna" in (state / "tokens.json").read_text()
    assert (state / "history.db.before-restore").read_bytes() == b"broken"
    with closing(sqlite3.connect(state / "history.db")) as again:
        assert again.execute("SELECT x FROM kept").fetchall() == [(1,)]
    found = offsets.read(state / offsets.NAME)
    assert found is not None
    assert found.epoch != before


def test_a_backup_has_every_secret_that_the_configuration_names_and_tells_of_those_elsewhere(tmp_path: Path) -> None:
    config, elsewhere = tmp_path / "etc/config.toml", tmp_path / "elsewhere"
    (config.parent / "secrets").mkdir(parents=True)
    (config.parent / "secrets/mqtt").write_text("of the broker")
    elsewhere.write_text("another")
    config.write_text(
        f'[gateway]\nstate_dir = "{tmp_path}/state"\n'
        '[[upstream]]\nname = "a"\nusername = "u"\npassword_file = "secrets/mqtt"\n'
        f'[[upstream]]\nname = "b"\nprefix = "b/"\nusername = "u"\npassword_file = "{elsewhere}"\n'
    )
    saved = typed("backup", tmp_path / "all.tgz", "--config", config)
    assert f"not in it, put it back yourself: {elsewhere}" in saved.output
    shutil.rmtree(config.parent)
    restored = typed("restore", tmp_path / "all.tgz", "--config", config)
    assert restored.exit_code == 0, restored.output
    assert (config.parent / "secrets/mqtt").read_text() == "of the broker"


@pytest.mark.parametrize("target", [".", "pipe"])
def test_a_backup_replaces_nothing_but_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """Typed as root, `backup /dev/stdout` had put a file in the place of the device."""
    config = tmp_path / "config.toml"
    config.write_text(f'[gateway]\nstate_dir = "{tmp_path}/state"\n')
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)
    refused = typed("backup", target, "--config", config)
    assert refused.exit_code == 1
    assert f"{target} is no file" in refused.output
    assert (tmp_path / "pipe").is_fifo()


def test_restore_on_a_full_disk_takes_nothing_away_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'gateway.state_dir = "{tmp_path}"\n')
    assert typed("backup", tmp_path / "all.tgz", "--config", config).exit_code == 0
    config.write_text("# mine\n")

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    failed = typed("restore", tmp_path / "all.tgz", "--config", config)
    assert (failed.exit_code, failed.output) == (
        1,
        f"sensor-gateway: restore failed: {config}: No space left on device\n",
    )
    assert config.read_text() == "# mine\n"
    assert not list(tmp_path.glob("*.before-restore"))


def test_a_backup_that_cannot_even_tidy_up_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that is read-only it was a traceback."""

    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    config = tmp_path / "config.toml"
    config.write_text("")
    monkeypatch.setattr(Path, "unlink", unlink)
    failed = typed("backup", tmp_path / "none" / "all.tgz", "--config", config)
    assert failed.exit_code == 1
    assert failed.output.startswith("sensor-gateway: backup failed, nothing was written: ")


@pytest.mark.parametrize("there", [None, "state_dir = [broken"], ids=["new box", "broken file"])
def test_the_backup_itself_says_where_its_state_belongs(tmp_path: Path, there: str | None) -> None:
    config, state = tmp_path / "etc/config.toml", tmp_path / "elsewhere"
    config.parent.mkdir()
    state.mkdir()
    config.write_text(f'[gateway]\nstate_dir = "{state}"\n')
    reserved = offsets.Offsets(state)
    reserved.resume(5, exact=True)
    reserved.release()
    assert typed("token", "new", "anna", "--role", "viewer", "--config", config).exit_code == 0
    assert typed("backup", tmp_path / "all.tgz", "--config", config).exit_code == 0
    saved = config.read_text()
    shutil.rmtree(state)
    shutil.rmtree(config.parent)
    if there is not None:
        config.parent.mkdir()
        config.write_text(there)
    restored = typed("restore", tmp_path / "all.tgz", "--config", config)
    assert restored.exit_code == 0, restored.output
    assert config.read_text() == saved
    assert "anna" in (state / "tokens.json").read_text()
    assert offsets.read(state / offsets.NAME) is not None


def test_a_backup_whose_configuration_is_not_accepted_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    config, state = tmp_path / "etc/config.toml", tmp_path / "state"
    config.parent.mkdir()
    state.mkdir()
    config.write_text(f'[gateway]\nstate_dir = "{state}"\n')
    assert typed("backup", tmp_path / "all.tgz", "--config", config).exit_code == 0
    (config.parent / "conf.d").mkdir()
    (config.parent / "conf.d/new.toml").write_text("[limits]\nfuture = 1\n")
    refused = typed("restore", tmp_path / "all.tgz", "--config", config)
    assert refused.exit_code != 0
    assert "limits.future" in refused.output
    assert "the configuration is restored, the state is not" in refused.output


def test_nothing_is_restored_under_a_running_gateway(gateway: Callable[[str], Daemon], tmp_path: Path) -> None:
    daemon = gateway(NOBODY)
    assert typed("backup", tmp_path / "all.tgz", "--config", daemon.config_file).exit_code == 0
    refused = typed("restore", tmp_path / "all.tgz", "--config", daemon.config_file)
    assert refused.exit_code == 1
    assert "the gateway runs" in refused.output


def test_nothing_is_restored_under_a_gateway_that_this_user_may_not_ask(
    gateway: Callable[[str], Daemon], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = gateway(NOBODY)
    assert typed("backup", tmp_path / "all.tgz", "--config", daemon.config_file).exit_code == 0

    def refuse(sock: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", refuse)
        refused = typed("restore", tmp_path / "all.tgz", "--config", daemon.config_file)
    assert refused.exit_code == 1
    assert "permission denied: be root" in refused.output
    assert not list(daemon.folder.glob("*.before-restore"))


@pytest.mark.parametrize("name", ["config/../../evil", "state//etc/evil", "other/evil", "config/tls/../../evil"])
def test_names_in_an_archive_are_not_taken_at_their_word(tmp_path: Path, name: str) -> None:
    import io
    import tarfile

    config = tmp_path / "etc/config.toml"
    config.parent.mkdir()
    config.write_text(f'[gateway]\nstate_dir = "{tmp_path}/state"\n')
    with tarfile.open(tmp_path / "bad.tgz", "w:gz") as tar:
        for each, data in (("sensor-gateway-backup", b"1\n"), (name, b"evil")):
            info = tarfile.TarInfo(each)
            info.size, info.mtime = len(data), int(time.time())
            tar.addfile(info, io.BytesIO(data))
    typed("restore", tmp_path / "bad.tgz", "--config", config)
    assert not [path for path in tmp_path.rglob("evil*")]
