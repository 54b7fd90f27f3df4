"""Joining plain modules into one file."""

import pytest

from gateway.edge.modules import ModuleError, join_modules


def joined(root: str, **files: str) -> str:
    return join_modules(root, {f"{name}.js": text for name, text in files.items()}.__getitem__)


def test_what_is_imported_comes_first_and_once() -> None:
    text = joined(
        "a.js",
        a='import { b } from "./b.js";\nimport { c } from "./c.js";\nexport const a = b + c;\n',
        b='import { c } from "./c.js";\nexport const b = c;\n',
        c="export const c = 1;\n",
    )
    assert text == "const c = 1;\n\nconst b = c;\n\nconst a = b + c;\n\nexport { a };\n"


def test_folders_and_imports_over_several_lines() -> None:
    files = {
        "page/main.js": 'import {\n  one,\n  two,\n} from "../lib/numbers.js";\none(two);\n',
        "lib/numbers.js": 'import { base } from "./base.js";\nexport function one() {}\nexport const two = base;\n',
        "lib/base.js": "export class base {}\n",
    }
    text = join_modules("page/main.js", files.__getitem__)
    assert text == "class base {}\n\nfunction one() {}\nconst two = base;\n\none(two);\n"


def test_forwarded_exports_are_the_roots_own() -> None:
    text = joined(
        "a.js", a='export { b, other } from "./b.js";\n', b="export function b() {}\nexport const other = 2;\n"
    )
    assert text.endswith("export { b, other };\n")


def test_types_lose_their_files() -> None:
    text = joined(
        "a.js",
        a='import { b } from "./b.js";\n/** @typedef {import("./b.js").B} B */\n'
        '/** @type {import("./b.js").B} */\nb();\n',
        b="/** @typedef {number} B */\nexport function b() {}\n",
    )
    assert "import(" not in text
    assert text.count("@typedef") == 1


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            {"a": 'import { b } from "./b.js";\nconst x = 1;\n', "b": "export const b = 1;\nconst x = 2;\n"},
            "x is declared",
        ),
        (
            {"a": 'import { b } from "./b.js";\n', "b": 'import { a } from "./a.js";\nexport const b = 1;\n'},
            "imports itself",
        ),
        ({"a": 'import { b as c } from "./b.js";\n', "b": "export const b = 1;\n"}, "renames"),
        ({"a": 'import * as b from "./b.js";\n', "b": ""}, "does not know"),
        ({"a": "export default 1;\n"}, "does not know"),
        ({"a": 'import "https://elsewhere/x.js";\n'}, "does not know"),
    ],
)
def test_other_forms_are_refused(files: dict[str, str], why: str) -> None:
    with pytest.raises(ModuleError, match=why):
        joined("a.js", **files)
