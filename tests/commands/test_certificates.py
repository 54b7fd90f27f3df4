import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.commands.certificates import make_self_signed

NAMES = ["localhost", "127.0.0.1", "::1", "box.local"]


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_file_accepts_each_name(tmp_path: Path, name: str) -> None:
    files = make_self_signed(tmp_path, NAMES)
    server_side, client_side = socket.socketpair()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(files.certificate, files.key)
    server = threading.Thread(
        target=lambda: serving.wrap_socket(server_side, server_side=True, suppress_ragged_eofs=True).close()
    )
    server.start()
    with ssl.create_default_context(cafile=files.certificate).wrap_socket(client_side, server_hostname=name) as client:
        assert client.version() in ("TLSv1.2", "TLSv1.3")
    server.join()


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    files = make_self_signed(tmp_path, NAMES)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_it_is_valid_from_now_for_the_days_asked_for(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    files = make_self_signed(tmp_path, NAMES, now=now, days=2)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert certificate.not_valid_before_utc <= now
    assert now + timedelta(days=1) < certificate.not_valid_after_utc <= now + timedelta(days=2)


def test_a_name_is_said_once_however_often_it_is_given(tmp_path: Path) -> None:
    files = make_self_signed(tmp_path, ["localhost", "localhost"])
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
