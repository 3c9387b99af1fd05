# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who a peer is, by everything that a rule can ask for, and what can be faked of it."""
import os
import shutil

from guest import check, out, read_optional, run
from lib.harness import expect, expect_in
from product import POLICY, expect_refused, records, refusal, request, rule, set_policy

TRUSTED = "/usr/local/bin/trusted"
EVIL = "/usr/local/bin/evil"
SUITE = read_optional(os.path.join(os.path.dirname(os.path.abspath(__file__)), "suite"))
ASK = ("request", "--use", "real", "--size", "64K")


def _service(*properties, user="bob", command="/usr/bin/ccbuf-client", ok=True, options=()):
    """One request by a transient service; an argument `--unit=` may name it."""
    argv = ["systemd-run", "--quiet", "--wait", "--pipe", f"--uid={user}", *options]
    argv += [f"--property={p}" for p in properties]
    return run(*argv, command, *ASK, "--", "/usr/bin/true", ok=ok)


def _by_rule():
    return records("grant")[-1]["rule"]


@check
def identity_policy():
    for path in (TRUSTED, EVIL):
        shutil.copy("/usr/bin/ccbuf-client", path)
    set_policy(
        rule("by-group", {"group": "hpc"}),
        rule("by-exe", {"exe": TRUSTED}),
        rule("by-unit", {"unit": "worker@*.service", "user": "bob"}),
        rule("by-slice", {"slice": "batch.slice"}),
        rule("by-cgroup", {"cgroup": "/special.slice/*"}),
        rule("by-not", {"user": "auditor", "not": {"transport": "dbus"}}),
        rule("by-container", {"user": "eve", "container": True}),
        rule("by-identity", {"user": "eve", "identity": "strong"}))


@check
def identity_by_group():
    for transport in ("socket", "dbus"):
        request("carol", transport=transport)
        expect(_by_rule() == "by-group", _by_rule())
    expect_refused("no-rule", "alice")


@check
def identity_by_primary_and_changed_group():
    """Groups are the process's own, not those of the user data base."""
    argv = ["setpriv", "--reuid", "carol", "--regid", "carol"]
    done = run(*argv, "--clear-groups", "--", "ccbuf-client", *ASK, "--", "true", ok=None)
    expect(done.returncode == 3, "a group that the process has dropped counts")
    run("setpriv", "--reuid", "alice", "--regid", "hpc", "--clear-groups", "--", "ccbuf-client",
        *ASK, "--", "true")


@check
def identity_by_exe():
    for transport in ("socket", "dbus"):
        run(TRUSTED, *ASK, "--transport", transport, "--", TRUSTED, "--version", user="alice")
        expect(_by_rule() == "by-exe", _by_rule())
        expect(records("grant")[-1]["peer"]["exe"] == TRUSTED, str(records("grant")[-1]["peer"]))
    expect(run(EVIL, *ASK, "--", "true", user="alice", ok=None).returncode == 3, "not by exe")


@check
def identity_fake_exe_by_link():
    """A link, a copy and another argv[0] are not the file that the rule names."""
    link = "/tmp/trusted"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(EVIL, link)
    for argv in ((link,), ("bash", "-c", f"exec -a {TRUSTED} {EVIL} \"$@\"", "bash")):
        done = run(*argv, *ASK, "--", "true", user="alice", ok=None)
        expect(done.returncode == 3, f"{argv}: {done.stdout}{done.stderr}")


def _in_own_mounts(*unshare, user=None, bind=True):
    """TRUSTED with EVIL (or itself) mounted over it, in a mount namespace of its own."""
    mount = f"mount --bind {EVIL if bind else TRUSTED} {TRUSTED} && "
    drop = "" if user else "setpriv --reuid alice --regid alice --init-groups -- "
    script = f"{mount}exec {drop}{TRUSTED} \"$@\""
    return run("unshare", *unshare, "sh", "-c", script, "sh", *ASK, "--", "/bin/true", user=user,
               ok=None)


@check
def identity_fake_exe_in_a_mount_namespace():
    """The path is right and the file is not: what a container could do."""
    before = len(records("deny"))
    done = _in_own_mounts("--mount")
    expect(done.returncode == 3, f"exit status {done.returncode}: {done.stdout}{done.stderr}")
    record = records("deny")[before]
    expect(record["verdict"] == "no-rule" and "exe" not in record["peer"], str(record))
    # nor does the right file count there
    expect(_in_own_mounts("--mount", bind=False).returncode == 3, "exe counts in a container")


@check
def identity_fake_exe_in_a_user_namespace():
    """The same by a user without any privilege, who is root in there."""
    done = _in_own_mounts("--user", "--map-root-user", "--mount", user="alice")
    expect(done.returncode == 3, f"exit status {done.returncode}: {done.stdout}{done.stderr}")
    peer = records("deny")[-1]["peer"]
    expect(peer["container"] and peer["uid"] == int(out("id", "-u", "alice")), str(peer))


@check
def identity_fake_exe_in_a_root_of_its_own():
    root = "/run/fake-root"
    for folder in ("usr/bin", "usr/local/bin", "run/ccbufd", "proc", "dev"):
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    shutil.copy(EVIL, root + TRUSTED)
    for name in ("lib", "lib64"):
        if not os.path.lexists(f"{root}/{name}"):
            os.symlink(f"usr/{name}", f"{root}/{name}")
    uid = out("id", "-u", "alice")
    script = (f"mkdir -p {root}/usr/lib {root}/usr/lib64; mount --bind /usr/lib {root}/usr/lib; "
              f"mount --bind /usr/lib64 {root}/usr/lib64; "
              f"mount --bind /run/ccbufd {root}/run/ccbufd; "
              f"exec chroot --userspec={uid}:{uid} --groups= {root} {TRUSTED} \"$@\"")
    done = run("unshare", "--mount", "sh", "-c", script, "sh", *ASK, "--", TRUSTED, "--version",
               ok=None)
    expect(done.returncode == 3, f"exit status {done.returncode}: {done.stdout}{done.stderr}")


@check
def identity_by_unit():
    _service(options=["--unit=worker@1.service"])
    expect(_by_rule() == "by-unit", _by_rule())
    expect(_service(options=["--unit=worker@2.service"], user="alice", ok=None).returncode == 3,
           "the unit counts without its user")
    expect(_service(options=["--unit=other.service"], ok=None).returncode == 3, "any unit does")
    expect_refused("no-rule", "bob")


@check
def identity_by_unit_of_a_sandboxed_service():
    """A unit and its user count in a mount namespace too, where exe does not."""
    _service("ProtectSystem=strict", "PrivateTmp=yes", options=["--unit=worker@3.service"])
    peer = records("grant")[-1]["peer"]
    expect(_by_rule() == "by-unit" and "exe" not in peer, str(peer))


@check
def identity_by_slice_and_cgroup():
    _service("Slice=batch.slice", user="alice", options=["--unit=a.service"])
    expect(_by_rule() == "by-slice", _by_rule())
    _service("Slice=special.slice", user="alice", options=["--unit=b.service"])
    expect(_by_rule() == "by-cgroup", _by_rule())


@check
def identity_by_transport():
    request("auditor", transport="socket")
    expect(refusal("auditor", transport="dbus")["verdict"] == "no-rule", "not is not heeded")


@check
def identity_by_container():
    run("unshare", "--user", "--map-root-user", "--pid", "--fork", "ccbuf-client", *ASK, "--",
        "true", user="eve")
    expect(_by_rule() == "by-container", _by_rule())


@check
def identity_strength():
    """Strong where the kernel (6.5) and the bus daemon give a pidfd, else recorded as weak."""
    strong = SUITE != "bookworm"
    for transport in ("socket", "dbus"):
        request("eve", transport=transport, ok=strong)
        record = records("grant" if strong else "deny")[-1]
        expect(record["peer"]["identity"] == ("strong" if strong else "weak"), str(record))


@check
def identity_policy_is_roots():
    """A policy file that others could write is not trusted."""
    os.chmod(POLICY, 0o666)
    done = run("systemctl", "reload", "ccbufd.service", ok=None)
    os.chmod(POLICY, 0o644)
    expect(done.returncode != 0, "a policy that everybody may write was loaded")
    expect_in("50-checks.json", run("ccbuf-client", "status").stdout)
    run("systemctl", "reload", "ccbufd.service")
