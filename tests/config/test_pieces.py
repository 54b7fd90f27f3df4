"""Pieces in conf.d are laid over the file, and values may come from the environment."""

import pytest
from support.configfolder import Folder


def test_pieces_are_merged_in_the_order_of_their_names(folder: Folder) -> None:
    folder.write('heartbeat.interval = "1s"\nheartbeat.timeout = "7s"\nlog.level = "debug"')
    folder.write('[heartbeat]\ninterval = "3s"', "conf.d/20-b.toml")
    folder.write('[heartbeat]\ninterval = "2s"\n[limits]\nsubscriptions = 5', "conf.d/10-a.toml")
    config = folder.load()
    assert (config.heartbeat.interval, config.heartbeat.timeout) == (3.0, 7.0)
    assert (config.limits.subscriptions, config.log.level) == (5, "debug")


def test_arrays_of_tables_get_longer_and_other_arrays_are_replaced(folder: Folder) -> None:
    folder.write('[[upstream]]\nname = "a"\n[[listen]]\nport = 1\n[origins]\nallow = ["https://a.org"]')
    folder.write('[[upstream]]\nname = "b"\nprefix = "b/"\n[origins]\nallow = ["https://b.org"]', "conf.d/b.toml")
    folder.write('upstream = [{ name = "c", prefix = "c/" }]', "conf.d/c.toml")
    config = folder.load()
    assert [upstream.name for upstream in config.upstream] == ["a", "b", "c"]
    assert [listen.port for listen in config.listen] == [1]
    assert config.origins.allow == ("https://b.org",)


def test_a_piece_alone_replaces_the_built_in_upstream(folder: Folder) -> None:
    folder.write("")
    folder.write('[[upstream]]\nname = "only"', "conf.d/u.toml")
    assert [upstream.name for upstream in folder.load().upstream] == ["only"]


def test_problems_name_the_file_and_line_they_stand_in(folder: Folder) -> None:
    folder.write('[[listen]]\nport = "x"\n[log]\nlevel = "loud"')
    folder.write('\n[[listen]]\nprot = 1\n[heartbeat]\ninterval = "never"', "conf.d/one.toml")
    folder.write('[[upstream]]\n[[upstream]]\n\nname = "main"', "conf.d/two.toml")
    problems = folder.problems()
    assert [line.split(": ")[:2] for line in problems] == [
        ["config.toml:2", "listen[0].port"],
        ["config.toml:4", "log.level"],
        ["conf.d/one.toml:3", "listen[1].prot"],
        ["conf.d/one.toml:5", "heartbeat.interval"],
        ["conf.d/two.toml:4", "upstream[1].name"],
    ]


def test_every_file_that_is_not_toml_is_named_at_once(folder: Folder) -> None:
    folder.write("a = = 1")
    folder.write("[heartbeat\n", "conf.d/a.toml")
    folder.write("log.level = 'info'\nx =", "conf.d/b.toml")
    problems = folder.problems()
    assert [line.split(": ")[0] for line in problems] == ["config.toml:1", "conf.d/a.toml:1", "conf.d/b.toml:2"]
    assert "not TOML" in problems[0]
    assert "column 5" in problems[0]


def test_only_files_whose_name_ends_in_toml_are_pieces(folder: Folder) -> None:
    folder.write("")
    for name in ("conf.d/.hidden.toml", "conf.d/old.toml.bak", "conf.d/README"):
        folder.write("not = = toml", name)
    assert folder.load().log.level == "info"


class TestUnreadable:
    def test_a_missing_file_is_one_clear_line(self, folder: Folder) -> None:
        folder.write("broken", "conf.d/a.toml")
        assert folder.problems() == ["config.toml: cannot be read: No such file or directory, expected a TOML file"]

    def test_so_is_a_folder_in_its_place(self, folder: Folder) -> None:
        folder.file.mkdir()
        assert folder.problems() == ["config.toml: cannot be read: Is a directory, expected a TOML file"]

    def test_so_is_a_file_that_the_system_will_not_open(self, folder: Folder) -> None:
        folder.file.symlink_to(folder.file)
        (problem,) = folder.problems()
        assert problem == "config.toml: cannot be read: Too many levels of symbolic links, expected a TOML file"

    def test_so_is_a_folder_of_pieces_that_cannot_be_listed(self, folder: Folder) -> None:
        folder.write("")
        (folder.path / "conf.d").symlink_to("conf.d")
        assert folder.problems() == ["conf.d: cannot be listed: Too many levels of symbolic links"]

    def test_bytes_that_are_not_utf8_are_found_by_line(self, folder: Folder) -> None:
        folder.file.write_bytes(b'[gateway]\n# caf\xe9\nname = "x"\n')
        assert folder.problems() == ["config.toml:2: byte 0xe9 is not UTF-8, expected a TOML file in UTF-8"]

    def test_a_file_nested_beyond_reason_is_refused(self, folder: Folder) -> None:
        problems = folder.problems(f"a = {'[' * 100_000}")
        assert len(problems) == 1
        assert problems[0].startswith("config.toml:1: ")


class TestEnvironment:
    def test_each_value_is_read_as_the_type_that_its_key_wants(self, folder: Folder) -> None:
        config = folder.load(
            """
[gateway]
name = "${NAME}"
memory_budget = "${BUDGET}"
[[upstream]]
username = "${USER}"
urls = ["${URL}", "mqtt://b"]
topics = [{ filter = "${FILTER}", qos = "${QOS}" }]
[[listen]]
port = "${PORT}"
insecure = "${YES}"
address = "${ADDRESSES}"
[heartbeat]
interval = "${INTERVAL}"
[limits]
connections = "${AUTO}"
[origins]
allow = "${ORIGINS}"
""",
            {
                "NAME": "edge",
                "BUDGET": "70%",
                "USER": "12",
                "URL": "mqtt://a",
                "FILTER": "x/#",
                "QOS": "1",
                "PORT": "81",
                "YES": "true",
                "ADDRESSES": "127.0.0.1, ::1",
                "INTERVAL": "5s",
                "AUTO": "auto",
                "ORIGINS": '["https://a.org", "https://b.org"]',
            },
        )
        assert (config.gateway.name, config.gateway.memory_budget) == ("edge", 0.7)
        upstream, listen = config.upstream[0], config.listen[0]
        assert (upstream.username, upstream.urls) == ("12", ("mqtt://a", "mqtt://b"))
        assert (upstream.topics[0].filter, upstream.topics[0].qos) == ("x/#", 1)
        assert (listen.port, listen.insecure, listen.address) == (81, True, ("127.0.0.1", "::1"))
        assert (config.heartbeat.interval, config.limits.connections) == (5.0, None)
        assert config.origins.allow == ("https://a.org", "https://b.org")

    def test_a_variable_that_is_not_set_is_named(self, folder: Folder) -> None:
        assert folder.problems('\nheartbeat.interval = "${NOPE}"') == [
            "config.toml:2: heartbeat.interval: the environment has no NOPE, expected it to hold "
            'a time from "100ms" to "1h"'
        ]

    @pytest.mark.parametrize(
        "key", ["limits.subscriptions", "heartbeat.interval", "limits.payload", "log.level", "origins.allow"]
    )
    def test_a_wrong_value_is_never_repeated_since_it_may_be_a_secret(self, folder: Folder, key: str) -> None:
        problems = folder.problems(f'{key} = "${{SECRET}}"', {"SECRET": "hunter2 hunter2"})
        assert len(problems) == 1
        assert "SECRET in the environment is wrong" in problems[0]
        assert "hunter2" not in problems[0]

    def test_a_reference_inside_a_longer_text_is_text(self, folder: Folder) -> None:
        assert folder.load('upstream = [{ username = "x${USER}" }]', {"USER": "u"}).upstream[0].username == "x${USER}"
