# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private message buses: dbus-daemon, or dbus-broker where it can be had."""
import ctypes
import fcntl
import os
import pathlib
import signal
import socket
import subprocess
import traceback

from lib.harness import Skip, need_program, need_root
from lib.minibus import Bus
from lib.waiting import die_with_parent, wait_process, wait_readable

CONFIG = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>session</type>
 <listen>unix:path=%s</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow user="*"/><allow send_destination="*" eavesdrop="false"/>
  <allow receive_sender="*" eavesdrop="false"/><allow own="*"/>
 </policy>
 %s
</busconfig>
'''


class DBusDaemon:
    """A bus on which anybody may own and call anything, but for what `more` says."""

    prepare = staticmethod(die_with_parent)  # in the child, before exec

    def __init__(self, folder, more='', prepare=None):
        self.prepare = prepare or self.prepare
        self.path = folder / 'bus'
        self.address = f'unix:path={self.path}'
        self.config = folder / 'bus.conf'
        self.config.write_text(CONFIG % (self.path, more))
        self.log = folder / 'bus.log'
        self.log.touch()
        self.start()

    def start(self):
        program = need_program('dbus-daemon')
        reading, writing = os.pipe()
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [program, f'--config-file={self.config}', '--nofork', '--nopidfile',
                 f'--print-address={writing}'], pass_fds=[writing], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=self.prepare)
        os.close(writing)
        if not wait_readable(reading) or not os.read(reading, 1024):
            raise RuntimeError('dbus-daemon: ' + self.log.read_text())
        os.close(reading)

    def pids(self):
        """Of the processes that pass messages on."""
        return [self.process.pid]

    def stop(self):
        self.process.terminate()
        wait_process(self.process)


class DBusBroker(DBusDaemon):
    """dbus-broker by its launcher, which wants a passed socket, and a journal to write to: it gets
    one that nobody reads, in a mount namespace of its own."""

    def start(self):
        need_root('dbus-broker does not run without a journal, which only root can stand in for')
        program = need_program('dbus-broker-launch')
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listening.bind(str(self.path))
        os.chmod(self.path, 0o666)
        listening.listen(64)
        self.pid = os.fork()
        if self.pid == 0:
            self._launch(program, listening)
        listening.close()
        try:
            Bus(self.address).close()
        except OSError as error:
            self.stop()
            raise Skip(f'dbus-broker does not run here: {error}: {self.log.read_text()}') from None

    def _launch(self, program, listening):
        try:
            die_with_parent()
            log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            libc = ctypes.CDLL(None)
            if libc.unshare(0x20000) or libc.mount(b'none', b'/', None, 0x44000, None) or \
                    libc.mount(b'tmpfs', b'/run', b'tmpfs', 0, None):
                raise OSError('no mount namespace')
            os.makedirs('/run/systemd/journal')
            journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            journal.bind('/run/systemd/journal/socket')
            high = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100) for s in (listening, journal)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1',
                              DBUS_SESSION_BUS_ADDRESS=self.address)
            os.closerange(5, 4096)
            os.execv(program, [program, '--scope', 'user', '--config-file', str(self.config)])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(127)

    def pids(self):
        with open(f'/proc/{self.pid}/task/{self.pid}/children', encoding='ascii') as children:
            return [int(pid) for pid in children.read().split()]

    def stop(self):
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)


def make_bus(folder, dbus_broker=False, more=''):
    return (DBusBroker if dbus_broker else DBusDaemon)(folder, more)


def shipped_policy(uid):
    """units/org.ccbuf.Broker1.conf for a daemon of that user, without what no system here has."""
    units = pathlib.Path(__file__).resolve().parents[2] / 'units'
    text = (units / 'org.ccbuf.Broker1.conf').read_text(encoding='utf-8')
    inside = text[text.index('<busconfig>') + len('<busconfig>'):text.index('</busconfig>')]
    return inside.replace('user="ccbufd"', f'user="{uid}"')
