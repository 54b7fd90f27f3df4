"""The commands that an operator types, against a real gateway and real files."""

import json
import os
import shutil
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from paho.mqtt.publish import single
from support.daemon import Daemon
from support.mosquitto import Mosquitto
from websockets.asyncio.client import connect

from gateway.cli import main
from gateway.commands.authority import own_names
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


def test_doctor_names_what_is_wrong_and_how_to_mend_it(gateway: Callable[[str], Daemon]) -> None:
    daemon = gateway(NOBODY)
    found = typed("doctor", "--config", daemon.config_file)
    assert found.exit_code == 1
    assert "failure  broker main: mqtt://127.0.0.1:1: Connection refused" in found.output
    assert "ok       configuration: " in found.output
    daemon.config_file.write_text("[limit]\n")
    assert "failure  configuration: " in typed("doctor", "--config", daemon.config_file).output


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


@pytest.mark.parametrize("name", ["config/../../evil", "state//etc/evil", "other/evil", "config/tls/deep/evil"])
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
