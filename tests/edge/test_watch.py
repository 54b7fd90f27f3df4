"""Files that change under way: what is told of them, and how often."""

import asyncio
import logging
import shutil
import time

import pytest
from support.edge import Edge

from gateway.commands.certificates import make_self_signed
from gateway.edge.tls import TlsFiles
from gateway.edge.tokens import Tokens
from gateway.edge.watch import Watch


@pytest.fixture
def served(tmp_path):
    files = make_self_signed(tmp_path, ["box.lan"], days=22)
    return TlsFiles(files.certificate, files.key)


async def test_a_new_certificate_is_told_and_a_broken_one_once(served, tmp_path, caplog):
    async with Edge(tls=served) as edge:
        watch = Watch(edge.server)
        with caplog.at_level(logging.INFO, "gateway"):
            watch.look()
            assert caplog.messages == []
            served.certificate.write_text("nothing")
            watch.look()
            watch.look()
            broken = [m for m in caplog.messages if "stays in use" in m]
            assert len(broken) == 1
            (tmp_path / "new").mkdir()
            new = make_self_signed(tmp_path / "new", ["panel.lan"])
            shutil.copy(new.key, tmp_path / "key.pem")
            shutil.copy(new.certificate, served.certificate)
            watch.look()
            assert any("serving a new certificate for panel.lan" in m for m in caplog.messages)
        assert watch.reload() == []
        (tmp_path / "key.pem").write_text("nothing")
        assert len(watch.reload()) == 1


async def test_the_end_of_a_certificate_is_told_once_for_each_threshold(served, caplog):
    async with Edge(tls=served) as edge:
        watch = Watch(edge.server)
        start = time.time()
        said = []
        for hour in range(24 * 24):
            edge.room.wall = lambda hour=hour: start + hour * 3600
            caplog.clear()
            watch.look()
            said += [record.levelname for record in caplog.records]
        assert said == ["WARNING", "WARNING", "WARNING", "ERROR"]


async def test_tokens_made_and_revoked_are_in_the_audit(tmp_path, caplog):
    tokens = Tokens(tmp_path / "tokens.json")
    async with Edge(anonymous="", judge={"methods": ["token"], "tokens": tokens}) as edge:
        watch = Watch(edge.server)
        other = Tokens(tokens.path)
        with caplog.at_level(logging.INFO, "gateway"):
            other.new("ann", "viewer", now=0.0)
            watch.look()
            other.revoke("ann")
            watch.look()
            tokens.path.write_text("broken")
            watch.look()
            watch.look()
        lines = "\n".join(caplog.messages)
        assert "action=token result=made" in lines
        assert "action=token result=revoked" in lines
        assert lines.count("stay valid") == 1


async def test_whatever_goes_wrong_at_one_look_there_is_a_next_one(served, caplog, monkeypatch):
    """A file that is gone between its look and its use had ended all looking: no token could be revoked any more."""
    looks = []

    def vanish(*, force=False):
        looks.append(force)
        raise FileNotFoundError(2, "No such file or directory")

    async with Edge(tls=served) as edge:
        monkeypatch.setattr(served, "refresh", vanish)
        watching = asyncio.create_task(Watch(edge.server).run())
        async with asyncio.timeout(10):
            while len(looks) < 2:  # noqa: ASYNC110 - the second look has no event
                await asyncio.sleep(0.05)
        watching.cancel()
    assert "a fault of ours on the look at tokens and certificates" in caplog.text
