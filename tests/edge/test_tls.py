"""Real TLS against the real server: protocol versions, resumption, client certificates, certificates that change."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from support.edge import Edge, receive
from support.sleeper import until
from websockets.exceptions import InvalidMessage

from gateway.commands.certificates import make_self_signed
from gateway.edge.tls import DAY, TlsFiles, names_in, server_context, warning_due
from gateway.errors import GatewayError


@pytest.fixture
def files(certificate, tmp_path):
    """A set of its own, which a test may overwrite."""
    for source in (certificate.certificate, certificate.key):
        shutil.copy(source, tmp_path / source.name)
    return tmp_path


def tls_of(folder, **more):
    return TlsFiles(folder / "certificate.pem", folder / "key.pem", **more)


async def served(edge, context) -> bytes:
    """The certificate that a new connection gets (DER)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, ssl=context, server_hostname="localhost")
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    del reader
    return found


def anything():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def replace(folder, files) -> None:
    for path, name in ((files.key, "key.pem"), (files.certificate, "certificate.pem")):
        shutil.copy(path, folder / f"new-{name}")
        os.replace(folder / f"new-{name}", folder / name)


async def test_tls_1_1_is_refused_and_1_2_and_1_3_are_not(files):
    async with Edge(tls=tls_of(files)) as edge:

        def connect(version: str) -> str:
            result = subprocess.run(
                # At security level 0 the client itself would still speak 1.1.
                ["openssl", "s_client", "-connect", f"127.0.0.1:{edge.port}", version, "-cipher", "ALL:@SECLEVEL=0"],
                input=b"",
                capture_output=True,
                timeout=20,
            )
            return (result.stdout + result.stderr).decode(errors="replace")

        assert "alert protocol version" in await asyncio.to_thread(connect, "-tls1_1")
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            answer = await asyncio.to_thread(connect, version)
            assert name in answer


async def test_sessions_are_resumed(files, certificate):
    client = ssl.create_default_context(cafile=str(certificate.ca))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client.minimum_version = client.maximum_version = version
        async with Edge(tls=tls_of(files)) as edge:

            def visit(session, port=edge.port):
                with socket.create_connection(("127.0.0.1", port)) as raw:
                    wrapped = client.wrap_socket(raw, server_hostname="localhost", session=session)
                    with wrapped as sock:
                        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        while sock.recv(4096):
                            pass
                        return sock.session, sock.session_reused

            session, reused = await asyncio.to_thread(visit, None)
            assert not reused
            assert (await asyncio.to_thread(visit, session))[1]


async def test_a_new_certificate_is_served_and_no_client_is_dropped(files, certificate, tmp_path):
    client = ssl.create_default_context(cafile=str(certificate.ca))
    new = make_self_signed(_folder(tmp_path / "new"), ["localhost"])
    tls = tls_of(files)
    async with Edge(tls=tls) as edge, edge.connect("?topic=%23&replay=none", ssl=client) as viewer:
        await receive(viewer, "welcome")
        before = await served(edge, anything())
        replace(files, new)
        assert tls.refresh()
        assert not tls.refresh()
        assert await served(edge, anything()) != before
        assert tls.facts.names == ("localhost",)
        edge.publish("t", "1")
        assert (await receive(viewer, "message"))["data"] == 1


async def test_a_mismatched_pair_keeps_the_old_one_at_work(files, certificate, tmp_path):
    new = make_self_signed(_folder(tmp_path / "new"), ["localhost"])
    tls = tls_of(files)
    async with Edge(tls=tls) as edge:
        before = await served(edge, anything())
        shutil.copy(new.certificate, files / "certificate.pem")
        with pytest.raises(GatewayError, match="do not belong together"):
            tls.refresh()
        assert await served(edge, anything()) == before
        # The other half arrives.
        shutil.copy(new.key, files / "key.pem")
        assert tls.refresh()
        assert await served(edge, anything()) != before


@pytest.mark.parametrize("break_it", ["remove", "empty", "garbage"])
async def test_a_broken_file_keeps_the_old_one_at_work(files, break_it):
    tls = tls_of(files)
    async with Edge(tls=tls) as edge:
        before = await served(edge, anything())
        path = files / "certificate.pem"
        if break_it == "remove":
            path.unlink()
        else:
            path.write_text("" if break_it == "empty" else "-----BEGIN CERTIFICATE-----\nx\n")
        with pytest.raises(GatewayError, match=r"certificate\.pem"):
            tls.refresh()
        assert await served(edge, anything()) == before


async def test_a_client_certificate_is_asked_for_and_may_be_missing(files, certificate, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "clients.pem")
    issued = authority.issue_cert("panel.lan", common_name="Panel")
    with_certificate = ssl.create_default_context(cafile=str(certificate.ca))
    issued.configure_cert(with_certificate)
    without = ssl.create_default_context(cafile=str(certificate.ca))
    stranger = ssl.create_default_context(cafile=str(certificate.ca))
    trustme.CA().issue_cert("panel.lan").configure_cert(stranger)
    tls = tls_of(files, client_ca=tmp_path / "clients.pem")
    async with Edge(tls=tls) as edge:
        seen = []
        judge = edge.front.judge
        edge.front.judge = lambda request, peer: seen.append(peer.certificate) or judge(request, peer)
        for context in (with_certificate, without):
            async with edge.connect(ssl=context) as viewer:
                await receive(viewer, "welcome")
        assert seen == [("Panel", "panel.lan"), ()]
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError, InvalidMessage)):
            async with edge.connect(ssl=stranger):
                pass
        assert edge.server.counts["tls-handshake"] == 1


def test_what_cannot_be_served_is_named(files, tmp_path):
    with pytest.raises(GatewayError, match=r"nowhere\.pem: cannot be read"):
        server_context(tmp_path / "nowhere.pem", files / "key.pem")
    with pytest.raises(GatewayError, match=r"key\.pem: no certificates"):
        tls_of(files, client_ca=files / "key.pem")


def test_the_profile_has_no_old_cipher_and_no_renegotiation(files):
    context = tls_of(files).context
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert all("GCM" in name or "CHACHA20" in name for name in names)
    assert all(name.startswith(("ECDHE-", "TLS_")) for name in names)
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_the_end_is_warned_of_at_21_7_and_1_days_and_when_it_has_come():
    end = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    said, warnings = None, []
    for hour in range(30 * 24, -25, -1):
        due = warning_due(end, end - hour * DAY / 24, said)
        if due is not None:
            warnings.append((due, hour / 24))
            said = due
    assert warnings == [(21, 21.0), (7, 7.0), (1, 1.0), (0, 0.0)]
    # Started late: the nearest only.
    assert warning_due(end, end - timedelta(days=3).total_seconds(), None) == 7


def test_names_of_no_certificate_are_none():
    assert names_in(None) == ()
    assert names_in({}) == ()


def _folder(path):
    path.mkdir()
    return path


async def test_the_end_of_tls_that_a_full_socket_does_not_take_is_said_later(files):
    """The connection ended without it then, which to the client is an answer that was cut off (RFC 8446, 6.1)."""
    async with Edge(tls=tls_of(files)) as edge:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", edge.port)) as plain:
            with anything().wrap_socket(plain, suppress_ragged_eofs=False, do_handshake_on_connect=False) as client:
                await loop.run_in_executor(None, client.do_handshake)
                await until(lambda: bool(edge.server.connections))
                [connection] = edge.server.connections.values()
                sock = connection._transport._sock
                unwrap, tries = sock.unwrap, []

                def full():
                    tries.append(1)
                    if len(tries) == 1:
                        raise ssl.SSLWantWriteError
                    return unwrap()

                sock.unwrap = full
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b""
                while data := await loop.run_in_executor(None, client.recv, 65536):
                    answer += data
        assert answer.endswith(b"ok\n")
        assert len(tries) == 2
