"""A backup beside a gateway that goes on writing."""

import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

from gateway.commands.archive import backup
from gateway.config import load

WRITER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA synchronous = OFF")
until = time.monotonic() + 10
print("writing", flush=True)
while time.monotonic() < until:
    database.execute("INSERT INTO counted DEFAULT VALUES")
"""


def test_a_backup_ends_while_somebody_commits_all_the_time(tmp_path: Path) -> None:
    """The copy began from the start at every commit: beside a gateway with `durable` it never came to its end."""
    config, history = tmp_path / "config.toml", tmp_path / "state" / "history.db"
    history.parent.mkdir()
    config.write_text(f'[gateway]\nstate_dir = "{history.parent}"\n[history]\ndisk = "history.db"\n')
    database = sqlite3.connect(history, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE counted (n INTEGER PRIMARY KEY); CREATE TABLE filler (x);"
        "INSERT INTO filler VALUES (zeroblob(40000000));"
    )
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(history)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    list(backup(load(config), config, tmp_path / "all.tgz"))
    still = writer.poll() is None
    writer.kill()
    writer.communicate()
    [(written,)] = database.execute("SELECT count(*) FROM counted")
    database.close()
    assert still, "the backup ended only once nobody wrote any more"
    with tarfile.open(tmp_path / "all.tgz") as tar:
        tar.extract("state/history.db", tmp_path / "out", filter="data")
    copy = sqlite3.connect(tmp_path / "out" / "state" / "history.db")
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    [(copied,)] = copy.execute("SELECT count(*) FROM counted")
    copy.close()
    assert copied < written
