# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts: by a passed socket, without a bus, with a bad one, watched, twice; and refused ones."""
import os
import shutil
import socket
import stat

from daemon import BASIC, Closing, Daemon, options
from lib.broker import NAME, Broker
from lib.harness import same
from lib.minibus import BusError
from lib.waiting import wait_readable, wait_until
from lib.wire import Socket
from suite import main

PAGE = 4096


def listen(path, kind=socket.SOCK_SEQPACKET):
    listening = socket.socket(socket.AF_UNIX, kind)
    listening.bind(str(path))
    listening.listen(256)
    return listening


def served(daemon, path=None):
    with Closing(Socket(str(path or daemon.socket))) as client:
        answer = client.request('scratch', PAGE).close()
        same('served', answer.verdict, 'granted')
        client.release(answer.grants[0])


def test_own_socket():
    with Daemon() as daemon:
        same('mode', stat.S_IMODE(os.stat(daemon.socket).st_mode), 0o666)
        served(daemon)
        daemon.kill()
        assert os.path.exists(daemon.socket)
        daemon.start()  # over the dead one
        served(daemon)


def test_passed_socket():
    with Daemon(start=False) as daemon:
        path = daemon.folder / 'passed'
        with Closing(listen(path)) as listening:
            # Asked before the daemon runs, as at the first connection after boot.
            early = Socket(str(path))
            early.ask('scratch', PAGE)
            daemon.listen_fds = [listening.fileno()]
            daemon.start()
            daemon.socket = path
            same('early', early.receive().close().verdict, 'granted')
            early.close()
            served(daemon, path)
            assert not (daemon.socket_dir / 'socket').exists()


def refused_start(words, daemon, code=1):
    with daemon:
        daemon.spawn()
        same('exit code', daemon.wait_exit(), code)
        for word in words:
            assert word in daemon.stderr(), (word, daemon.stderr())
        if code:
            assert len(daemon.stderr().splitlines()) < 12, daemon.stderr()


def test_wrong_passed_sockets():
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        daemon = Daemon(start=False)
        made = socket.socket(socket.AF_UNIX, kind)
        with Closing(made):
            daemon.listen_fds = [made.fileno()]
            refused_start(['sequential-packet'], daemon)
    daemon = Daemon(start=False)
    with Closing(listen(daemon.folder / 'a')) as one, Closing(listen(daemon.folder / 'b')) as two:
        daemon.listen_fds = [one.fileno(), two.fileno()]
        refused_start(['one listening'], daemon)


def test_folders_that_others_may_change_are_told():
    """The load of the policy refuses such ways; of the others the journal tells."""
    with Daemon(start=False, bus=False) as daemon:
        daemon.audit_dir.chmod(0o777)
        daemon.socket_dir.chmod(0o775)
        daemon.start()
        said = daemon.stderr()
        for what, where, words in (('audit', daemon.audit_dir, 'everyone (mode 0777)'),
                                   ('socket', daemon.socket_dir, 'its group (mode 0775)')):
            assert f'{what}: others could change {where}: {where} may be written by ' \
                f'{words}' in said, said
        served(daemon)
        daemon.audit_dir.chmod(0o755)
        daemon.socket_dir.chmod(0o755)
        before = said.count('others could')
        daemon.restart()
        same('no more', daemon.stderr().count('others could'), before)


def test_without_a_bus():
    with Daemon(bus=False) as daemon:
        served(daemon)


def test_with_a_dead_bus():
    with Daemon(bus='unix:path=/nonexistent/bus') as daemon:
        served(daemon)
        assert 'bus: cannot reach the bus' in daemon.stderr()


def test_bus_that_comes_back():
    with Daemon() as daemon:
        with Closing(Broker(daemon.address)) as bus:
            same('before', bus.request('scratch', PAGE).close().verdict, 'granted')
        daemon.bus.stop()
        daemon.wait_stderr('connection is lost')
        served(daemon)
        (daemon.folder / 'bus').unlink(missing_ok=True)
        daemon.bus.start()

        wait_until(lambda: bus_served(daemon), 'the bus served again')


def test_bus_that_hangs_up():
    """A bus that lets nobody in, again and again: no storm of connections, the socket is served."""
    with Daemon(start=False, bus=False) as daemon:
        with Closing(listen(daemon.folder / 'bus', socket.SOCK_STREAM)) as listening:
            daemon.bus = daemon.address = f'unix:path={daemon.folder}/bus'
            daemon.spawn()
            for _ in range(2):
                wait_readable(listening)
                listening.accept()[0].close()
                break
            daemon.wait_message('READY=1')
            connects = 0
            for _ in range(400):
                served(daemon)
                while wait_readable(listening, 0):
                    listening.accept()[0].close()
                    connects += 1
            assert connects <= 2, f'{connects} connections in a moment'
            daemon.fds_idle = len(daemon.fds())


def test_bus_that_says_nothing():
    with Daemon(start=False, bus=False) as daemon:
        with Closing(listen(daemon.folder / 'bus', socket.SOCK_STREAM)) as listening:
            daemon.bus = daemon.address = f'unix:path={daemon.folder}/bus'
            daemon.spawn()
            wait_readable(listening)
            with Closing(listening.accept()[0]):
                daemon.wait_message('READY=1')
                served(daemon)
                daemon.fds_idle = len(daemon.fds())
                daemon.stop()


def test_name_taken():
    with Daemon(start=False) as daemon:
        with Closing(Broker(daemon.address)) as other:
            same('ours', other.call('org.freedesktop.DBus', '/org/freedesktop/DBus',
                                    'org.freedesktop.DBus', 'RequestName', 'su', NAME, 0), [1])
            daemon.start()
            assert 'has another owner' in daemon.stderr(), daemon.stderr()
            served(daemon)
        # The other one gone, the name is ours.
        wait_until(lambda: bus_served(daemon), 'the name')


def bus_served(daemon):
    try:
        with Closing(Broker(daemon.address)) as bus:
            return bus.request('scratch', PAGE).close().verdict == 'granted'
    except BusError:
        return False


def test_watchdog():
    with Daemon(environment={'WATCHDOG_USEC': '400000'}) as daemon:
        for _ in range(3):
            daemon.wait_message('WATCHDOG=1')
        served(daemon)
        daemon.wait_message('WATCHDOG=1')


def test_messages_to_systemd():
    with Daemon() as daemon:
        daemon.signal(1)
        daemon.wait_message('RELOADING=1')
        daemon.wait_message('READY=1')
        daemon.signal(15)
        daemon.wait_message('STOPPING=1')
        same('exit', daemon.wait_exit(), 0)


def test_manager_that_does_not_read():
    """Its queue full, clients are served and the policy reloads; nothing that it should hear is
    lost when it reads again."""
    with Daemon(environment={'WATCHDOG_USEC': '300000'}) as daemon:
        with Closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as filler:
            filler.setblocking(False)
            filler.connect(daemon.notify.getsockname())
            try:
                for _ in range(1000):
                    filler.send(b'filler')
                raise AssertionError('no queue takes so many')
            except BlockingIOError:
                pass
        policies = len(daemon.records('policy'))
        daemon.signal(1)
        daemon.wait_records('policy', policies + 1)
        for _ in range(20):
            served(daemon)
        daemon.wait_message('RELOADING=1')
        daemon.wait_message('READY=1')
        daemon.wait_message('WATCHDOG=1')


def test_twice():
    with Daemon() as daemon:
        second = Daemon(start=False, bus=daemon.bus)
        second.audit_dir, second.audit = daemon.audit_dir, daemon.audit
        refused_start(['in use by another process'], second)
        third = Daemon(start=False, bus=daemon.bus)
        third.socket = daemon.socket
        refused_start(['cannot listen'], third)
        served(daemon)


def test_with_the_journal():
    """Whether there is one or not."""
    with Daemon(start=False) as daemon:
        daemon.command = lambda made=daemon.command: [w for w in made() if w != '--no-journal']
        daemon.start()
        for client in daemon.doors():
            same('granted', client.request('scratch', PAGE).close().verdict, 'granted')
            same('refused', client.request('nosuch', PAGE).verdict, 'unknown-use')
        # The connection to the journal stays open.
        daemon.fds_idle += 1


def test_no_audit_folder():
    daemon = Daemon(start=False)
    shutil.rmtree(daemon.audit_dir)
    refused_start(['audit', 'folder must exist'], daemon)


def test_no_policy():
    """No policy at all allows nothing, but is no mistake; a broken one is."""
    with Daemon(policy=None) as daemon:
        for client in daemon.doors():
            same('nothing', client.request('scratch', PAGE).verdict, 'unknown-use')
    daemon = Daemon(policy='{ "version": 1, "rulez": [] }', start=False)
    refused_start(['10-test.json', 'rulez', 'no valid policy'], daemon)
    daemon = Daemon(policy='{ "version": 1,\n  "uses": { "a": { "heap": 3 } },\n'
                    '  "limits": { "totl": "1G" }, "rules": [ { "name": "x" } ] }', start=False)
    refused_start(['/uses/a/heap', 'totl', '/rules/0'], daemon)


def test_policy_of_others():
    daemon = Daemon(start=False)
    daemon.write_policy(BASIC, mode=0o664)
    refused_start(['may be written by its group', 'chmod'], daemon)
    daemon = Daemon(start=False)
    daemon.policy_dir.chmod(0o777)
    refused_start(['may be written by everyone'], daemon)
    if os.geteuid() == 0:
        daemon = Daemon(start=False)
        os.chown(daemon.policy_dir / '10-test.json', 1, 1)
        refused_start(['belongs to user 1'], daemon)


def test_command_line():
    for arguments, code, words in ((['--help'], 0, ['Usage: ccbufd']),
                                   (['--version'], 0, ['ccbufd']),
                                   (['--nonsense'], 2, ['--help']), (['more'], 2, ['more'])):
        refused_start(words, Daemon(start=False, bus=False, arguments=arguments), code)


def test_filter_is_on():
    """The system call filter, and no new privileges."""
    with Daemon() as daemon:
        same('filter', daemon.status('Seccomp'), '0' if options.sanitize else '2')
        for task in os.listdir(f'/proc/{daemon.pid}/task'):
            text = open(f'/proc/{daemon.pid}/task/{task}/status', encoding='utf-8').read()
            assert options.sanitize or 'Seccomp:\t2' in text, text


def test_bus_of_another_address():
    """Two daemons on two buses do not meet."""
    with Daemon() as one, Daemon() as two:
        served(one)
        served(two)
        with Closing(Broker(one.address)) as bus:
            same('granted', bus.get('GrantCount'), 0)


if __name__ == '__main__':
    main(globals())
