import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import Log
from gateway.edge.audit import KNOWN, STRANGERS, audit
from gateway.operations import logs
from gateway.operations.logs import LOGGERS, Output, goes_to_journal, set_up, tell_faults
from gateway.operations.repeats import BURST, SETTLED, WINDOW

log = logging.getLogger("gateway.edge")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(list(each.handlers), each.propagate, each.level) for each in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        for handler in logger.handlers:
            if isinstance(handler, Output):
                handler.retire()
        logger.handlers[:] = handlers
        logger.propagate = propagate
        logger.setLevel(level)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    yield descriptor, path
    os.close(descriptor)


def test_auto_is_text_off_the_journal(file: tuple[int, Path]) -> None:
    set_up(Log(), environ={}, descriptor=file[0])
    log.info("hello %s", "you")
    log.debug("not shown")
    [line] = file[1].read_text().splitlines()
    assert line.endswith('level=info from=edge msg="hello you"')


def test_json_and_a_level_of_its_own(file: tuple[int, Path]) -> None:
    set_up(Log(level="warning", format="json"), environ={}, descriptor=file[0])
    log.info("not shown")
    log.warning("shown")
    assert [json.loads(line)["msg"] for line in file[1].read_text().splitlines()] == ["shown"]


def test_another_format_takes_over_under_way(file: tuple[int, Path]) -> None:
    set_up(Log(format="text"), environ={}, descriptor=file[0])
    log.info("one")
    set_up(Log(format="json", level="debug"), environ={}, descriptor=file[0])
    log.debug("two")
    first, second = file[1].read_text().splitlines()
    assert first.endswith('msg="one"')
    assert json.loads(second)["msg"] == "two"


def test_devices_are_heard_too(file: tuple[int, Path]) -> None:
    set_up(Log(), environ={}, descriptor=file[0])
    logging.getLogger("sensor_gateway.devices").warning("odd")
    assert "from=devices" in file[1].read_text()


def test_the_journal_gets_native_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        path = Path(folder) / "socket"
        journal.bind(str(path))
        journal.settimeout(5)
        monkeypatch.setattr(logs, "JOURNAL", path)
        reading, writing = os.pipe()
        try:
            status = os.fstat(writing)
            environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            assert goes_to_journal(environ, writing)
            assert not goes_to_journal({"JOURNAL_STREAM": "1:2"}, writing)
            set_up(Log(), environ=environ, descriptor=writing)
            log.error("out of %s", "paper")
            assert b"MESSAGE=out of paper\nPRIORITY=3\n" in journal.recv(65536)
        finally:
            os.close(reading)
            os.close(writing)


def test_a_full_pipe_holds_nobody_up_and_the_loss_is_told() -> None:
    reading, writing = os.pipe()
    try:
        output = set_up(Log(level="debug"), environ={}, descriptor=writing)
        for number in range(3000):
            log.debug("%s", f"{number} " + "x" * 200)
        assert output.dropped > 0
        heard = os.read(reading, 1 << 20)
        log.debug("here again")
        heard = os.read(reading, 1 << 20)
        assert f"{output.dropped} lines of the log were dropped".encode() in heard
        assert b"here again" in heard
    finally:
        os.close(reading)
        os.close(writing)


def test_a_reader_that_is_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    output = set_up(Log(), environ={}, descriptor=writing)
    os.close(reading)
    try:
        log.warning("nobody reads this")
        assert output.dropped == 1
    finally:
        os.close(writing)


def test_repeated_events_are_counted_and_limited() -> None:
    now = 1000.0
    heard: list[str] = []

    def write(record: logging.LogRecord) -> bool:
        heard.append(record.getMessage())
        return True

    output = Output(write, clock=lambda: now)
    logger = logging.Logger("gateway.test")
    logger.addHandler(output)
    for number in range(BURST + 1204):
        logger.warning("rejected %d", number)
    logger.warning("another event")
    assert heard == [f"rejected {n}" for n in range(BURST)] + ["another event"]

    now += WINDOW + 1
    output.repeats.tick(now)
    assert heard[-1] == f"rejected {BURST + 1203} … the newest of 1,204 more in 60 s"
    logger.warning("rejected %d", 7)
    output.repeats.tick(now + WINDOW + 1)
    assert len(heard) == BURST + 3


def test_what_one_link_does_holds_back_nothing_of_another_and_the_newest_state_is_told() -> None:
    now = 1000.0
    heard: list[str] = []
    output = Output(lambda record: heard.append(record.getMessage()) is None, clock=lambda: now)
    logger = logging.Logger("gateway.test")
    logger.addHandler(output)

    def tell(level: int, name: str, state: str) -> None:
        logger.log(level, "%s: %s", name, state, extra={"subject": name})

    for _ in range(20):
        tell(logging.WARNING, "flapping", "down")
        tell(logging.INFO, "flapping", "up")
    tell(logging.WARNING, "flapping", "down for good")
    for name in ("one", "two"):
        tell(logging.WARNING, name, "down")
    assert heard[BURST:] == ["one: down", "two: down"]
    now += SETTLED + 1
    output.repeats.tick(now)
    assert heard[BURST + 2 :] == [f"flapping: down for good … the newest of {41 - BURST} more in 6 s"]
    tell(logging.INFO, "flapping", "up at last")
    output.repeats.flush()
    assert heard[BURST + 3 :] == ["flapping: up at last … the newest of 1 more in 6 s"]


def test_what_ends_a_thread_or_the_process_stands_in_the_log_in_its_form(
    file: tuple[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", threading.excepthook)
    set_up(Log(format="json"), environ={}, descriptor=file[0])
    tell_faults()

    def fail() -> None:
        raise ValueError("out of order")

    thread = threading.Thread(target=fail, name="writer")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    lines = [json.loads(line) for line in file[1].read_text().splitlines()]
    assert [line["level"] for line in lines] == ["critical", "critical"]
    assert "writer" in lines[0]["msg"]
    assert all(line["trace"][-1] == "ValueError: out of order" for line in lines)


def test_what_the_event_loop_reports_has_the_same_form(file: tuple[int, Path]) -> None:
    set_up(Log(format="json", level="debug"), environ={}, descriptor=file[0])
    logging.getLogger("asyncio").debug("Using selector: EpollSelector")
    logging.getLogger("asyncio").error("Task exception was never retrieved")
    [line] = file[1].read_text().splitlines()
    assert json.loads(line)["from"] == "asyncio"


def test_the_audit_counts_what_the_same_one_does_over_and_over(file: tuple[int, Path]) -> None:
    output = set_up(Log(format="json", level="error"), environ={}, descriptor=file[0])
    for number in range(500):
        audit("publish", "ok", user="ann", address="10.0.0.1", topic=f"pump/{number}")
    audit("publish", "ok", user="ann", address="10.0.0.2", topic="pump/a")
    audit("publish", "ok", user="bob", address="10.0.0.1", topic="pump/b")
    audit("publish", "refused", user="ann", address="10.0.0.1", topic="pump/c")
    output.repeats.flush()
    lines = [json.loads(line) for line in file[1].read_text().splitlines()]
    assert [line["topic"] for line in lines[KNOWN:]] == ["pump/a", "pump/b", "pump/c", "pump/499"]
    assert lines[-1]["msg"] == f"audit … the newest of {500 - KNOWN} more in 0 s"


def test_strangers_fill_a_screen_of_the_audit_however_many_addresses_they_have(file: tuple[int, Path]) -> None:
    output = set_up(Log(format="text"), environ={}, descriptor=file[0])
    for number in range(2000):
        audit("host", "refused", address=f"2001:db8:{number:x}::1", host=f"made-up{number}.example")
    output.repeats.flush()
    lines = file[1].read_text().splitlines()
    assert len(lines) == STRANGERS + 1
    assert f'msg="audit … the newest of {2000 - STRANGERS:,} more in 0 s"' in lines[-1]
