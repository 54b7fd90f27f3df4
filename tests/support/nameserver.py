"""A name server for a test, as a process: what it says to everybody stands in a file.

    python -m support.nameserver FILE

The file is read at every question: an IPv4 address, `nxdomain`, or `silent`.
"""

import socket
import sys
from pathlib import Path

ADDRESS, PORT = "127.0.0.1", 53
_A, _NAME_ERROR = 1, 3


def answer(question: bytes, says: str) -> bytes | None:
    """The response to one question (RFC 1035, 4.1), None where nothing is said."""
    if says == "silent":
        return None
    end = question.index(b"\0", 12) + 5  # behind name, type and class
    kind = int.from_bytes(question[end - 4 : end - 2], "big")
    known = says != "nxdomain"
    records = b""
    if known and kind == _A:
        records = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04" + socket.inet_aton(says)
    flags = 0x8180 | (0 if known else _NAME_ERROR)
    counts = b"\0\x01" + (1 if records else 0).to_bytes(2, "big") + b"\0\0\0\0"
    return question[:2] + flags.to_bytes(2, "big") + counts + question[12:end] + records


def main() -> None:
    file = Path(sys.argv[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ADDRESS, PORT))
        print("ready", flush=True)
        while True:
            question, sender = server.recvfrom(512)
            said = answer(question, file.read_text().strip())
            if said is not None:
                server.sendto(said, sender)


if __name__ == "__main__":
    main()
