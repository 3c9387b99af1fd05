# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test file needs: it defines functions test_*() and ends in harness.main(globals())."""
import argparse
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback

# For the test files, which need one import.
from daemon import BASIC, Closing, Daemon, client_environment, options, policy, rule, run_client
from waiting import DEADLINE, Program, Skip, need_program, need_root, stopped, wait_process, \
    wait_readable, wait_until

__all__ = ['BASIC', 'Closing', 'DEADLINE', 'Daemon', 'HERE', 'OTHER', 'Program', 'Skip', 'USER',
           'client_environment', 'main', 'need_program', 'need_root', 'options', 'policy', 'rule',
           'run_client', 'same', 'stopped', 'wait_process', 'wait_readable', 'wait_until']

USER, OTHER = 65534, 1  # ordinary users that every system has (a bus refuses those it cannot find)
HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 8 * DEADLINE  # for one test, however many things it waits for


def same(name, got, wanted):
    assert got == wanted, f'{name}: {got!r}, not {wanted!r}'


# --- running the tests of a file ---

def run_as_user():
    """Begins anew as an ordinary user: exec, as a process that changed its user is not one like
    others to the kernel (nobody of that user may look into its /proc folder)."""
    os.environ['HOME'] = '/'
    arguments = [a for a in sys.argv if a != '--as-user']
    # The checkout may be where only root can look, such as /root.
    with tempfile.TemporaryDirectory(prefix='ccbuf-tests.') as folder:
        os.chmod(folder, 0o755)
        for source in pathlib.Path(__file__).parent.glob('*.py'):
            shutil.copy(source, folder)
            os.chmod(os.path.join(folder, source.name), 0o644)
        arguments[0] = os.path.join(folder, os.path.basename(arguments[0]))
        pid = os.fork()
        if pid == 0:
            os.setgroups([])
            os.setresgid(USER, USER, USER)
            os.setresuid(USER, USER, USER)
            os.execv(sys.executable, [sys.executable, '-B', *arguments])
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        status = os.waitpid(pid, 0)[1]
    sys.exit(os.waitstatus_to_exitcode(status))


def skip_all(why):
    print(f'skipped: {why}')
    sys.exit(77)


class TimedOut(BaseException):
    """Not an Exception, so that no test can swallow it."""


def on_alarm(*_):
    raise TimedOut(f'no end after {LIMIT} s')


def run_one(name, function):
    print(f'=== {name}', flush=True)
    start = time.monotonic()
    # Again and again: what cleans up may wait, too.
    signal.setitimer(signal.ITIMER_REAL, LIMIT, LIMIT / 10)
    try:
        function()
        result = 'ok'
    except Skip as skip:
        result = f'skipped: {skip}'
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        traceback.print_exc(file=sys.stdout)
        result = 'FAILED'
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f'=== {name}: {result} ({time.monotonic() - start:.2f} s)', flush=True)
    return result


def main(namespace):
    parser = argparse.ArgumentParser()
    parser.add_argument('--ccbufd', required=True)
    parser.add_argument('--client', required=True)
    parser.add_argument('--sanitize', action='store_true', help='the programs have sanitizers')
    parser.add_argument('--as-user', action='store_true', help='run by root: as an ordinary user')
    parser.add_argument('--dbus-broker', action='store_true', help='instead of dbus-daemon')
    parser.add_argument('--preload', help='a library that is loaded into the daemon first')
    parser.add_argument('only', nargs='*', help='these functions only')
    parser.parse_args(namespace=options)
    options.ccbufd, options.client = map(os.path.abspath, (options.ccbufd, options.client))
    if options.as_user:
        if os.geteuid() != 0:
            skip_all('the other tests run as an ordinary user already')
        run_as_user()
    for path in (options.ccbufd, options.client):
        if not os.access(path, os.X_OK):
            skip_all(f'user {os.geteuid()} may not run {path}')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGALRM, on_alarm)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    tests = {name: value for name, value in namespace.items() if name.startswith('test_')
             and (not options.only or name in options.only)}
    results = [run_one(name, function) for name, function in tests.items()]
    failed, skipped = results.count('FAILED'), sum(r.startswith('skipped') for r in results)
    print(f'{len(results)} tests, {failed} failed, {skipped} skipped')
    sys.exit(1 if failed else 77 if skipped == len(results) else 0)
