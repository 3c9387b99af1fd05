# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers and circumstances that mean harm, and operators who err."""
from harness import Daemon, main, same


def test_socket_path_of_a_file():
    """A mistyped --socket must not delete what is there."""
    with Daemon(start=False) as daemon:
        daemon.socket.write_text('precious')
        daemon.spawn()
        same('exit code', daemon.wait_exit(), 1)
        assert 'remove the file' in daemon.stderr(), daemon.stderr()
        same('kept', daemon.socket.read_text(), 'precious')
        daemon.socket.unlink()


if __name__ == '__main__':
    main(globals())
