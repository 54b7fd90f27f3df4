"""The kernel's list of Unix sockets, as proc(5) has it."""

from pathlib import Path

from gateway.operations.whereabouts import bound

LIST = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 101 /run/sensor-gateway/control.sock
0000000000000000: 00000003 00000000 00000000 0001 03 102 /run/sensor-gateway/control.sock
0000000000000000: 00000003 00000000 00000000 0001 03 103
0000000000000000: 00000002 00000000 00010000 0001 01 104 @/tmp/abstract/control.sock
0000000000000000: 00000002 00000000 00010000 0001 01 105 /run/another.sock
0000000000000000: 00000002 00000000 00010000 0001 01 106 /srv/a  folder/control.sock
0000000000000000: 00000002 00000000 00010000 0001 01 107 control.sock
"""


def test_control_sockets_are_found_once_each_whatever_their_folder_is_called(tmp_path: Path) -> None:
    table = tmp_path / "unix"
    table.write_text(LIST)
    assert list(bound(table)) == [Path("/run/sensor-gateway/control.sock"), Path("/srv/a  folder/control.sock")]


def test_without_the_list_nothing_is_found(tmp_path: Path) -> None:
    assert list(bound(tmp_path / "unix")) == []
