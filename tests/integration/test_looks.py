# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who asks, held against who connected: processes that change before they are looked at, or between
two requests; and files of theirs that cannot be looked at."""
import collections
import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from daemon import Closing, Daemon, options, policy, rule
from hanging import LIBC, HangingFiles, mount
from lib.broker import Broker
from lib.harness import Skip, need_program, need_root, same
from lib.waiting import wait_until
from lib.wire import Socket
from peers import Peer, wait_end
from suite import OTHER, USER, main

PAGE = 4096
GROUP = 4711
PYTHON = os.path.realpath(sys.executable)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
GIVEN_UP = 5  # seconds that a look gets
CAP_SYS_PTRACE = 1 << 19


class Service(Daemon):
    """As the unit runs it: an ordinary user with CAP_SYS_PTRACE and nothing else."""

    def __init__(self, *arguments, **more):
        need_root('another user with a capability')
        need_program('setpriv')
        super().__init__(*arguments, start=False, **more)
        os.chown(self.audit_dir, USER, USER)
        os.chown(self.socket_dir, USER, USER)
        self.program = self.folder / 'ccbufd-as-service'
        self.program.write_text(
            f'#!/bin/sh\nexec setpriv --reuid {USER} --regid {USER} --clear-groups '
            '--inh-caps=-all,+sys_ptrace --ambient-caps=-all,+sys_ptrace '
            '--bounding-set=-all,+sys_ptrace --no-new-privs --pdeathsig KILL '
            f'{options.ccbufd} "$@"\n')
        self.program.chmod(0o755)
        try:
            self.start()
        except BaseException:
            self.clean_up()
            raise

    def spawn(self):
        real, options.ccbufd = options.ccbufd, str(self.program)
        try:
            super().spawn()
        finally:
            options.ccbufd = real

    def hold(self):
        """From now on it does nothing, whoever connects."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: state(self.pid) == 'T', 'the daemon held')

    def go_on(self):
        self.signal(signal.SIGCONT)


def state(pid):
    return open(f'/proc/{pid}/stat', encoding='utf-8').read().rpartition(')')[2].split()[0]


def children(pid):
    """{name: [pid]} of all below a process; none that ends meanwhile hides another."""
    found, left = collections.defaultdict(list), [pid]
    while left:
        parent = left.pop()
        try:
            below = open(f'/proc/{parent}/task/{parent}/children', encoding='utf-8').read().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, below):
            left.append(child)
            try:
                name = open(f'/proc/{child}/comm', encoding='utf-8').read().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[name].append(child)
    return found


def served(daemon, uid=None, seconds=3):
    """Somebody is served in good time."""
    begun = time.monotonic()
    if uid is None:
        with Closing(Socket(str(daemon.socket))) as client:
            answer = client.request('scratch', PAGE).close()
            same('served', answer.verdict, 'granted')
            client.release(answer.grants[0])
    else:
        with Peer(one_request, str(daemon.socket), uid=uid) as peer:
            same('served', peer.receive(), 'granted')
    took = time.monotonic() - begun
    assert took < seconds, f'{took} s'


def one_request(channel, path):
    client = Socket(path)
    answer = client.request('scratch', PAGE).close()
    channel.send(answer.verdict)
    wait_end(channel)


# --- before the first look ---

def program_with_group(folder):
    """A program that gives whoever runs it a group."""
    path = folder / 'setgid-cat'
    shutil.copy('/bin/cat', path)
    os.chown(path, 0, GROUP)
    path.chmod(0o2755)
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        raise Skip(f'{folder} is mounted nosuid')
    return str(path)


def connect_then(channel, transport, path, address, change, program):
    """Connects, lends its connection, changes, and says so."""
    if transport == 'socket':
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(path)
    else:
        connection = Broker(address).socket
    channel.send('connected', fds=[connection.fileno()])
    channel.receive()
    if change == 'exec':
        os.set_inheritable(connection.fileno(), True)
        os.dup2(channel.socket.fileno(), 0)
        os.execv(program, [program])
    CHANGES[change]()
    channel.send('changed')
    wait_end(channel)


def set_groups():
    os.setgroups([GROUP])


def set_group():
    os.setresgid(GROUP, GROUP, GROUP)


CHANGES = {'setgroups': set_groups, 'setgid': set_group}


def changed_before(daemon, transport, change, uid, program=None):
    """The verdict for a connection whose process changed before the daemon could look at it."""
    if transport == 'socket':
        daemon.hold()
    try:
        with Peer(connect_then, transport, str(daemon.socket), daemon.address, change, program,
                  uid=uid) as peer:
            fd = peer.receive_fd()
            peer.send('change')
            if change == 'exec':
                wait_until(lambda: os.readlink(f'/proc/{peer.pid}/exe') == program, 'the exec')
            else:
                same('says', peer.receive(), 'changed')
            daemon.go_on()
            with Closing(Socket(fd=fd) if transport == 'socket' else Broker(fd=fd)) as client:
                if transport == 'socket':
                    answer = client.receive()
                    same('turned away', answer.id, 0)
                else:
                    answer = client.request('scratch', PAGE)
            peer.kill()
            return answer
    finally:
        daemon.go_on()


def test_program_with_rights_after_connect():
    """What the kernel noted at connect decides, not what is read later: a set-group-ID program that
    is started in between gives its group to nobody else's words."""
    with Service(policy(rule('g', match={'group': GROUP}))) as daemon:
        program = program_with_group(daemon.folder)
        for i, transport in enumerate(('socket', 'dbus')):
            answer = changed_before(daemon, transport, 'exec', OTHER, program)
            same(transport, answer.verdict, 'identity-changed')
            assert 'group' in answer.reason, answer
            record = daemon.wait_records('deny', i + 1)[i]
            same('recorded', record['verdict'], 'identity-changed')
            assert 'exe' not in record['peer'], record
        same('grants', daemon.records('grant'), [])


def test_other_groups_after_connect():
    with Service() as daemon:
        for transport in 'socket', 'dbus':
            for change, word in (('setgroups', 'other groups'), ('setgid', 'group')):
                answer = changed_before(daemon, transport, change, None)
                same((transport, change), answer.verdict, 'identity-changed')
                assert word in answer.reason, answer
        served(daemon)


def asks_in_groups(channel, path, address, n):
    os.setgroups(range(200000, 200000 + n))
    answers = [client.request('scratch', PAGE).close() for client in (Waiting(path),
                                                                      Broker(address))]
    channel.send([[answer.verdict, answer.reason] for answer in answers])
    wait_end(channel)


class Waiting(Socket):
    """Takes a first answer that came before anything was asked for one to what is."""

    def request(self, use, size, **more):
        try:
            self.ask(use, size, **more)
        except BrokenPipeError:
            pass
        return self.receive()


def test_many_groups():
    """As a directory service gives them, and more."""
    with Service() as daemon:
        for n, wanted in ((300, 'granted'), (4096, 'granted'), (4097, 'identity-changed'),
                          (65536, 'identity-changed')):
            with Peer(asks_in_groups, str(daemon.socket), daemon.address, n) as peer:
                for verdict, reason in peer.receive():
                    same((n, reason), verdict, wanted)
                    assert wanted == 'granted' or '4096 groups' in reason, reason
            served(daemon)


def asks_after_setgroups(channel, path):
    """Has each of its requests take the kernel as long as it can."""
    client = Socket(path)
    client.request('scratch', PAGE).close()
    os.setgroups(range(200000, 200000 + 65536))
    channel.send('begun')
    asked, answered = 0, 0
    while not select.select([channel.socket], [], [], 0)[0]:
        while asked < answered + 8:
            client.ask('scratch', PAGE)
            asked += 1
        same('refused', client.receive().verdict, 'identity-changed')
        answered += 1
    channel.receive()
    channel.send(answered)
    wait_end(channel)


def test_long_inspections_of_another():
    """One inspector is left for others: they are served more often than who has it look long."""
    with Service() as daemon, Peer(asks_after_setgroups, str(daemon.socket), uid=None) as peer:
        same('begun', peer.receive(), 'begun')
        with Peer(asks_for_a_while, str(daemon.socket), uid=OTHER) as other:
            served_others = other.receive()
        answered = peer.ask()
        assert served_others > 3 * answered, (served_others, answered)
        peer.kill()


def asks_for_a_while(channel, path):
    client, n, end = Socket(path), 0, time.monotonic() + 3
    while time.monotonic() < end:
        answer = client.request('scratch', PAGE).close()
        same('granted', client.release(answer.grants[0]).verdict, 'released')
        n += 1
    channel.send(n)
    wait_end(channel)


# --- between two requests ---

def cgroup_of(pid):
    """A folder for the test of that process; None without control groups of version 2."""
    for line in open('/proc/mounts', encoding='utf-8'):
        words = line.split()
        if words[2] == 'cgroup2':
            return f'{words[1]}/ccbuf-test-{pid}'
    return None


def move_to_cgroup():
    path = cgroup_of(os.getppid())
    if not path:
        raise OSError('no control groups of version 2 here')
    os.mkdir(path)
    with open(path + '/cgroup.procs', 'w', encoding='utf-8') as file:
        file.write(str(os.getpid()))


def unshare(flags):
    def change():
        if LIBC.unshare(flags):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return change


def change_root():
    os.chroot('/tmp')


CHANGES.update({
    'user namespace': unshare(CLONE_NEWUSER),
    'mount namespace': unshare(CLONE_NEWNS),
    'root folder': change_root,
    'control group': move_to_cgroup,
})


def asks_and_changes(channel, path, address, change):
    """One grant, a change, another on the same connection; then a third on a new one. (That is
    made before, and looked at when it is used, on D-Bus; so it is for the socket alone.)"""
    clients = [Socket(path), Broker(address)]
    try:
        channel.send([c.request('scratch', PAGE).close().verdict for c in clients])
        channel.receive()
        try:
            CHANGES[change]()
        except OSError as error:
            channel.send(str(error))
            return
        channel.send([[a.verdict, a.reason] for a in
                      (c.request('scratch', PAGE).close() for c in clients)])
        channel.receive()
        if change == 'root folder':
            channel.send('granted')  # it cannot reach the socket any more
        else:
            channel.send(Socket(path).request('scratch', PAGE).close().verdict)
    finally:
        wait_end(channel)


def test_changes_between_two_requests():
    """What a record says of a process is true of the moment of its request."""
    words = {'user namespace': 'namespaces', 'mount namespace': 'namespaces',
             'root folder': 'root folder', 'control group': 'control group',
             'setgroups': 'groups', 'setgid': 'credentials'}
    with Service() as daemon:
        for change in CHANGES:
            with Peer(asks_and_changes, str(daemon.socket), daemon.address, change) as peer:
                same('before', peer.receive(), ['granted', 'granted'])
                told = peer.ask()
                if isinstance(told, str):
                    print(f'skipped: {change}: {told}')
                    continue
                for verdict, reason in told:
                    same(change, verdict, 'identity-changed')
                    assert words[change] in reason, (change, reason)
                same('anew', peer.ask(), 'granted')
            wait_until(lambda: all_ended(daemon, peer.pid), 'the end of its grants')
            grants = [r for r in daemon.records('grant') if r['peer']['pid'] == peer.pid]
            if change == 'user namespace':
                # each as it was asked for, and ended
                same('grants', [g['peer']['container'] for g in grants],
                     [False] * 4 + [True])
                ended = {b['grant']: r for r in daemon.records() for b in r.get('buffers', ())
                         if r['event'] in ('release', 'undelivered')}
                for grant in grants:
                    for buffer in grant['buffers']:
                        same('its end', ended[buffer['grant']]['peer']['container'],
                             grant['peer']['container'])
            if change == 'setgroups':
                same('groups', [GROUP in g['peer']['gids'] for g in grants],
                     [False] * 4 + [True])
            if change == 'control group':
                wait_until(lambda: remove(cgroup_of(os.getpid())), 'an empty control group')


def remove(folder):
    try:
        os.rmdir(folder)
        return True
    except OSError:
        return False


def all_ended(daemon, pid):
    ours = {b['grant'] for r in daemon.records('grant') if r['peer']['pid'] == pid
            for b in r['buffers']}
    ended = {b['grant'] for r in daemon.records() if r['event'] in ('release', 'undelivered')
             for b in r['buffers']}
    return ours <= ended


# --- what a process costs ---

GRANTS = """
import os, sys
from lib.wire import Socket
path, stage = sys.argv[1:3]
if stage == '1':
    Socket(path).request('scratch', 4096).close()
    os.execv(sys.argv[3], [sys.argv[3], '-c', PROGRAM, path, '2'])
for _ in range(200):
    client = Socket(path)
    assert client.request('scratch', 4096).close().verdict == 'granted'
    client.close()
print('done', flush=True)
sys.stdin.read()
"""


def test_fds_of_one_that_became_another_program():
    """A process costs its fd once, however many grants it has and however often it changed."""
    with Service() as daemon:
        copy = daemon.folder / 'python-copy'
        shutil.copy(PYTHON, copy)
        before = len(daemon.fds())
        environment = dict(os.environ, PYTHONHOME=sys.base_prefix,
                           PYTHONPATH=os.path.dirname(os.path.abspath(__file__)))
        program = f'PROGRAM = {GRANTS!r}\n{GRANTS}'
        with subprocess.Popen([PYTHON, '-c', program, daemon.socket, '1', copy],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=environment) as process:
            same('granted', process.stdout.readline(), 'done\n')
            wait_until(lambda: len(daemon.records('grant')) == 201, 'the grants')
            # One for the process; its buffers are of a heap that keeps one each.
            kept = sum('ccbuf' in name or 'memfd' in name
                       for name in daemon.describe_fds().values())
            wait_until(lambda: len(daemon.fds()) - kept <= before + 3,
                       f'few fds: {daemon.describe_fds()}')
            process.stdin.close()
            process.wait()
        daemon.wait_idle()


# --- who has which right ---

def rights(pid):
    text = open(f'/proc/{pid}/status', encoding='utf-8').read()
    return {line.split(':')[0]: int(line.split()[1], 16) for line in text.splitlines()
            if line.startswith('Cap')}


def test_rights():
    """The capability is the helper's and the lookers', the daemon has none and no way out of its
    mounts."""
    with Service() as daemon:
        served(daemon)
        same('daemon', {key: rights(daemon.pid)[key] for key in ('CapEff', 'CapPrm', 'CapAmb')},
             {'CapEff': 0, 'CapPrm': 0, 'CapAmb': 0})
        below = children(daemon.pid)
        lookers = below['ccbufd-look']
        same('lookers', len(lookers), 2)
        for pid in lookers + below['ccbufd-helper']:
            same('right', rights(pid)['CapPrm'], CAP_SYS_PTRACE)
            same('inherited', rights(pid)['CapInh'] | rights(pid)['CapAmb'], 0)
        for pid in lookers:
            status = open(f'/proc/{pid}/status', encoding='utf-8').read()
            assert options.sanitize or 'Seccomp:\t2' in status, status
        folders = [name for name in daemon.describe_fds().values()
                   if os.path.isdir(name) and not name.startswith(str(daemon.folder))]
        same('folders of others', folders, [])


# --- files that cannot be looked at ---

def run_there(channel, path, program):
    """Connects and becomes a program elsewhere; the parent speaks for it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(path)
    channel.send('connected', fds=[connection.fileno()])
    os.dup2(channel.socket.fileno(), 0)
    os.execv(program, [program])


def connected(daemon, program, uid):
    """A client whose program lies there, connected while the daemon does not look."""
    peer = Peer(run_there, str(daemon.socket), program, uid=uid)
    client = Socket(fd=peer.receive_fd())
    wait_until(lambda: os.path.basename(os.readlink(f'/proc/{peer.pid}/exe')) ==
               os.path.basename(program), 'the exec')
    return peer, client


def hung_program(mounted_by):
    """While the file system of a user's program does not answer, nobody waits but its user's
    processes that lie on it."""
    program = open('/bin/cat', 'rb').read()
    with Service() as daemon:
        folder = daemon.folder / 'hanging'
        folder.mkdir()
        with HangingFiles(folder, {'cat': program, 'dog': program}, uid=OTHER) as files:
            where = mounted_by(daemon, folder)
            lookers = len(children(daemon.pid)['ccbufd-look'])
            daemon.hold()
            one = connected(daemon, f'{where}/cat', OTHER)
            files.hang()
            begun = time.monotonic()
            daemon.go_on()
            while time.monotonic() < begun + 2:
                served(daemon)
                served(daemon, OTHER)
                served(daemon, USER)
            answer = one[1].receive()
            took = time.monotonic() - begun
            same('in the end', (answer.verdict, answer.id), ('identity-changed', 0))
            assert 'file system does not answer' in answer.reason, answer
            assert GIVEN_UP - 1 < took < GIVEN_UP + 10, took
            # That one is there still, and the others of its user that lie on a disk are served.
            served(daemon)
            served(daemon, OTHER)
            assert len(children(daemon.pid)['ccbufd-look']) <= lookers + 3
            # A stop does not wait for it.
            begun = time.monotonic()
            daemon.signal(signal.SIGTERM)
            same('exit', daemon.wait_exit(), 0)
            assert time.monotonic() - begun < 8, time.monotonic() - begun
            same('last', daemon.verify()[-1]['event'], 'stop')
            one[1].close()
            one[0].kill()
        # its end may wait for its file system
        one[0].wait()


def test_program_on_files_that_hang():
    hung_program(lambda daemon, folder: folder)


def test_program_on_an_overlay_of_files_that_hang():
    def overlay(daemon, folder):
        above, work, merged = (daemon.folder / name for name in ('above', 'work', 'merged'))
        for path in above, work, merged:
            path.mkdir()
        # overlayfs does not lie on overlayfs
        mount('tmpfs', above, 'tmpfs')
        for name in 'up', 'work':
            (above / name).mkdir()
        try:
            mount('overlay', merged, 'overlay', 0,
                  f'lowerdir={folder},upperdir={above}/up,workdir={above}/work')
        except OSError as error:
            LIBC.umount2(str(above).encode(), 2)
            raise Skip(f'no overlay here: {error}') from None
        mounted.extend([merged, above])
        return merged

    mounted = []
    try:
        hung_program(overlay)
    finally:
        for path in mounted:
            LIBC.umount2(str(path).encode(), 2)


def test_root_folder_that_hangs():
    """It is not asked for anything: it is enough to know that it is another one."""
    with Service() as daemon:
        folder = daemon.folder / 'hanging'
        folder.mkdir()
        with HangingFiles(folder, {}, uid=OTHER) as files:
            client = daemon.connect()
            same('before', client.request('scratch', PAGE).close().verdict, 'granted')
            with Peer(run_in_root, str(daemon.socket), str(folder)) as peer:
                same('connected', peer.receive(), 'granted')
                same('changed', peer.ask(), 'changed')
                files.hang()
                begun = time.monotonic()
                verdict, reason = peer.ask()
                same('changed', verdict, 'identity-changed')
                assert 'root folder' in reason, reason
                assert time.monotonic() - begun < GIVEN_UP - 1
                served(daemon)


def run_in_root(channel, path, folder):
    client = Socket(path)
    channel.send(client.request('scratch', PAGE).close().verdict)
    channel.receive()
    os.chroot(folder)
    channel.send('changed')
    channel.receive()
    answer = client.request('scratch', PAGE).close()
    channel.send([answer.verdict, answer.reason])
    wait_end(channel)


def test_heaps_on_files_that_may_hang():
    """The daemon opens nodes itself, so it does not begin with such a folder."""
    with Daemon(start=False, bus=False) as daemon:
        folder = daemon.folder / 'heaps'
        folder.mkdir()
        with HangingFiles(folder, {'system': b''}) as files:
            files.hang()
            daemon.spawn()
            same('exit', daemon.wait_exit(), 1)
            assert 'may not answer' in daemon.stderr(), daemon.stderr()
            same('asked', files.asked(), 0)


def test_nodes_that_may_hang():
    """What is no node is not opened, wherever its name leads."""
    heaps = {name: {'exposure': 'private'} for name in ('linked', 'bound', 'later')}
    uses = {name: {'heap': name} for name in heaps} | {'scratch': {'heap': 'emulated'}}
    with Daemon(policy(rule('all', use=[*uses]), uses=uses, heaps=heaps)) as daemon:
        folder, away = daemon.folder / 'heaps', daemon.folder / 'away'
        folder.mkdir()
        away.mkdir()
        with HangingFiles(away, {'file': b''}, keep=60) as files:
            (folder / 'linked').symlink_to(away / 'file')
            (folder / 'bound').touch()
            mount(str(away / 'file'), folder / 'bound', None, 4096)
            files.hang()
            try:
                for use in ('linked', 'bound'):
                    for client in daemon.doors():
                        same(use, client.request(use, PAGE).close().verdict, 'heap-unavailable')
                        same('other', client.request('scratch', PAGE).close().verdict, 'granted')
                same('asked', files.asked(), 0)
            finally:
                LIBC.umount2(str(folder / 'bound').encode(), 2)
        with HangingFiles(folder, {'later': b''}) as files:
            files.hang()
            for client in daemon.doors():
                answer = client.request('later', PAGE).close()
                same('a folder that came later', answer.verdict, 'heap-unavailable')
                assert 'may not answer' in answer.reason, answer
            daemon.connect_bus().properties()
            same('asked', files.asked(), 0)


def test_many_programs_that_hang():
    """One user, many processes: a few hang, the others hear so soon, nobody else waits."""
    program = open('/bin/cat', 'rb').read()
    with Service() as daemon:
        folder = daemon.folder / 'hanging'
        folder.mkdir()
        with HangingFiles(folder, {'cat': program}, uid=OTHER) as files:
            daemon.hold()
            many = [connected(daemon, f'{folder}/cat', OTHER) for _ in range(20)]
            files.hang()
            daemon.go_on()
            for _ in range(20):
                served(daemon)
                served(daemon, USER)
            for peer, client in many:
                same('refused', client.receive().verdict, 'identity-changed')
            assert len(children(daemon.pid)['ccbufd-look']) < 12, children(daemon.pid)
            for peer, client in many:
                client.close()
                peer.kill()
            served(daemon)
        # their ends may wait for their file system
        for peer, _ in many:
            peer.wait()
        # The file system gone, so are those who waited for it.
        wait_until(lambda: len(children(daemon.pid)['ccbufd-look']) == 2, 'two lookers')
        served(daemon, OTHER)


def run_in_user_namespace(channel, path, program, uid):
    """As a user of a namespace that the user of this process made."""
    if LIBC.unshare(CLONE_NEWUSER):
        channel.send(os.strerror(ctypes.get_errno()))
        return
    channel.send('made')
    channel.receive()
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    run_there(channel, path, program)


def connected_below(daemon, program, uid, below):
    """Like connected(), of a user's subordinate uid."""
    peer = Peer(run_in_user_namespace, str(daemon.socket), program, below, uid=uid)
    told = peer.receive()
    if told != 'made':
        peer.wait()
        raise Skip(f'no user namespace here: {told}')
    for name in 'uid_map', 'gid_map':
        with open(f'/proc/{peer.pid}/{name}', 'w', encoding='ascii') as file:
            file.write('0 100000 1000')
    peer.send()
    client = Socket(fd=peer.receive_fd())
    wait_until(lambda: os.readlink(f'/proc/{peer.pid}/exe') == program, 'the exec')
    return peer, client


def hanging_for_many(make, shadowed):
    """More programs that hang than there may be inspections under way, each of another user:
    one whose program lies on a disk does not wait for these."""
    program = open('/bin/cat', 'rb').read()
    with Service() as daemon:
        folder = daemon.folder / 'hanging'
        folder.mkdir()
        shutil.copy('/bin/cat', folder)
        daemon.hold()
        many = [make(daemon, f'{folder}/cat', i) for i in range(40)] if shadowed else []
        with HangingFiles(folder, {'cat': program}, uid=OTHER) as files:
            if not shadowed:
                many = [make(daemon, f'{folder}/cat', i) for i in range(40)]
            files.hang()
            begun = time.monotonic()
            daemon.go_on()
            while time.monotonic() < begun + GIVEN_UP + 2:
                served(daemon)
                served(daemon, USER)
            assert len(children(daemon.pid)['ccbufd-look']) <= 32, children(daemon.pid)
            for peer, client in many:
                same('refused', client.receive().verdict, 'identity-changed')
                client.close()
                peer.kill()
            served(daemon)
        for peer, _ in many:
            peer.wait()
        wait_until(lambda: len(children(daemon.pid)['ccbufd-look']) == 2, 'two inspectors')


def test_programs_of_many_users_that_hang():
    hanging_for_many(lambda daemon, program, i: connected(daemon, program, 20000 + i), False)


def test_programs_under_files_that_hang():
    """The program lies on a disk. What was mounted over its folder since is asked for its name."""
    hanging_for_many(lambda daemon, program, i: connected(daemon, program, 20000 + i), True)


def test_programs_of_one_user_under_files_that_hang():
    """One person, however many subordinate uids: a few hang, the others hear so soon."""
    program = open('/bin/cat', 'rb').read()
    with Service() as daemon:
        folder = daemon.folder / 'hanging'
        folder.mkdir()
        shutil.copy('/bin/cat', folder)
        daemon.hold()
        many = [connected_below(daemon, f'{folder}/cat', OTHER, 1 + i) for i in range(40)]
        with HangingFiles(folder, {'cat': program}, uid=OTHER) as files:
            files.hang()
            daemon.go_on()
            for peer, client in many:
                served(daemon)
                same('refused', client.receive().verdict, 'identity-changed')
                client.close()
            assert len(children(daemon.pid)['ccbufd-look']) < 12, children(daemon.pid)
            for peer, _ in many:
                peer.kill()
            served(daemon)
        for peer, _ in many:
            peer.wait()


if __name__ == '__main__':
    main(globals())
