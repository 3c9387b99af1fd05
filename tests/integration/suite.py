# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file of tests as a program: it defines functions test_*() and ends in main(globals())."""
import argparse
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile

from daemon import options
from lib.harness import Report, run_all
from lib.waiting import DEADLINE

USER, OTHER = 65534, 1  # ordinary users that every system has (a bus refuses those it cannot find)
HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 8 * DEADLINE  # for one test, however many things it waits for


def run_as_user():
    """Begins anew as an ordinary user: exec, as a process that changed its user is not one like
    others to the kernel (nobody of that user may look into its /proc folder)."""
    os.environ['HOME'] = '/'
    arguments = [a for a in sys.argv if a != '--as-user']
    # The checkout may be where only root can look, such as /root.
    with tempfile.TemporaryDirectory(prefix='ccbuf-tests.') as folder:
        shutil.copytree(HERE, folder, dirs_exist_ok=True,
                        ignore=lambda _, names: [n for n in names if n != 'lib' and
                                                 not n.endswith('.py')])
        for path in pathlib.Path(folder).glob('**'):
            path.chmod(0o755)
        for path in pathlib.Path(folder).glob('**/*.py'):
            path.chmod(0o644)
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


def main(namespace):
    tests = {name: value for name, value in namespace.items() if name.startswith('test_')}
    if sys.argv[1:] == ['--list']:
        print(*tests, sep='\n')
        sys.exit(0)
    parser = argparse.ArgumentParser(epilog='--list alone prints the names of the tests.')
    parser.add_argument('--ccbufd', required=True)
    parser.add_argument('--client', required=True)
    parser.add_argument('--sanitize', action='store_true', help='the programs have sanitizers')
    parser.add_argument('--as-user', action='store_true', help='run by root: as an ordinary user')
    parser.add_argument('--dbus-broker', action='store_true', help='instead of dbus-daemon')
    parser.add_argument('--preload', help='a library that is loaded into the daemon first')
    parser.add_argument('only', nargs='*', metavar='PATTERN',
                        help='these functions only, by their names, with * and ?')
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
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    report = Report()
    run_all(report, tests, options.only, LIMIT, lambda name: print(f'# {name}', flush=True))
    failed, skipped = report.count('not ok'), report.count('skip')
    print(f'# {len(report.results)} tests, {failed} failed, {skipped} skipped')
    # Last, as the daemons' own words may be long.
    for kind, name, why in report.results:
        if kind == 'not ok':
            print(f'# {name}: {why}')
    sys.exit(1 if failed else 77 if skipped == len(report.results) else 0)
