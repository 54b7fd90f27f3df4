"""What is wrong with a configuration: every mistake at once, each with its place."""

from collections.abc import Sequence

import msgspec

from gateway.errors import GatewayError


class Problem(msgspec.Struct, frozen=True):
    """One mistake.

    `file` is the path as it was given, empty when no file is at fault. `line` counts from 1 and is None where the
    fault has no line (a file that cannot be opened, a default). `key` is written like `listen[0].tls.key`, empty for
    faults of the whole file. `message` says what is wrong and what was expected.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(GatewayError):
    """A configuration that nothing may start on; `problems` holds at least one, in the order of the files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
