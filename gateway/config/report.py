"""Collects what is wrong while a configuration is read and checked."""

from gateway.config.positions import Path
from gateway.config.problems import Problem
from gateway.config.tree import Written, path_text


class Report:
    """The problems found so far, and the keys that they make untrustworthy."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._problems: list[Problem] = []
        self._bad: set[Path] = set()

    def wrong(self, path: Path, message: str) -> None:
        """The value at `path` is wrong in itself."""
        self._add(path, message)
        self.distrust(path)

    def distrust(self, path: Path) -> None:
        """Whatever stands at `path` is not what was meant: no conclusion is drawn from it."""
        self._bad.add(path)

    def clash(self, path: Path, message: str, *others: Path) -> None:
        """The value at `path` does not go with those at `others`.

        Silent where one of them is wrong in itself: its default stands in for it, and would accuse the innocent.
        """
        if not any(_within(path, bad) or any(_within(o, bad) or _within(bad, o) for o in others) for bad in self._bad):
            self._add(path, message)

    def _add(self, path: Path, message: str) -> None:
        key = path_text(path)
        file, line = self._written.where(key)
        self._problems.append(Problem(file, line, key, message))

    def has(self, path: Path) -> bool:
        """True when a file sets the key."""
        return self._written.has(path_text(path))

    def sorted(self) -> list[Problem]:
        """All problems, file by file in the order they were met, by line."""
        files = {problem.file: rank for rank, problem in reversed(list(enumerate(self._problems)))}
        return sorted(self._problems, key=lambda problem: (files[problem.file], problem.line or 0))


def _within(path: Path, table: Path) -> bool:
    return path[: len(table)] == table
