#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How tests are chosen by name, from tools/test down to a function. Arguments: the roots of the
sources and of the build."""
import os
import subprocess
import sys

SOURCE, BUILD = sys.argv[1:]


def run(*argv, **more):
    done = subprocess.run(argv, cwd=SOURCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding='utf-8', timeout=60, check=False,
                          **more)
    return done.returncode, done.stdout


def check(what, got, status, *says, never=None):
    for said in says:
        assert said in got[1], f'{what} does not say {said!r}: {got}'
    assert got[0] == status and (never is None or never not in got[1]), f'{what}: {got}'


def select(*patterns):
    return run(sys.executable, '-B', 'tools/select-tests', BUILD, 'unit,integration', *patterns)


def tools_test(*patterns):
    options = [word for pattern in patterns for word in ('--only', pattern)]
    return run('tools/test', '--no-install', *options)


def integration(*arguments):
    return run('/usr/bin/python3', '-B', 'tests/integration/test_units.py', *arguments)


def shell(script):
    return run('bash', '-c', f'set -u; . tests/lib/choose.sh\n{script}')


# which programs, and which tests of them
check('a function', select('unit/user/users_come_and_go'), 0, 'unit\tuser\tusers_come_and_go\n')
check('in variants', select('integration/floods*/test_slow_*'), 0,
      'integration\tfloods\ttest_slow_*\n', 'integration\tfloods-dbus-broker\ttest_slow_*\n')
check('a program', select('unit/user'), 0, 'unit\tuser\t\n', never='integration')
check('of both suites', select('*/policy'), 0, 'unit\tpolicy\t\n', 'integration\tpolicy\t\n')
check('all of one and some', select('unit/user', 'unit/user/un*'), 0, 'unit\tuser\t\n', never='un*')
check('some of each', select('unit/user/un*', 'unit/user/in*'), 0, 'unit\tuser\tin* un*\n')
check('where functions are', select('*/*/users_come_and_go'), 0, never='integration')
for nothing in ('unit/none', 'unit/user/none', 'unit/docs/none', 'none', 'unit/user/unlimited/1'):
    check(nothing, select(nothing, 'unit/user'), 1, f'not ok {nothing} matches no test\n',
          'unit\tuser\t\n')

# a step that is not there, and parts of one that has none
check('no step', tools_test('spdx', 'gcd/unit'), 2, "no step matches 'gcd'", 'gcc')
check('no parts', tools_test('spdx/all', 'm[a]n/page'), 1, 'not ok spdx/all: spdx is one test',
      'not ok man/page: man is one test', '0 passed, 2 failed, 0 skipped')

# a file of Python tests
check('a list', integration('--list'), 0, 'test_')
THERE = ('--ccbufd', '/bin/true', '--client', '/bin/true')
check('no function', integration(*THERE, 'test_none*'), 1,
      'not ok test_none* matches the name of no test here', '1 tests, 1 failed')

# a script of shell
check('names', shell('choose "a/*" c; chosen a/b && chosen c && ! chosen b && report_unmatched'), 0)
check('all', shell('choose; chosen a && report_unmatched'), 0)
check('one for nothing', shell('choose "a/*" c; chosen a/b; report_unmatched'), 1,
      'not ok c matches no test')

# how a failure is named, so that it can be run again
LOG = os.path.join(BUILD, 'test-choose.json')
with open(LOG, 'w', encoding='utf-8') as f:
    f.write('{"name": "ccbuf:unit / user", "result": "FAIL", "returncode": 1, "stdout": "so: 1\\n'
            '../t.c:9:F:user:in_words:0: this is last", "stderr": "warning"}\n'
            '{"name": "ccbuf:integration / bus", "result": "FAIL", "returncode": 1, '
            '"stdout": "not ok test_one t.py:4: why\\n# test_one: t.py:4: why"}\n'
            '{"name": "ccbuf:integration / looks", "result": "SKIP", "returncode": 77, '
            '"stdout": "skip test_a is not here\\n# 1 tests, 0 failed, 1 skipped"}\n')
check('results', run(sys.executable, '-B', 'tools/meson-results', 'gcc', LOG), 0,
      'not ok\tunit/user\tfail, exit status 1: in_words\n'
      '# again: tools/test --only gcc/unit/user/in_words\n',
      '# warning\n# so: 1\n# ../t.c:9:F:user:in_words:0: this is last\n',
      '# again: tools/test --only gcc/integration/bus/test_one\n',
      'skip\tintegration/looks\tis not here\n')
os.unlink(LOG)
print('patterns choose what they say')
