"""Every mistake is named at once: file, line, key, what is wrong, what was expected."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configfolder import Folder

from gateway.config.problems import ConfigError, Problem
from gateway.config.report import Report
from gateway.config.tree import Node, Written


def test_all_mistakes_are_reported_at_once_in_the_order_of_their_lines(folder: Folder) -> None:
    problems = folder.problems("""\
[gateway]
nmae = "x"
drain = 10
[[upstream]]
urls = ["mqtt://u:secret@h", "ws://x", "foo", 5]
topics = [
  { filter = "a/#/b", qos = 3 },
  { fliter = "b" },
]
backoff.min = "40s"
[[listen]]
port = 99999
tls = { certificate = "none.pem", inescure = true }
[limits]
payload = "much"
connections = true
[auth]
anonymous = "nobody"
[listne]
""")
    assert [line.split(": ")[:2] for line in problems] == [
        ["config.toml:2", "gateway.nmae"],
        ["config.toml:3", "gateway.drain"],
        ["config.toml:5", "upstream[0].urls[3]"],
        ["config.toml:7", "upstream[0].topics[0].filter"],
        ["config.toml:7", "upstream[0].topics[0].qos"],
        ["config.toml:8", "upstream[0].topics[1].fliter"],
        ["config.toml:10", "upstream[0].backoff.min"],
        ["config.toml:12", "listen[0].port"],
        ["config.toml:13", "listen[0].tls.inescure"],
        ["config.toml:13", "listen[0].tls.key"],
        ["config.toml:13", "listen[0].tls.certificate"],
        ["config.toml:15", "limits.payload"],
        ["config.toml:16", "limits.connections"],
        ["config.toml:18", "auth.anonymous"],
        ["config.toml:19", "listne"],
    ]
    assert "secret" not in "".join(problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('gateway.nmae = "x"', 'gateway.nmae: unknown key, did you mean "name"?'),
        ("gateway.drain = -3", 'gateway.drain: -3 is not a time, expected a time from "0s" to "1h"'),
        ("gateway.drain = nan", 'gateway.drain: nan is not a time, expected a time from "0s" to "1h"'),
        ("limits.payload = -1", 'limits.payload: -1 is not a size, expected a size from "1 B" to "256 MiB"'),
        ("[gatewya]", 'gatewya: unknown key, did you mean "gateway"?'),
        ("gateway.port = 1", "gateway.port: unknown key, did you mean listen.port?"),
        ("port = 1", "port: unknown key, did you mean listen.port?"),
        ("heartbeat.zzz = 1", "heartbeat.zzz: unknown key, expected one of: interval, timeout"),
        (
            "gateway.drain = 10",
            'gateway.drain: 10 has no unit: write "10s" for seconds, expected a time from "0s" to "1h"',
        ),
        (
            'gateway.drain = "2h"',
            'gateway.drain: "2h" is out of range, expected a time from "0s" to "1h"',
        ),
        (
            'gateway.drain = "soon"',
            'gateway.drain: "soon" is not a time, expected a time from "0s" to "1h"',
        ),
        (
            "gateway.drain = true",
            'gateway.drain: true is not text, expected a time from "0s" to "1h"',
        ),
        (
            "limits.payload = 65536",
            'limits.payload: 65536 has no unit: write "65536 B" for bytes, expected a size from "1 B" to "256 MiB"',
        ),
        (
            "limits.subscriptions = 1.5",
            "limits.subscriptions: 1.5 is not a whole number, expected a whole number from 1 to 100000",
        ),
        (
            "limits.subscriptions = true",
            "limits.subscriptions: true is not a whole number, expected a whole number from 1 to 100000",
        ),
        (
            "limits.subscriptions = 0",
            "limits.subscriptions: 0 is out of range, expected a whole number from 1 to 100000",
        ),
        (
            'limits.connections = "many"',
            'limits.connections: "many" is not a whole number, expected a whole number from 1 to 1000000, or "auto"',
        ),
        (
            'log.level = "loud"',
            'log.level: "loud" is not known, expected "debug" or "info" or "warning" or "error"',
        ),
        ("log.level = 1979-05-27", "log.level: a date or time is not known, expected"),
        (
            'gateway.memory_budget = "0%"',
            'gateway.memory_budget: "0%" leaves nothing, expected a size from "16 MiB" to "1 TiB", or a share such as '
            '"70%", or "auto"',
        ),
        ('origins.allow = "https://a.org"', 'origins.allow: "https://a.org" is not a list, expected a list'),
        ('origins.allow = ["*"]', 'origins.allow[0]: "*" would let every web page read what its visitor may read'),
        ('origins.allow = ["https://a.org/x"]', 'origins.allow[0]: "https://a.org/x" is no origin'),
        ('origins.allow = ["https://bücher.de"]', 'origins.allow[0]: "https://bücher.de" is not in its ASCII form'),
        ("[listen]", "listen: a table is of the wrong kind, expected [[listen]] in double brackets"),
        ("[[log]]", "log: a list is of the wrong kind, expected a table: [log]"),
        ("listen = [1]", "listen[0]: 1 is of the wrong kind, expected [[listen]] in double brackets"),
        ("listen = [{ tls = true }]", "listen[0].tls: true is of the wrong kind, expected a table: tls = {...}"),
        ("upstream = [{ topics = {} }]", "upstream[0].topics: a table is of the wrong kind, expected topics = [{...}]"),
        ("upstream = []", "upstream: the list is empty, expected [[upstream]] in double brackets, or no such key"),
        (
            "upstream = [{ topics = [] }]",
            "upstream[0].topics: the list is empty, expected topics = [{...}], or no such",
        ),
        ("upstream = [{ urls = [] }]", "upstream[0].urls: the list is empty, expected one or a list"),
        ("[[role]]", "role[0].name: is missing, expected up to 64 letters"),
        ('gateway.name = "a/b"', 'gateway.name: "a/b" is no usable name, expected up to 64 letters'),
        ('gateway.state_dir = "a\\u0000b"', 'gateway.state_dir: "a\\u0000b" is no path, expected a path'),
        ('gateway.state_dir = ""', "gateway.state_dir: the path is empty, expected a path"),
        ('upstream = [{ topics = [{ filter = "" }] }]', "upstream[0].topics[0].filter: "),
        ('role = [{ name = "viewer", subscribe = ["a+"] }]', "role[0].subscribe[0]: "),
        ('device = [{ filter = "a", stale_after = "0s" }]', "device[0].stale_after: "),
        ('device = [{ filter = "a", family = "tasmoto" }]', "device[0]: unknown family 'tasmoto' for 'a'"),
        ('device = [{ filter = "a", readings = [{ quantity = "q", path = "a..b" }] }]', "device[0]: path 'a..b'"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_was_expected(folder: Folder, text: str, problem: str) -> None:
    (line,) = folder.problems(f"# a first line\n{text}\n")
    assert line.startswith(f"config.toml:2: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = 1\na = 2", "Cannot overwrite a value: the key is set above already (column 6)"),
        ("[gateway]\n[gateway]", "Cannot declare [gateway] twice (column 9)"),
        ("[a.b]\n[a.b]", "Cannot declare [a.b] twice (column 5)"),
    ],
)
def test_what_is_there_twice_is_named_as_it_is_written(folder: Folder, text: str, problem: str) -> None:
    assert folder.problems(text) == [f"config.toml:2: not TOML: {problem}"]


def test_a_key_pasted_in_place_of_its_path_is_not_repeated(folder: Folder) -> None:
    (line,) = folder.problems("""listen = [{ tls = { certificate = "config.toml", key = '''
-----BEGIN PRIVATE KEY-----
c2VjcmV0
-----END PRIVATE KEY-----''' } }]""")
    assert line == "config.toml:1: listen[0].tls.key: this is a file's content, not its path, expected a path"


def test_a_misspelt_key_is_not_also_reported_as_missing_what_it_was_to_say(folder: Folder) -> None:
    assert len(folder.problems('listen = [{ address = "0.0.0.0", tsl = { certificate = "c", key = "k" } }]')) == 1


def test_a_wrong_value_is_not_also_held_against_its_neighbours(folder: Folder) -> None:
    """The default that stands in for a wrong value must not be reported as clashing with a right one."""
    assert len(folder.problems('backpressure.soft = "4 MiB"\nbackpressure.hard = "8 mib"')) == 1


def test_every_table_of_a_list_is_looked_at_though_one_is_none(folder: Folder) -> None:
    problems = folder.problems('listen = [1, { address = "0.0.0.0", prot = 1 }]')
    assert [line.split(": ")[1] for line in problems] == ["listen[0]", "listen[1].prot"]


def test_problems_read_as_one_line_each() -> None:
    problems = [
        Problem("a.toml", 3, "x.y", "is wrong"),
        Problem("a.toml", None, "", "is gone"),
        Problem("", None, "k", "m"),
    ]
    assert str(ConfigError(problems)) == "a.toml:3: x.y: is wrong\na.toml: is gone\nk: m"
    assert ConfigError(problems).problems == problems


def test_a_report_lists_files_in_the_order_they_were_met() -> None:
    tree = Node({"b": Node(1, "z.toml", 9), "a": Node(1, "y.toml", 1), "c": Node(1, "z.toml", 2)}, "z.toml", None)
    report = Report(Written(tree))
    for key in ("b", "a", "c"):
        report.wrong((key,), "wrong")
    assert [(p.file, p.line) for p in report.sorted()] == [("z.toml", 2), ("z.toml", 9), ("y.toml", 1)]


KEYS = [
    "gateway",
    "upstream",
    "listen",
    "tls",
    "topics",
    "filter",
    "port",
    "address",
    "auth",
    "log",
    "role",
    "name",
    "x",
]
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(
            ["true", "1", "-1", "1e400", "nan", '""', '"auto"', '"1s"', '"*"', '"${A}"', "1979-05-27", "[]"]
        )
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), st.sampled_from(["", "5", "\0", "[1"]))
def test_any_toml_is_loaded_or_refused_with_problems(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, str], variable: str
) -> None:
    folder = Folder(_shared(tmp_path_factory))
    try:
        folder.load("\n".join(f"{key} = {value}" for key, value in tables.items()), {"A": variable})
    except ConfigError as error:
        found = error.problems
    else:
        return
    assert found
    assert all(problem.line is None or problem.line <= len(tables) for problem in found)


def _shared(factory: pytest.TempPathFactory) -> Path:
    path = factory.getbasetemp() / "any-toml"
    path.mkdir(exist_ok=True)
    return path
