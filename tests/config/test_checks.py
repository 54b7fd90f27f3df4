"""What does not go together, and where clients would be in danger."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.configfolder import Folder

from gateway.config.addresses import address_fault, endpoint, is_loopback, nats_url_fault, overlapping, url_fault

IN_THE_CLEAR = (
    "would send values and tokens in the clear. Choose: tls = {…} (make one: sensor-gateway certificate new) · "
    'address = "127.0.0.1" (a proxy in front does TLS) · insecure = true (you accept it)'
)


class TestOffLoopback:
    def test_without_tls_it_is_refused_with_the_three_ways_out(self, folder: Folder) -> None:
        problems = folder.problems('\n[[listen]]\naddress = "0.0.0.0"\nport = 8443\n')
        assert problems == [f"config.toml:2: listen[0]: 0.0.0.0:8443 {IN_THE_CLEAR}"]

    @pytest.mark.parametrize("address", ["*", "::", "192.168.1.2", "box.lan", "::ffff:10.0.0.1", "127.0.0.1.example"])
    def test_every_address_that_others_reach_counts(self, folder: Folder, address: str) -> None:
        (problem,) = folder.problems(f'listen = [{{ address = ["{address}"], port = 1 }}]')
        assert problem == f"config.toml:1: listen[0]: {endpoint(address, 1)} {IN_THE_CLEAR}"

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"])
    def test_loopback_is_nobody_elses(self, folder: Folder, address: str) -> None:
        assert folder.load(f'listen = [{{ address = "{address}" }}]').listen[0].address == (address,)

    def test_insecure_is_the_word_of_somebody_who_knows(self, folder: Folder) -> None:
        assert folder.load('listen = [{ address = "*", insecure = true }]').listen[0].insecure

    def test_tls_is_the_better_way(self, folder: Folder, certificate: tuple[object, object, object]) -> None:
        _, chain, key = certificate
        tls = f'tls = {{ certificate = "{chain}", key = "{key}" }}'
        assert folder.load(f'listen = [{{ address = "*", {tls} }}]').listen[0].port == 8443


class TestListenAddresses:
    @pytest.mark.parametrize(
        ("address", "fault"),
        [
            ("", "is no address"),
            ("127.0.0.300", "is no address"),
            ("1.2.3", "is no address"),
            ("http://x", "is no address"),
            ("0.0.0.0:80", 'is not an address alone, expected address = "0.0.0.0", port = 80'),
            ("[::1]", 'is not an address alone, expected address = "::1"'),
            ("[::1]:80", 'expected address = "::1", port = 80'),
            ("a b", "is no address"),
            ("unix:", "names no file"),
        ],
    )
    def test_what_is_none_is_named(self, folder: Folder, address: str, fault: str) -> None:
        (problem,) = folder.problems(f'listen = [{{\n  address = "{address}" }}]')
        assert problem.startswith("config.toml:2: listen[0].address: ")
        assert fault in problem

    def test_a_unix_socket_is_an_address(self) -> None:
        assert address_fault("unix:/run/x.sock") is None
        assert "names no file" in str(address_fault("unix:"))
        assert is_loopback("unix:/run/x.sock")
        assert endpoint("unix:/run/x.sock", 8880) == "unix:/run/x.sock"

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("127.0.0.1", "127.0.0.1", True),
            ("127.0.0.1", "127.0.0.2", False),
            ("*", "127.0.0.1", True),
            ("*", "::1", True),
            ("0.0.0.0", "10.0.0.1", True),
            ("0.0.0.0", "::1", False),
            ("::", "::1", True),
            ("::", "127.0.0.1", False),
            ("localhost", "127.0.0.1", True),
            ("localhost", "::1", True),
            ("localhost", "0.0.0.0", True),
            ("box.lan", "BOX.lan", True),
            ("box.lan", "127.0.0.1", False),
            ("::1", "0:0:0:0:0:0:0:1", True),
            ("unix:/a", "unix:/a", True),
            ("unix:/a", "*", False),
        ],
    )
    def test_overlap_is_a_matter_of_address_and_port(self, one: str, other: str, same: bool) -> None:
        assert overlapping(one, 80, other, 80) is same
        assert overlapping(other, 80, one, 80) is same
        if not one.startswith("unix:"):
            assert not overlapping(one, 80, other, 81)
            assert not overlapping(one, 0, other, 0)

    def test_two_listeners_in_one_place_are_refused(self, folder: Folder) -> None:
        problems = folder.problems('[[listen]]\n[[listen]]\naddress = ["::1", "localhost"]\ninsecure = true')
        assert problems == [
            "config.toml:2: listen[1]: localhost:8880 overlaps 127.0.0.1:8880 of listen[0], "
            "expected another port or address"
        ]


class TestUpstreams:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("", "has no known scheme"),
            ("broker", "has no known scheme"),
            ("broker:1883", "has no known scheme"),
            ("tcp://broker", "has no known scheme"),
            ("mqtt:broker", "has no known scheme"),
            ("mqtt://", "names no host"),
            ("mqtt://:1883", "names no host"),
            ("mqtt://a b", "names no host"),
            ("mqtt://a:0", "has port 0"),
            ("mqtt://a:99999", "cannot be understood"),
            ("mqtt://a:x", "cannot be understood"),
            ("mqtt://[::1", "cannot be understood"),
            ("mqtt://a/topic", "more than a host and a port"),
            ("mqtt://a?x=1", "more than a host and a port"),
        ],
    )
    def test_what_is_no_address_of_a_broker_is_named(self, folder: Folder, url: str, fault: str) -> None:
        (problem,) = folder.problems(f'[[upstream]]\nurls = [\n"mqtt://fine",\n"{url}"]')
        assert problem.startswith("config.toml:4: upstream[0].urls[1]: ")
        assert fault in problem
        assert "expected mqtt://host:port, with mqtts, ws or wss likewise" in problem

    @pytest.mark.parametrize("url", ["mqtt://me:hunter2@host", "me:hunter2@host", "mqtt://me:hunter2@host:99999"])
    def test_a_password_in_an_address_is_refused_and_not_repeated(self, folder: Folder, url: str) -> None:
        (problem,) = folder.problems(f'upstream = [{{ urls = "{url}" }}]')
        assert "expected username and password_file" in problem
        assert "hunter2" not in problem

    def test_names_are_unique(self, folder: Folder) -> None:
        assert folder.problems("[[upstream]]\n[[upstream]]\n[[role]]\nname='viewer'\n[[role]]\nname='viewer'") == [
            'config.toml:2: upstream[1].name: "main" is the name of upstream[0] already, expected a new one',
            'config.toml:6: role[1].name: "viewer" is the name of role[0] already, expected a new one',
        ]

    def test_one_broker_sees_no_client_id_twice(self, folder: Folder) -> None:
        (problem,) = folder.problems(
            'upstream = [{ name = "a", client_id = "x", prefix = "a/" },\n'
            '{ name = "b", client_id = "x", prefix = "b/" },\n'
            '{ name = "c", client_id = "x", prefix = "c/", urls = ["mqtt://other"] }]'
        )
        assert problem.startswith('config.toml:2: upstream[1].client_id: "x" is the client id of upstream[0]')

    def test_upstreams_whose_filters_overlap_need_different_prefixes(self, folder: Folder) -> None:
        text = (
            'upstream = [{ name = "a", topics = [{ filter = "x/#" }] },\n'
            '{ name = "b", topics = [{ filter = "y/#" }, { filter = "+/1" }] }]'
        )
        assert folder.problems(text) == [
            'config.toml:2: upstream[1]: "+/1" overlaps "x/#" of upstream[0], so that a topic could come from both, '
            "expected another prefix for each"
        ]
        assert folder.load(text.replace('name = "b"', 'name = "b", prefix = "b/"')).upstream[1].prefix == "b/"
        assert folder.load(text.replace("+/1", "z")).upstream[1].name == "b"
        (problem,) = folder.problems(text.replace("+/1", "$share/group/x/1"))
        assert '"$share/group/x/1" overlaps "x/#" of upstream[0]' in problem

    @pytest.mark.parametrize(
        ("keys", "problem"),
        [
            ("tls.insecure = true", "upstream[0].tls: no url of this upstream uses TLS, expected mqtts://"),
            ('backoff.min = "1m"', "upstream[0].backoff.min: min is 1m and max is 30s, expected min to be at most max"),
            ('backoff.max = "1ms"', 'upstream[0].backoff.max: "1ms" is out of range'),
            ('backoff.max = "500ms"', "upstream[0].backoff.max: min is 1s and max is 500ms"),
            (
                'password_file = "config.toml"',
                "upstream[0].password_file: a password without a name, expected username",
            ),
            (
                'urls = ["mqtts://a"]\ntls.key = "config.toml"',
                "upstream[0].tls.key: a key without its certificate, expected tls.certificate too",
            ),
        ],
    )
    def test_keys_that_do_not_go_together_are_named(self, folder: Folder, keys: str, problem: str) -> None:
        (line,) = folder.problems(f"[[upstream]]\n{keys}")
        assert line.split(": ", 1)[1].startswith(problem)


class TestBounds:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (
                'backpressure.soft = "2 MiB"',
                "backpressure.soft: backpressure.soft is 2 MiB and backpressure.hard is 2 MiB, "
                "expected soft to be less than hard",
            ),
            (
                'backpressure.total = "1 MiB"',
                "backpressure.total: backpressure.hard is 2 MiB and backpressure.total is 1 MiB, "
                "expected hard to be at most total",
            ),
            (
                'limits.payload = "4 MiB"',
                "limits.payload: limits.payload is 4 MiB and backpressure.hard is 2 MiB, "
                "expected payload to be at most hard",
            ),
        ],
    )
    def test_sizes_stand_in_their_order(self, folder: Folder, text: str, problem: str) -> None:
        assert folder.problems(text) == [f"config.toml:1: {problem}"]

    def test_the_message_stands_at_the_key_that_is_written(self, folder: Folder) -> None:
        (problem,) = folder.problems('\nbackpressure.hard = "256 KiB"')
        assert problem.startswith("config.toml:2: backpressure.hard: backpressure.soft is 256 KiB and")


class TestAnonymous:
    def test_the_role_has_to_exist(self, folder: Folder) -> None:
        assert folder.problems('[auth]\nanonymous = "guest"\n[[role]]\nname = "viewer"') == [
            'config.toml:2: auth.anonymous: no [[role]] is named "guest", expected one of: "local", "", "viewer"'
        ]

    @pytest.mark.parametrize("anonymous", ["local", "", "viewer"])
    def test_without_any_role_there_is_the_viewer(self, folder: Folder, anonymous: str) -> None:
        assert folder.load(f'auth.anonymous = "{anonymous}"').auth.anonymous == anonymous

    def test_local_needs_the_viewer_that_it_promises(self, folder: Folder) -> None:
        (problem,) = folder.problems('[[role]]\nname = "operator"')
        assert problem.startswith('config.toml: auth.anonymous: "local" gives visitors on this box the role viewer')
        assert folder.load('auth.anonymous = ""\n[[role]]\nname = "operator"').role[0].name == "operator"


@pytest.mark.parametrize("judge", [url_fault, nats_url_fault])
@pytest.mark.parametrize("host", ["broker..lan", f"{'x' * 64}.lan", "a_b!", "br\udcffker", ".lan", "${HOST}"])
def test_what_cannot_be_the_name_of_a_host_is_said_before_anybody_looks_it_up(
    judge: Callable[[str], str | None], host: str
) -> None:
    """An empty label was a fault of the gateway's own in its log, at every try."""
    scheme = "mqtt" if judge is url_fault else "nats"
    assert f'"{host.lower()}" cannot be the name of a host, expected ' in (judge(f"{scheme}://{host}:1883") or "")


@pytest.mark.parametrize(
    "host", ["broker", "broker.lan.", "10.0.0.7", "[fe80::1%eth0]", "[::1]", "my_broker", "bücher.example", "温度.lan"]
)
def test_names_and_addresses_of_hosts_are_taken(host: str) -> None:
    assert url_fault(f"mqtt://{host}:1883") is None
    assert nats_url_fault(f"nats://{host}:4222") is None


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_has_a_fault(text: str) -> None:
    for judge in (address_fault, url_fault):
        fault = judge(text)
        assert fault is None or "expected" in fault
    is_loopback(text)
    overlapping(text, 1, "*", 1)


class TestHistory:
    def test_durable_without_a_disk_is_refused(self, folder: Folder) -> None:
        (problem,) = folder.problems("[history]\ndurable = true\n")
        assert problem.startswith("config.toml:2: history.durable: there is no disk to wait for, expected")

    def test_durable_with_one_is_taken(self, folder: Folder) -> None:
        assert folder.load('[history]\ndisk = "history.db"\ndurable = true\n').history.durable


class TestWaysToSignIn:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('[auth]\nmethods = ["jwt"]', '2: auth.methods: "jwt" has no key'),
            ('[auth]\nmethods = ["proxy"]', '2: auth.methods: "proxy" believes nobody'),
            ("[[listen]]\nproxy_protocol = true", "2: listen[0].proxy_protocol: nobody is believed to speak it"),
        ],
    )
    def test_one_that_lacks_what_it_needs_is_named(self, folder: Folder, text: str, problem: str) -> None:
        (found,) = folder.problems(text)
        assert problem in found

    def test_certificates_need_an_authority_and_a_role(self, folder: Folder) -> None:
        authority, role = folder.problems('[auth]\nmethods = ["certificate"]')
        assert "expected tls.client_ca on one" in authority
        assert "expected certificates = […] in a [[role]]" in role

    def test_all_of_them_together(self, folder: Folder, certificate: tuple[object, object, object]) -> None:
        ca, chain, key = certificate
        config = folder.load(
            '[auth]\nmethods = ["token", "certificate", "proxy"]\n'
            '[[role]]\nname = "viewer"\ncertificates = ["panel.lan"]\n'
            '[[listen]]\ntrusted_proxies = ["10.0.0.0/8"]\nproxy_protocol = true\n'
            f'tls = {{ certificate = "{chain}", key = "{key}", client_ca = "{ca}" }}\n'
        )
        assert config.role[0].certificates == ("panel.lan",)
