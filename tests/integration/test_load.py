# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loads of the policy, at the start and later: names that a name service knows, or is to know from
now on; services and files that hang, fail, bring in code; and stops meanwhile."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import time

from daemon import Closing, Daemon, options, policy, rule, run_client
from hanging import LIBC, HangingFiles, mount
from lib.broker import Broker
from lib.harness import Skip, need_root, same
from lib.waiting import wait_until
from lib.wire import Socket
from peers import Peer, wait_end
from suite import OTHER, main

PAGE = 4096
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x00020000, 4096, 16384, 1 << 18
WAIT = 10  # seconds that a look-up gets
MODULE = 'libnss_ccbuftest.so.2'


class Services(Daemon):
    """With an nsswitch.conf and a group file of its own, and the name service of nss-test.c to be
    had on the library path."""

    def __init__(self, content, known=False, start=True):
        need_root('mounting')
        module = pathlib.Path(options.ccbufd).parent.parent / 'tests/integration' / MODULE
        if not module.exists():
            raise Skip(f'{module} is not built')
        super().__init__(content, start=False)
        try:
            self.switch, self.groups = self.folder / 'nsswitch.conf', self.folder / 'group'
            self.set_services('files ccbuftest' if known else 'files')
            lines = pathlib.Path('/etc/group').read_text(encoding='utf-8').splitlines()
            self.set_groups(*[line for line in lines if not line.startswith('ccbuf-admin:')])
            library = self.folder / 'lib'
            library.mkdir()
            shutil.copy(module, library)
            self.environment.update(LD_LIBRARY_PATH=str(library), NSS_TEST_FOLDER=str(self.folder))
            self.prepare = self.mount_files
            if start:
                self.start()
        except BaseException:
            self.clean_up()
            raise

    def mount_files(self):
        if LIBC.unshare(CLONE_NEWNS):
            raise OSError('no mount namespace')
        mount('none', '/', 'none', MS_REC | MS_PRIVATE)
        if not os.path.exists('/etc/nsswitch.conf'):
            raise OSError('there is no /etc/nsswitch.conf to mount over')
        mount(str(self.switch), '/etc/nsswitch.conf', 'none', MS_BIND)
        mount(str(self.groups), '/etc/group', 'none', MS_BIND)

    def set_services(self, words):
        # in its place: it is mounted
        self.switch.write_text(f'passwd: {words}\ngroup: {words}\n', encoding='utf-8')

    def set_groups(self, *lines):
        self.groups.write_text(''.join(line + '\n' for line in lines), encoding='utf-8')

    def children(self):
        """Names of the processes that it has, with their helper's, but for the one that closes."""
        found, left = [], [self.pid]
        while left:
            parent = left.pop()
            path = f'/proc/{parent}/task/{parent}/children'
            # Each may end meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                left += map(int, open(path, encoding='utf-8').read().split())
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if parent != self.pid:
                    found.append(open(f'/proc/{parent}/comm', encoding='utf-8').read().strip())
        return [name for name in found if name != 'ccbufd-close']


def only(name):
    return policy(rule('only', match={'user': name}))


def reload(daemon):
    with Closing(Broker(daemon.address)) as bus:
        return bus.reload()


def asker(channel, path):
    channel.send(Socket(path).request('scratch', PAGE).close().verdict)
    wait_end(channel)


def asked_by(daemon, uid):
    with Peer(asker, str(daemon.socket), uid=uid) as peer:
        return peer.receive()


def served(daemon):
    with Closing(Socket(str(daemon.socket))) as client:
        answer = client.request('scratch', PAGE).close()
        same('served', answer.verdict, 'granted')
        client.release(answer.grants[0])


def test_a_name_service_that_comes_later():
    """The first package of its kind on a machine that runs, then a policy with its names."""
    with Services(policy()) as daemon:
        daemon.write_policy(only(f'nt-{OTHER}'))
        answer = reload(daemon)
        same('not known yet', answer.verdict, 'PolicyInvalid')
        assert f'nt-{OTHER}' in answer.reason, answer
        daemon.set_services('files ccbuftest')
        same('known', reload(daemon), None)
        same('the user', asked_by(daemon, OTHER), 'granted')
        same('another', asked_by(daemon, 0), 'no-rule')
        daemon.write_policy(policy(rule('group', match={'group': f'nt-{OTHER}'})))
        same('a group', reload(daemon), None)
        same('a member', asked_by(daemon, OTHER), 'granted')
        daemon.set_services('files')
        answer = reload(daemon)
        same('gone again', answer.verdict, 'PolicyInvalid')
        same('the old one is kept', asked_by(daemon, OTHER), 'granted')


def test_a_name_service_that_misbehaves():
    """What a module does costs its load, and says which name it was."""
    with Services(policy(), known=True) as daemon:
        for name, words in (('crash', 'signal 6'), ('exit', 'ended with 3'),
                            ('exec', 'ended with 0'), ('error', 'cannot look up'),
                            ('none', 'there is no user')):
            daemon.write_policy(only('nt-' + name))
            answer = reload(daemon)
            assert answer and words in answer.reason, (name, answer)
            assert f'user "nt-{name}"' in answer.reason, (name, answer)
            served(daemon)
        # What the daemon's own filter would not let it do is none of its business.
        for name in 'socket', 'code', 'program', 'fork':
            daemon.write_policy(only('nt-' + name))
            same(name, reload(daemon), None)
        left = int((daemon.folder / 'left').read_text())
        wait_until(lambda: not os.path.exists(f'/proc/{left}'), 'the end of what it left behind')
        wait_until(lambda: 'ccbufd-load' not in daemon.children(), 'the end of all loads')
        daemon.write_policy(policy())
        same('mended', reload(daemon), None)
        served(daemon)


def test_a_reload_that_hangs():
    with Services(policy(), known=True) as daemon:
        daemon.write_policy(policy(rule('a', match={'user': 'nt-1'}),
                                   rule('b', match={'group': 'nt-hang'})))
        begun = time.monotonic()
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: 'ccbufd-load' in daemon.children(), 'a load')
        for _ in range(20):
            served(daemon)
        daemon.wait_stderr('the look-up of group "nt-hang" did not end within 10 s')
        took = time.monotonic() - begun
        assert WAIT - 1 < took < WAIT + 10, took
        record = daemon.wait_records('policy', 2)[1]
        assert 'nt-hang' in record['reason'] and record['verdict'] == 'internal', record
        same('kept', record['policy'], daemon.records('policy')[0]['policy'])
        daemon.write_policy(policy())
        with Closing(Broker(daemon.address)) as bus:
            assert 'nt-hang' in bus.get('PolicyError')
        same('mended', reload(daemon), None)
        served(daemon)
        wait_until(lambda: 'ccbufd-load' not in daemon.children(), 'the end of all loads')


def test_a_stop_during_a_load():
    """Whatever it waits for."""
    with Services(policy(), known=True) as daemon:
        daemon.write_policy(only('nt-hang'))
        with Closing(Broker(daemon.address)) as bus:
            bus.send_method('Reload')
            daemon.signal(signal.SIGHUP)
            wait_until(lambda: 'ccbufd-load' in daemon.children(), 'a load')
            begun = time.monotonic()
            daemon.signal(signal.SIGTERM)
            same('exit', daemon.wait_exit(), 0)
            assert time.monotonic() - begun < 4, time.monotonic() - begun
        same('last', daemon.verify()[-1]['event'], 'stop')


def test_a_start_that_hangs():
    with Services(only('nt-hang'), known=True, start=False) as hung, \
            Services(only('nt-hang'), known=True, start=False) as stopped, \
            Services(only('nt-crash'), known=True, start=False) as crashed:
        begun = time.monotonic()
        for daemon in hung, stopped, crashed:
            daemon.spawn()
        same('crash', crashed.wait_exit(), 1)
        for words in 'signal 6', 'user "nt-crash"', 'no valid policy':
            assert words in crashed.stderr(), crashed.stderr()
        wait_until(lambda: 'ccbufd-load' in stopped.children(), 'a load')
        stopped.signal(signal.SIGTERM)
        same('stopped', stopped.wait_exit(), 0)
        assert time.monotonic() - begun < WAIT, time.monotonic() - begun
        same('its last record', stopped.records()[-1]['event'], 'stop')
        same('hangs', hung.wait_exit(), 1)
        assert time.monotonic() - begun < WAIT + 8, time.monotonic() - begun
        assert 'the look-up of user "nt-hang" did not end' in hung.stderr(), hung.stderr()


def test_slow_but_alive():
    """Each name has its time; one name is asked for once, however many rules have it."""
    names = ['nt-slow'] * 200 + [f'nt-{n}' for n in range(200)]
    with Services(policy(), known=True) as daemon:
        daemon.write_policy(policy(*[rule(f'r{i}', match={'user': name})
                                     for i, name in enumerate(names)]))
        begun = time.monotonic()
        same('reload', reload(daemon), None)
        assert time.monotonic() - begun < WAIT, time.monotonic() - begun


def member(channel, _, address):
    channel.receive()
    with Closing(Broker(address)) as bus:
        answer = bus.reload()
        channel.send(answer.verdict if answer else 'reloaded')
    wait_end(channel)


def as_member(daemon, gid):
    with Peer(member, str(daemon.socket), daemon.address, uid=OTHER, groups=[gid]) as peer:
        return peer.ask()


def test_group_of_administrators():
    """It is looked up again by each load, one with mistakes too: who has a number that was given
    to another group is no administrator."""
    with Services(policy()) as daemon:
        assert 'there is no group ccbuf-admin' in daemon.stderr(), daemon.stderr()
        same('nobody', as_member(daemon, 4711), 'not-permitted')
        daemon.set_groups('root:x:0:', 'ccbuf-admin:x:4711:')
        same('reload', reload(daemon), None)
        same('member', as_member(daemon, 4711), 'reloaded')
        daemon.set_groups('root:x:0:', 'students:x:4711:', 'ccbuf-admin:x:4712:')
        daemon.write_policy('{ "version": 1, "rulez": [] }')
        same('mistake', reload(daemon).verdict, 'PolicyInvalid')
        same('former number', as_member(daemon, 4711), 'not-permitted')
        daemon.write_policy(policy())
        same('new number', as_member(daemon, 4712), 'reloaded')
        daemon.set_groups('root:x:0:')
        same('reload', reload(daemon), None)
        same('no group', as_member(daemon, 4712), 'not-permitted')
        same('said twice', daemon.stderr().count('there is no group ccbuf-admin'), 2)


def test_a_policy_folder_that_hangs():
    content = json.dumps(policy()).encode()
    with Daemon(policy=None, start=False) as daemon:
        with HangingFiles(daemon.policy_dir, {'10-a.json': content}) as files:
            daemon.start()
            served(daemon)
            files.hang()
            daemon.signal(signal.SIGHUP)
            for _ in range(20):
                served(daemon)
            daemon.wait_stderr('could not be opened or read within 10 s')
            assert str(daemon.policy_dir) in daemon.stderr(), daemon.stderr()
            served(daemon)
            begun = time.monotonic()
            daemon.signal(signal.SIGHUP)
            daemon.signal(signal.SIGTERM)
            same('exit', daemon.wait_exit(), 0)
            assert time.monotonic() - begun < 8, time.monotonic() - begun
            same('last', daemon.verify()[-1]['event'], 'stop')


def test_a_big_policy():
    """Files as large as may be, 10,000 rules with names, goes through, and is what a check makes
    of it."""
    with Daemon(policy()) as daemon:
        users = ['root', 'nobody', 'daemon']
        for i in range(10):
            rules = [rule(f'r{i}-{n}', match={'user': users[n % 3], 'exe': f'/opt/{i}/{n}'})
                     for n in range(1000)]
            text = json.dumps({'version': 1, 'rules': rules})
            room = (4 << 20) - len(text) - 8
            daemon.write_policy(text + '\n/*' + 'x' * room + '*/\n' if i < 3 else text,
                                f'{20 + i}-more.json')
        same('reload', reload(daemon), None)
        checked = run_client('policy', 'check', daemon.policy_dir)
        same('check', checked.returncode, 0)
        digest = daemon.records('policy')[-1]['policy']
        assert digest in checked.stdout, (digest, checked.stdout)
        served(daemon)
        daemon.write_policy('{ "version": 1, "rules": [ {} ] }' + ' ' * (4 << 20), '90-big.json')
        answer = reload(daemon)
        same('too large', answer.verdict, 'PolicyInvalid')


def test_a_helper_that_is_killed():
    """Nobody could be identified without it: the daemon ends, with its records, to be started
    again."""
    with Daemon() as daemon:
        served(daemon)
        os.kill(child(daemon, 'ccbufd-helper'), signal.SIGKILL)
        same('exit', daemon.wait_exit(), 1)
        assert 'helper process is gone' in daemon.stderr(), daemon.stderr()
        same('last', daemon.verify()[-1]['event'], 'stop')


def test_no_process_outlives_the_daemon():
    with Daemon() as daemon:
        children = [child(daemon, name) for name in ('ccbufd-helper', 'ccbufd-close')]
        daemon.kill()
        for pid in children:
            wait_until(lambda: gone(pid), 'the end of its processes')
        daemon.start()


def test_the_closer_is_killed():
    """Nothing is lost but its service."""
    with Daemon() as daemon:
        served(daemon)
        os.kill(child(daemon, 'ccbufd-close'), signal.SIGKILL)
        served(daemon)


def child(daemon, name):
    """The pid of a process of the daemon's."""
    children = open(f'/proc/{daemon.pid}/task/{daemon.pid}/children', encoding='utf-8').read()
    found, = [int(pid) for pid in children.split()
              if open(f'/proc/{pid}/comm', encoding='utf-8').read().strip() == name]
    return found


def gone(pid):
    try:
        return open(f'/proc/{pid}/stat', encoding='utf-8').read().rpartition(')')[2].split()[0] \
            in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


if __name__ == '__main__':
    main(globals())
