import os
import threading
import time

import pytest
from support.conformance import message

from gateway.logs.gate import Gate
from gateway.logs.historyfile import torn
from gateway.logs.shelf import Shelf
from gateway.logs.store import VACUUM, Store

PAGE = 4096


def test_a_file_gives_back_what_a_lowered_limit_leaves_free(tmp_path):
    """A page a commit was given back: of a gigabyte less nothing was to be seen for weeks."""
    path = tmp_path / "history.db"
    store = Store(path, limit=64 << 20, age=1e9, boot="b")
    store.open()
    store.begin_run(0.0, 0)
    for start in range(1, 4000, 100):
        store.write([message(payload=os.urandom(2000), offset=start + n) for n in range(100)], [], 0.0)
    store.close()
    before = path.stat().st_size
    assert before > 7 << 20

    store = Store(path, limit=4 << 20, age=1e9, boot="b")
    store.open()
    store.begin_run(0.0, 4000)
    commits = 0
    for commits in range(1, 100):
        store.write([message(offset=4000 + commits)], [], 0.0)
        [(pages,)] = store.db.execute("PRAGMA page_count")
        if pages * PAGE <= 4 << 20:
            break
    store.close()
    assert commits <= (before - (4 << 20)) // (VACUUM * PAGE) + 2
    assert path.stat().st_size <= 4 << 20


def test_a_file_that_is_read_all_the_time_keeps_its_limit_with_its_write_ahead_log(tmp_path):
    """The log grew on for as long as replays followed each other: SQLite begins it anew only while nobody reads."""
    path, gate, limit = tmp_path / "history.db", Gate(), 4 << 20
    store = Store(path, limit=limit, age=1e9, boot="b", gate=gate)
    store.open()
    store.begin_run(0.0, 0)
    over = threading.Event()

    def read():
        shelf = Shelf(path)
        while not over.is_set():
            with gate.reading():
                shelf.db.execute("BEGIN")
                shelf.span_at(1)
                over.wait(0.002)
                shelf.db.execute("COMMIT")
        shelf.close()

    reader = threading.Thread(target=read)
    reader.start()
    largest = 0
    for start in range(1, 20_000, 50):
        store.write([message(payload=os.urandom(1000), offset=start + n) for n in range(50)], [], 0.0)
        largest = max(largest, sum(file.stat().st_size for file in tmp_path.glob("history.db*")))
    over.set()
    reader.join()
    store.close()
    assert largest < limit + 256 * 1024


def test_a_reader_that_never_ends_holds_up_a_commit_for_no_longer_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.logs.store.READERS", 0.05)
    path, gate = tmp_path / "history.db", Gate()
    store = Store(path, limit=1 << 20, age=1e9, boot="b", gate=gate)
    store.open()
    store.begin_run(0.0, 0)
    begin = time.monotonic()
    with gate.reading():
        for start in range(1, 2000, 50):
            store.write([message(payload=os.urandom(1000), offset=start + n) for n in range(50)], [], 0.0)
    assert time.monotonic() - begin < 10.0
    assert store.last_stored() == 2000
    store.close()


@pytest.mark.parametrize(
    ("left", "cut"), [(32, False), (32 + 4120, False), (32 + 4120 + 24, False), (32 + 4120 + 25, True), (0, True)]
)
def test_a_write_ahead_log_is_cut_where_it_ends_within_what_sqlite_writes_at_once(tmp_path, left, cut):
    """One of a killed process may end behind a frame's header, and what was given then was called unknown for it."""
    (tmp_path / "history.db-wal").write_bytes(b"x" * left)
    assert torn(tmp_path / "history.db") is cut
