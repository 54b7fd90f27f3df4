import asyncio
import socket
import ssl
import threading

import pytest
from support.processes import free_port

from gateway.commands.causes import cause


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_asyncio_says_of_a_closed_port_becomes_a_reason(host: str) -> None:
    with pytest.raises(OSError, match="Connect call failed") as raised:
        await asyncio.open_connection(host, free_port())

    assert cause(raised.value) == "connection refused"


def test_several_addresses_that_fail_differently_are_all_told_once() -> None:
    text = "Multiple exceptions: [Errno 111] Connect call failed, [Errno 113] Connect call failed, [Errno 111] again"
    assert cause(OSError(text)) == "connection refused, no route to host"


def test_a_port_without_tls_is_named() -> None:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(listener.getsockname()) as plain, pytest.raises(ssl.SSLError) as raised:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
        thread.join()

    assert cause(raised.value) == "it does not speak TLS"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name not resolved: Name or service not known"),
        (TimeoutError(), "no answer in time"),
        (OSError("did not receive a valid HTTP response"), "did not receive a valid HTTP response"),
        (OSError(), "OSError"),
    ],
)
def test_other_errors(error: Exception, words: str) -> None:
    assert cause(error) == words
