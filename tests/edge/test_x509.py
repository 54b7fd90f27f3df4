import ssl
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.certificates import make_self_signed
from gateway.edge.tls import certificate_facts
from gateway.edge.x509 import facts_of
from gateway.errors import GatewayError


@pytest.fixture(scope="module")
def der(tmp_path_factory):
    files = make_self_signed(
        tmp_path_factory.mktemp("x509"),
        ["Box.lan", "*.kiosk.lan", "127.0.0.1", "::1"],
        now=datetime(2026, 1, 2, tzinfo=UTC),
        days=30,
    )
    return ssl.PEM_cert_to_DER_cert(files.certificate.read_text())


def test_names_and_end_are_read(der):
    facts = facts_of(der)
    assert facts.common_name == "Box.lan"
    assert facts.names == ("box.lan", "*.kiosk.lan", "127.0.0.1", "::1")
    assert datetime.fromtimestamp(facts.not_after, UTC) == datetime(2026, 1, 31, 23, 55, tzinfo=UTC)


def test_a_cut_certificate_is_an_error_at_every_byte(der):
    for size in range(len(der)):
        with pytest.raises(ValueError, match=r".+"):
            facts_of(der[:size])


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise(data):
    try:
        facts_of(data)
    except ValueError:
        pass


@given(st.integers(0, 400), st.integers(0, 255))
def test_no_changed_byte_does_more_than_raise(der, place, value):
    changed = bytearray(der)
    changed[place % len(der)] = value
    try:
        facts_of(bytes(changed))
    except ValueError:
        pass


def test_a_file_without_a_certificate_is_named(tmp_path):
    (tmp_path / "a.pem").write_text("nothing")
    for name in ("a.pem", "none.pem"):
        with pytest.raises(GatewayError, match=name):
            certificate_facts(tmp_path / name)
