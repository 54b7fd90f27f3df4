import pytest

from gateway.errors import UpstreamError
from gateway.upstream.handed import Paho
from gateway.upstream.pahocheck import verify_paho


def test_this_paho_can_be_driven() -> None:
    verify_paho()


@pytest.mark.parametrize("name", ["_packet_queue", "_update_inflight", "_create_socket", "reconnect"])
def test_a_paho_without_what_the_client_relies_on_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Paho, name, lambda self, *arguments: None)

    with pytest.raises(UpstreamError, match=r"install paho-mqtt>=2\.2,<3"):
        verify_paho()
