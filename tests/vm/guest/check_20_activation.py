# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starting, reloading and stopping, by hand, by the socket and by the bus."""
import os
import signal

from guest import check, journal, journal_now, out, run, write
from lib.broker import NAME, PATH
from lib.harness import expect, expect_in
from lib.waiting import wait_until
from product import SOCKET, active, client, main_pid, records, request, restart, rule, set_policy

DROP_IN = "/run/systemd/system/ccbufd.service.d/50-checks.conf"


def _stop():
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")


@check
def activation_enable():
    run("systemctl", "enable", "ccbufd.service")
    expect(out("systemctl", "is-enabled", "ccbufd.socket") == "enabled", "not the socket")
    set_policy(rule("alice", {"user": "alice"}), load=False)


@check
def activation_by_socket():
    _stop()
    expect(not os.path.exists(SOCKET), "the socket outlives its unit")
    run("systemctl", "start", "ccbufd.socket")
    expect(os.stat(SOCKET).st_mode & 0o777 == 0o666, "not everybody may connect")
    expect(not active(), "the service runs before anybody asks")
    request("alice")
    expect(active(), "the service does not run after a request")


@check
def activation_by_bus():
    _stop()
    request("alice", transport="dbus")
    expect(active(), "the service does not run after a call")
    # however it was started, it serves the socket
    request("alice", transport="socket")


@check
def activation_by_hand():
    _stop()
    run("systemctl", "start", "ccbufd.service")
    request("alice")
    expect(out("systemctl", "show", "-p", "StatusText", "--value", "ccbufd.service"),
           "no status text")


@check
def activation_introspection():
    text = out("busctl", "introspect", NAME, PATH, user="alice")
    for word in ("Request", "Release", "ListGrants", "Why", "Reload", "GrantAdded",
                 "GrantReleased", "PolicyDigest", "AuditSequence"):
        expect_in(word, text)
    xml = out("busctl", "introspect", "--xml-interface", NAME, PATH, ok=None)
    for word in ('name="use"', 'name="size"', 'name="options"', 'name="fd"', 'name="grant"'):
        expect_in(word, xml)


@check
def activation_stop_is_clean():
    since = journal_now()
    run("systemctl", "stop", "ccbufd.service")
    expect(out("systemctl", "show", "-p", "Result", "--value", "ccbufd.service") == "success",
           "the stop failed")
    text = journal("-u", "ccbufd.service", since=since)
    for word in ("SIGSYS", "dumped", "failed", "killed"):
        expect(word not in text, text)
    expect(records()[-1]["event"] == "stop", f"the trail ends with {records()[-1]}")
    run("systemctl", "start", "ccbufd.service")
    client("audit", "verify")


@check
def activation_signals_reload():
    set_policy(rule("alice", {"user": "alice"}), rule("bob", {"user": "bob"}), load=False)
    count = len(records("policy"))
    os.kill(main_pid(), signal.SIGHUP)
    wait_until(lambda: len(records("policy")) > count, "a record of the reload")
    request("bob")
    set_policy(rule("alice", {"user": "alice"}))
    request("bob", ok=False)


@check
def activation_watchdog():
    """systemd starts a daemon that hangs again."""
    def property_of(name):
        return out("systemctl", "show", "-p", name, "--value", "ccbufd.service")

    expect(property_of("WatchdogUSec") == "30s", "the watchdog is " + property_of("WatchdogUSec"))
    # in less time, to see it
    write(DROP_IN, "[Service]\nWatchdogSec=3\nTimeoutAbortSec=5\n")
    run("systemctl", "daemon-reload")
    restart()
    pid = main_pid()
    before = int(property_of("WatchdogTimestampMonotonic"))
    wait_until(lambda: int(property_of("WatchdogTimestampMonotonic")) > before,
               "a watchdog message", 40)
    expect(main_pid() == pid, "the daemon was started anew")
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: main_pid() not in (0, pid), "another main process", 60)
    wait_until(active, "the service to be up")
    os.unlink(DROP_IN)
    run("systemctl", "daemon-reload")
    restart()
    request("alice")
    client("audit", "verify")


@check
def activation_comes_back_after_a_crash():
    pid = main_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: main_pid() not in (0, pid), "another main process")
    wait_until(active, "the service to be up")
    request("alice")
    client("audit", "verify")
