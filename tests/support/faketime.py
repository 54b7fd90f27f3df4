"""A wall clock that lies, for a process of its own; its monotonic clock stays right."""

from pathlib import Path


def faketime(file: Path, clock: str) -> dict[str, str]:
    """The environment of a process whose wall clock is what `file` says; first `clock`: "-3600", "+30d"."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    assert library is not None, "apt-get install faketime"
    set_clock(file, clock)
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(file: Path, clock: str) -> None:
    """Set the clock of the processes that go by `file`."""
    new = file.with_suffix(".new")
    new.write_text(clock)
    new.replace(file)
