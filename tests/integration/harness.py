# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a script outside of this tree takes to speak to a daemon of its own, in one import."""
from daemon import BASIC, Closing, Daemon, client_environment, options, policy, rule, run_client
from lib.harness import Skip, need_program, need_root, same
from lib.waiting import DEADLINE, Program, wait_process, wait_readable, wait_until
from suite import HERE, OTHER, USER, main

__all__ = ['BASIC', 'Closing', 'DEADLINE', 'Daemon', 'HERE', 'OTHER', 'Program', 'Skip', 'USER',
           'client_environment', 'main', 'need_program', 'need_root', 'options', 'policy', 'rule',
           'run_client', 'same', 'wait_process', 'wait_readable', 'wait_until']
