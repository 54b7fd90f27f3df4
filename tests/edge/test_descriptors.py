"""Without file descriptors nobody new is taken, and nobody who is here is harmed."""

import resource
import subprocess
import sys
import textwrap

from gateway.edge.descriptors import RESERVED_FDS, descriptors_for_clients

EMFILE = """
import asyncio, logging, resource, socket, sys
sys.path.insert(0, {tests!r})
from support.edge import Edge, receive

async def main():
    told = []
    class Handler(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())
    log = logging.getLogger("gateway.edge")
    log.addHandler(Handler()); log.setLevel(logging.INFO); log.propagate = False
    async with Edge() as edge, edge.connect("?topic=t&replay=none") as client:
        await receive(client, "welcome")
        soft = len(__import__("os").listdir("/proc/self/fd")) + 12
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
        waiting = []
        try:
            while True:
                sock = socket.socket(); sock.setblocking(False)
                waiting.append(sock)
                try:
                    sock.connect(("127.0.0.1", edge.port))
                except BlockingIOError:
                    pass
        except OSError:
            pass
        while edge.server.counts["file-descriptors"] < 2:
            await asyncio.sleep(0.05)
        edge.publish("t", "1")
        assert (await receive(client, "message"))["data"] == 1, "clients live on"
        for sock in waiting:
            sock.close()
        async with edge.connect() as late:
            await receive(late, "welcome", 10)
        print(told)
        assert [line.split(":")[0] for line in told] == ["cannot accept", told[-1]], told
        assert told[-1].startswith("accepting again after"), told

asyncio.run(main())
"""


def test_without_file_descriptors_clients_live_on_and_accepting_resumes(tmp_path):
    script = tmp_path / "emfile.py"
    tests = str(__import__("pathlib").Path(__file__).parents[1])
    script.write_text(textwrap.dedent(EMFILE.format(tests=tests)))
    result = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, cwd=tests + "/.."
    )
    assert result.returncode == 0, result.stderr + result.stdout


def test_descriptors_are_kept_for_all_else():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert descriptors_for_clients() == before[1] - RESERVED_FDS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
