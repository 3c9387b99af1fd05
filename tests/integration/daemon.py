# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real daemon in a temporary folder with a bus of its own: started, waited for by what it says,
stopped, and looked at for what it leaves: exit code, fds, sanitizer reports, the audit chain. It
must never wait for a fixed time, and never end a process that it did not start."""
import argparse
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import traceback

from buses import make_bus
from lib import trail
from lib.broker import Broker
from lib.harness import Skip
from lib.waiting import DEADLINE, die_with_parent, wait_readable, wait_until
from lib.wire import Socket

options = argparse.Namespace(ccbufd=None, client=None, sanitize=False, as_user=False,
                             dbus_broker=False, preload=None, only=[])

BASIC = {
    'version': 1,
    'audit': {'durability': 'written'},
    'uses': {'scratch': {'heap': 'emulated'}},
    'limits': {'emulated-per-user': '100%'},
    'rules': [{'name': 'all', 'match': {}, 'allow': {'use': 'scratch'}}],
}


def rule(name, **allow_or_more):
    """rule('a', match={...}, use='x', total='1M'), or with deny='why'."""
    made = {'name': name, 'match': allow_or_more.pop('match', {})}
    if 'deny' in allow_or_more:
        made.update(allow_or_more)
    else:
        made['allow'] = {'use': 'scratch', **allow_or_more}
    return made


def policy(*rules, **more):
    """BASIC with other rules and keys; a limit that is not given is as there."""
    limits = {**BASIC['limits'], **more.pop('limits', {})}
    return {**BASIC, **more, 'limits': limits, 'rules': list(rules) or BASIC['rules']}


class Daemon:
    """ccbufd with its own bus, socket, policy folder and audit trail; a context manager.

    policy: True for BASIC, a dictionary, text, or None for no file. user: run it as that uid (root
    only). bus: a MessageBus, an address, or False for --no-bus. arguments, environment, listen_fds
    (to be passed as LISTEN_FDS) and prepare (called in the child before exec) are for special
    starts."""

    def __init__(self, policy=True, user=None, bus=True, arguments=(), environment=None,
                 listen_fds=(), prepare=None, start=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='ccbuf-test-'))
        self.folder.chmod(0o755)
        self.user, self.arguments, self.prepare = user, list(arguments), prepare
        self.environment, self.listen_fds = environment or {}, list(listen_fds)
        self.policy_dir, self.audit_dir = self.folder / 'policy.d', self.folder / 'audit'
        self.policy_dir.mkdir()
        self.audit_dir.mkdir()
        self.socket_dir = self.folder / 'run'
        self.socket_dir.mkdir()
        if user is not None:
            os.chown(self.audit_dir, user, user)
            os.chown(self.socket_dir, user, user)
        self.socket, self.audit = self.socket_dir / 'socket', self.audit_dir / 'audit.jsonl'
        self.log = self.folder / 'ccbufd.log'
        self.pid, self.pidfd, self.process, self.fds_idle = None, None, None, None
        self.notify, self.messages = None, []
        self.clients, self.bus, self.address, self.own_bus = [], None, None, False
        try:
            self.bus = make_bus(self.folder, options.dbus_broker) if bus is True else bus
            self.own_bus = bus is True
            if bus:
                self.address = bus if isinstance(bus, str) else self.bus.address
            if policy is not None:
                self.write_policy(BASIC if policy is True else policy)
            if start:
                self.start()
        except BaseException:
            self.clean_up()
            raise

    # --- start and stop ---

    def write_policy(self, content, name='10-test.json', mode=0o644):
        path = self.policy_dir / name
        if content is None:
            path.unlink()
            return
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)

    def command(self):
        command = [options.ccbufd, '--policy', self.policy_dir, '--socket', self.socket, '--audit',
                   self.audit, '--heaps', self.folder / 'heaps', '--no-journal']
        if options.sanitize:
            command.append('--no-seccomp')
        if not self.bus:
            command.append('--no-bus')
        return [str(word) for word in command + self.arguments]

    def _child(self):
        """Between fork and exec."""
        moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in self.listen_fds]
        for i, fd in enumerate(moved):
            os.dup2(fd, 3 + i)
        if self.listen_fds:
            os.environ['LISTEN_PID'] = str(os.getpid())
        if self.prepare:
            self.prepare()
        if self.user is not None:
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)
        os.umask(0o027)
        die_with_parent()

    def spawn(self):
        """Starts the process without waiting for anything."""
        path = str(self.folder / f'notify-{time.monotonic_ns()}')
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notify.bind(path)
        os.chmod(path, 0o777)
        self.messages = []
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(('LISTEN_', 'DBUS_', 'WATCHDOG_'))}
        environment.update(NOTIFY_SOCKET=path, **self.environment)
        if options.preload:
            environment['LD_PRELOAD'] = options.preload
        if self.address:
            environment['DBUS_SYSTEM_BUS_ADDRESS'] = self.address
        if self.listen_fds:
            environment['LISTEN_FDS'] = str(len(self.listen_fds))
        started = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.environ.clear()
                os.environ.update(environment)
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(os.open('/dev/null', os.O_RDWR), 0)
                os.dup2(log, 1)
                os.dup2(log, 2)
                keep = 3 + len(self.listen_fds)
                self._child()
                os.closerange(keep, 4096)
                # Python ignores these; the daemon is to begin with the defaults.
                for number in (signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                os.execve(options.ccbufd, self.command(), dict(os.environ))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(127)
        os.close(started[0])
        os.close(started[1])
        self.pid, self.process = pid, pid
        self.pidfd = os.pidfd_open(pid)

    def start(self):
        self.spawn()
        self.wait_message('READY=1')
        wait_until(self._start_recorded, 'the records of the start')
        self.fds_idle = len(self.fds())
        return self

    def _start_recorded(self):
        """It is ready before these records are on the disk."""
        events = [record['event'] for record in self.records()]
        return 'start' in events and 'policy' in events[len(events) - events[::-1].index('start'):]

    def wait_message(self, line, timeout=DEADLINE):
        """Waits for a line on the notification socket; a daemon that ends instead is a failure."""
        end = time.monotonic() + timeout
        while not any(line in message for message in self.messages):
            left = max(0, end - time.monotonic())
            ready = select.select([self.notify, self.pidfd], [], [], left)[0]
            if self.notify in ready:
                self.messages.append(self.notify.recv(4096).decode().split('\n'))
            elif self.pidfd in ready:
                raise RuntimeError(f'ccbufd ended before {line}:\n{self.stderr()}')
            else:
                raise TimeoutError(f'no {line} from ccbufd in time; its messages: {self.stderr()}')
        self.messages = [m for m in self.messages if line not in m]

    def read_messages(self):
        """Takes what has come, so that the daemon does not wait for room."""
        while wait_readable(self.notify, 0):
            self.messages.append(self.notify.recv(4096).decode().split('\n'))

    def wait_exit(self, timeout=DEADLINE):
        """The exit code, negative for a signal."""
        if not wait_readable(self.pidfd, timeout):
            raise TimeoutError(f'ccbufd does not end:\n{self.stderr()}')
        return self._reap()

    def _reap(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.notify.close()
        self.process = None
        return os.waitstatus_to_exitcode(status)

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """Ends it the usual way and looks at what it leaves."""
        self.close_clients()
        self.release_own()
        self.wait_idle()
        self.signal(signal.SIGTERM)
        code = self.wait_exit()
        assert code == 0, f'ccbufd ended with {code}'
        self.verify()

    def kill(self):
        self.signal(signal.SIGKILL)
        assert self.wait_exit() == -signal.SIGKILL

    def restart(self):
        self.stop()
        self.start()

    # --- what it says and has ---

    def stderr(self):
        return self.log.read_text(errors='replace')

    def wait_stderr(self, text):
        wait_until(lambda: text in self.stderr(), f'"{text}" on stderr')

    def fds(self):
        return os.listdir(f'/proc/{self.pid}/fd')

    def wait_idle(self):
        """Until it has no more fds than when it was ready."""
        wait_until(lambda: len(self.fds()) <= self.fds_idle,
                   f'fds of ccbufd back to {self.fds_idle}: {self.describe_fds()}')

    def describe_fds(self):
        names = {}
        for fd in self.fds():
            try:
                names[fd] = os.readlink(f'/proc/{self.pid}/fd/{fd}')
            except OSError:
                pass
        return names

    def status(self, key):
        for line in open(f'/proc/{self.pid}/status', encoding='utf-8'):
            if line.startswith(key + ':'):
                return line.split(':', 1)[1].strip()
        return None

    def rss(self):
        return int(self.status('VmRSS').split()[0]) * 1024

    # --- the audit trail ---

    def records(self, event=None, **more):
        """Records of an event whose fields have these values; _ stands for -."""
        found = []
        for record in trail.records(str(self.audit)) if self.audit.exists() else ():
            if event and record['event'] != event:
                continue
            if all(record.get(key.replace('_', '-')) == value for key, value in more.items()):
                found.append(record)
        return found

    def wait_records(self, event, count=1, **more):
        def enough():
            found = self.records(event, **more)
            return found if len(found) >= count else None

        return wait_until(enough, f'{count} record(s) {event} {more}')

    def verify(self):
        """Our own look at the chain, then the product's."""
        records = trail.check(str(self.audit))
        result = run_client('audit', 'verify', '--json', *trail.files(str(self.audit)))
        assert result.returncode == 0, result
        told = json.loads(result.stdout)
        # A daemon that runs may have written more in between.
        assert told['whole'] and told['last'] >= records[-1]['seq'], told
        return records

    # --- clients ---

    def release_own(self):
        """Gives back what this process still has: a grant lives as long as its process."""
        own = set()
        for record in self.records():
            numbers = {buffer['grant'] for buffer in record.get('buffers', ())}
            if record['event'] in ('release', 'undelivered', 'start'):
                own = own - numbers if record['event'] != 'start' else set()
            elif record['event'] == 'grant' and record['peer']['pid'] == os.getpid():
                own |= numbers
        if own:
            wait_until(lambda: self._release(own), 'a connection to release grants')

    def _release(self, numbers):
        """False when the daemon has not yet seen the end of enough other connections."""
        with Closing(Socket(str(self.socket))) as client:
            try:
                for number in numbers:
                    assert client.release(number).verdict in ('released', 'unknown-grant')
            except (BrokenPipeError, AssertionError):
                return False
        return True

    def connect(self):
        client = Socket(str(self.socket))
        self.clients.append(client)
        return client

    def connect_bus(self):
        client = Broker(self.address)
        self.clients.append(client)
        return client

    def doors(self):
        """A client of each kind."""
        return [self.connect(), self.connect_bus()]

    def close_clients(self):
        while self.clients:
            self.clients.pop().close()

    def wait_totals(self, count=0, size=0):
        with Closing(Broker(self.address)) as bus:
            def reached():
                now = bus.properties()
                return (now['GrantCount'], now['GrantedBytes']) == (count, size)

            wait_until(reached, f'{count} grants, {size} bytes')

    # --- the end ---

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None and self.process:
                self.stop()
        except BaseException as failure:
            kind, error = type(failure), failure
            raise
        finally:
            try:
                if error is not None and not isinstance(error, (Skip, SystemExit)):
                    self.describe()
            finally:
                self.clean_up()
        assert 'Sanitizer' not in self.last_words, self.last_words
        assert 'runtime error' not in self.last_words, self.last_words

    def describe(self):
        """What helps to see why a test failed."""
        for name, path, most in (('stderr of ccbufd', self.log, 100),
                                 ('end of the audit trail', self.audit, 6),
                                 ('bus', self.folder / 'bus.log', 20)):
            if path.exists():
                lines = path.read_text(errors='replace').splitlines()
                print(f'--- {name}', *lines[-most:], '---', sep='\n')

    def clean_up(self):
        self.close_clients()
        if self.process:
            self.signal(signal.SIGKILL)
            self._reap()
        if self.own_bus:
            self.bus.stop()
        self.last_words = self.stderr() if self.log.exists() else ''
        shutil.rmtree(self.folder, ignore_errors=True)


class Closing:
    """with Closing(x) as y: x.close() at the end."""

    def __init__(self, thing):
        self.thing = thing

    def __enter__(self):
        return self.thing

    def __exit__(self, *_):
        self.thing.close()


def run_client(*arguments, daemon=None, environment=None, **more):
    """ccbuf-client to its end."""
    made = client_environment(daemon) if daemon else dict(os.environ)
    made.update(environment or {})
    more = {'capture_output': True, 'text': True, 'timeout': DEADLINE * 2,
            'stdin': subprocess.DEVNULL} | more
    return subprocess.run([options.client, *map(str, arguments)], env=made, check=False, **more)


def client_environment(daemon):
    return dict(os.environ, CCBUF_SOCKET=str(daemon.socket),
                DBUS_SYSTEM_BUS_ADDRESS=daemon.address or 'unix:path=/nonexistent')
