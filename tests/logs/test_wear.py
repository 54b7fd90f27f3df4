import json
import random

import pytest
from support.conformance import message

from gateway.logs.store import Store
from gateway.logs.wear import DAY, bytes_per_day


@pytest.mark.parametrize("each", [1, 20, 200])
def test_what_is_written_is_about_what_is_said(tmp_path, each):
    store = Store(tmp_path / "history.db", limit=1 << 30, age=1e9, boot="b")
    store.open()
    store.begin_run(0.0, 0)
    # Without checkpoints all that is written stands in the write-ahead log; they write each page once more.
    store.db.execute("PRAGMA wal_autocheckpoint = 0")
    log = tmp_path / "history.db-wal"
    before, commits, size, offset = log.stat().st_size, 200, 0, 0
    rng = random.Random(1)
    for number in range(commits):
        batch = []
        for _ in range(each):
            offset += 1
            payload = json.dumps({"temperature": round(rng.uniform(15, 25), 2), "linkquality": rng.randrange(255)})
            batch.append(message(f"zigbee2mqtt/device-{rng.randrange(40)}", payload.encode(), 1e9, offset=offset))
            size += len(batch[-1].topic) + len(payload)
        store.write(batch, [], float(number))
    written = 2 * (log.stat().st_size - before)
    store.close()
    seconds = commits * 10.0
    said = bytes_per_day(each * commits / seconds, size / (each * commits), commit=10.0, durable=False)
    assert 0.5 < said * seconds / DAY / written < 2


def test_rare_commits_spare_the_card():
    at_once = bytes_per_day(20, 100, commit=0.05, durable=False)
    rare = bytes_per_day(20, 100, commit=10.0, durable=False)
    assert at_once > 20e9
    assert rare < 0.5e9
    assert bytes_per_day(20, 100, commit=10.0, durable=True) == at_once
