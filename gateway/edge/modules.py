"""Joins plain ES modules into one file, so that a page of many small modules is one request. Pure.

Not a bundler: it knows the few forms that the dashboard keeps to (named imports and exports from relative files, every
declaration at the start of a line, no name used twice at the top level) and refuses all others.
"""

import posixpath
import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import\s+\{([^}]*)\}\s+from\s+"(\.[^"]+)";\n', re.MULTILINE)
_FORWARD = re.compile(r'^export\s+\{([^}]*)\}\s+from\s+"(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export\s+(?=(?:async\s+)?(?:function|class|const|let)\b)", re.MULTILINE)
_DECLARED = re.compile(
    r"^(?:export\s+)?(?:(?:async\s+)?function\*?|class|const|let)\s+([A-Za-z_$][\w$]*)", re.MULTILINE
)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
# Types in comments: in one file a name needs no "import(…)", and a definition of a name by itself says nothing.
_TYPE = re.compile(r'import\("\.[^"]*"\)\.')
_TYPE_ALIAS = re.compile(r'^/\*\* @typedef \{import\("\.[^"]*"\)\.(\w+)\} \1 \*/\n', re.MULTILINE)


class ModuleError(ValueError):
    """A module is written in a way that the joiner does not know."""


def join_modules(root: str, read: Callable[[str], str]) -> str:
    """The module `root` and all it imports as one module with the exports of `root`.

    `read` gives the text of a file by its path, which is relative with slashes. Raises ModuleError.
    """
    order: list[str] = []
    texts: dict[str, str] = {}
    exports: dict[str, list[str]] = {}
    _visit(root, read, order, texts, exports, ())
    owners: dict[str, str] = {}
    parts = []
    for path in order:
        for name in _DECLARED.findall(texts[path]):
            if name in owners:
                raise ModuleError(f"{path}: {name} is declared in {owners[name]} too; joined, they would be one")
            owners[name] = path
        body = _EXPORT.sub("", _TYPE_ALIAS.sub("", texts[path]))
        stray = _OTHER.search(body)
        if stray:
            raise ModuleError(f"{path}: {stray.group()!r} is a form of import or export that the joiner does not know")
        parts.append(_TYPE.sub("", body).strip() + "\n")
    if exports[root]:
        parts.append(f"export {{ {', '.join(exports[root])} }};\n")
    return "\n".join(parts)


def _visit(
    path: str,
    read: Callable[[str], str],
    order: list[str],
    texts: dict[str, str],
    exports: dict[str, list[str]],
    above: tuple[str, ...],
) -> None:
    """Reads a module and what it imports, what is imported first."""
    if path in above:
        raise ModuleError(f"{path} imports itself by way of {' -> '.join(above)}")
    if path in texts:
        return
    text = read(path)
    texts[path] = ""
    exported = _DECLARED.findall("\n".join(line for line in text.splitlines() if line.startswith("export ")))
    for names, target in [*_IMPORT.findall(text), *_FORWARD.findall(text)]:
        if " as " in names:
            raise ModuleError(f"{path}: {names.strip()!r} renames; joined, every name has to be the one it was given")
        _visit(
            posixpath.normpath(posixpath.join(posixpath.dirname(path), target)),
            read,
            order,
            texts,
            exports,
            (*above, path),
        )
    for names, _ in _FORWARD.findall(text):
        exported += [name.strip() for name in names.split(",") if name.strip()]
    texts[path] = _FORWARD.sub("", _IMPORT.sub("", text))
    exports[path] = exported
    order.append(path)
