"""A log that many gateways share: which keys go together, and who follows a broker."""

import pytest
from support.configfolder import Folder

SHARED = '[history]\nlog = "jetstream"\n'


class TestTheKindOfLog:
    def test_without_a_word_the_disk_decides(self, folder: Folder) -> None:
        assert folder.load("").history.log == "memory"
        assert folder.load('history.disk = "h.db"').history.log == "sqlite"

    @pytest.mark.parametrize("log", ["memory", "jetstream"])
    def test_a_file_that_nobody_writes_is_named(self, folder: Folder, log: str) -> None:
        (problem,) = folder.problems(f'[history]\nlog = "{log}"\ndisk = "h.db"\n')
        expected = f'nothing is written there with log = "{log}", expected no disk'
        assert problem == f"config.toml:3: history.disk: {expected}"

    def test_sqlite_without_a_file_is_named(self, folder: Folder) -> None:
        (problem,) = folder.problems('history.log = "sqlite"')
        assert problem.startswith('config.toml:1: history.log: there is no file to keep it in, expected disk = "')

    def test_settings_of_a_stream_that_nobody_uses_are_named(self, folder: Folder) -> None:
        (problem,) = folder.problems('[history.jetstream]\nurls = "nats://a"\n')
        assert problem.startswith("config.toml:1: history.jetstream: nobody uses it, expected log =")


class TestWhoFollowsABroker:
    def test_behind_a_shared_log_the_gateways_take_turns_under_one_client_id(self, folder: Folder) -> None:
        (upstream,) = folder.load(SHARED).upstream
        assert (upstream.ingest, upstream.client_id) == ("one", "sensor-gateway-main")

    def test_with_a_log_of_its_own_a_gateway_follows_alone(self, folder: Folder) -> None:
        assert folder.load("").upstream[0].ingest == "own"

    def test_every_gateway_on_its_own_would_store_each_message_as_often(self, folder: Folder) -> None:
        (problem,) = folder.problems(SHARED + '[[upstream]]\ningest = "own"\n')
        assert problem.startswith('config.toml:4: upstream[0].ingest: "own" behind a shared log would store every')

    @pytest.mark.parametrize("ingest", ["one", "none"])
    def test_taking_turns_needs_a_shared_log(self, folder: Folder, ingest: str) -> None:
        (problem,) = folder.problems(f'[[upstream]]\ningest = "{ingest}"\n')
        expected = f'"{ingest}" needs a log that gateways share, expected [history] log = "jetstream"'
        assert problem == f"config.toml:2: upstream[0].ingest: {expected}"

    def test_devices_that_publish_to_nats_know_no_prefix(self, folder: Folder) -> None:
        (problem,) = folder.problems(SHARED + '[[upstream]]\ningest = "none"\n')
        assert problem.startswith('config.toml:4: upstream[0].ingest: "none": what devices publish to NATS has no')

    def test_devices_publish_to_nats(self, folder: Folder) -> None:
        stream = '[history.jetstream]\nprefix = ""\ntopics = ["sensors/#"]\n'
        assert folder.load(f'{SHARED}{stream}[[upstream]]\ningest = "none"\n').upstream[0].ingest == "none"


class TestWhatTheStreamHolds:
    @pytest.mark.parametrize("topics", ['["#"]', '["+/x"]'])
    def test_without_a_prefix_topics_begin_with_a_name(self, folder: Folder, topics: str) -> None:
        text = f'{SHARED}[history.jetstream]\nprefix = ""\ntopics = {topics}\n[[upstream]]\ningest = "none"\n'
        (problem,) = folder.problems(text)
        assert "without a prefix would claim every subject of the cluster" in problem

    def test_a_filter_beyond_it_is_named(self, folder: Folder) -> None:
        text = f'{SHARED}jetstream.topics = ["a/#", "b"]\n[[upstream]]\n'
        assert folder.load(text + 'prefix = "a/"\n').upstream
        (problem,) = folder.problems(text + 'topics = [{ filter = "a/+" }, { filter = "c/#" }]\n')
        assert problem.startswith('config.toml:5: upstream[0].topics[1].filter: "c/#" is more than the stream holds')


class TestTheServers:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("mqtt://a", "has no known scheme, expected nats://host:port or tls://host:port"),
            ("nats://u:p@a", "credentials do not belong into an address, expected user and password_file"),
            ("nats://", "names no host"),
            ("nats://a:0", "has port 0"),
            ("nats://a/x", "has more than a host and a port"),
            ("nats://a:x", "cannot be understood"),
        ],
    )
    def test_an_address_that_is_none_is_named(self, folder: Folder, url: str, fault: str) -> None:
        (problem,) = folder.problems(f'{SHARED}jetstream.urls = ["nats://a", "{url}"]\n')
        assert problem.startswith("config.toml:3: history.jetstream.urls[1]: ")
        assert fault in problem
        assert "u:p" not in problem

    def test_tls_without_an_address_that_uses_it_is_named(self, folder: Folder) -> None:
        (problem,) = folder.problems(f"{SHARED}jetstream.tls.insecure = true\n")
        assert "no url uses TLS" in problem

    def test_a_password_needs_a_user(self, folder: Folder) -> None:
        folder.write("x", "secret")
        (problem,) = folder.problems(f'{SHARED}jetstream.password_file = "secret"\n')
        assert "a password without a name, expected user too" in problem

    def test_two_ways_to_sign_in_are_named(self, folder: Folder) -> None:
        folder.write("x", "secret")
        (problem,) = folder.problems(f'{SHARED}jetstream.user = "u"\njetstream.token_file = "secret"\n')
        assert "one way to sign in is enough, expected one of user, token_file" in problem

    def test_a_file_that_is_not_there_is_named(self, folder: Folder) -> None:
        (problem,) = folder.problems(f'{SHARED}jetstream.credentials = "x.creds"\n')
        assert "cannot be read" in problem

    @pytest.mark.parametrize(("key", "value"), [("stream", "a.b"), ("prefix", "a.*"), ("prefix", ".a")])
    def test_names_that_nats_cannot_have_are_named(self, folder: Folder, key: str, value: str) -> None:
        (problem,) = folder.problems(f'{SHARED}jetstream.{key} = "{value}"\n')
        assert problem.startswith(f"config.toml:3: history.jetstream.{key}: ")
