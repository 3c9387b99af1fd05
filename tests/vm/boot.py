#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a guest in QEMU and passes on what its checks report.

The guest's console goes to a file; its second serial port carries the report, one line a check:
`ok NAME`, `not ok NAME why`, `skip NAME why`, `# remark`, and `done` at the very end. A guest that
ends without `done`, or not in time, is a failed check named `boot`.
"""
import argparse
import os
import select
import signal
import subprocess
import sys
import time


def command(args):
    append = "console=ttyS0,115200 panic=-1 quiet systemd.show_status=0 systemd.firstboot=no " + args.append
    if args.shell:
        append += " ccbuf.shell"
    append = append.strip()
    serial = ["-serial", "mon:stdio", "-serial", "null"] if args.shell else [
        "-serial", "file:" + os.path.join(args.log_dir, "console.log"), "-serial", "stdio"]
    machine = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", str(args.cpus),
               "-nodefaults", "-no-reboot", "-display", "none"] + args.qemu + serial
    if args.tee == "plain":
        return machine + ["-cpu", "max", "-m", str(args.memory), "-kernel", args.kernel,
                          "-initrd", args.initrd, "-append", append]
    # See cocovm/README.md: 3 GiB for the shared half and the hypervisor, then the private half;
    # a comma in the kernel's command line is doubled, as one ends the module.
    vendor = ",vendor=GenuineIntel" if args.tee == "tdx" else ""
    options = f"tee={args.tee} ram={args.memory}" + (" strict" if args.strict else "")
    return machine + ["-M", "pc,smm=off", "-cpu", "max,la57=off" + vendor,
                      "-m", str(3072 + args.memory), "-kernel", args.hypervisor, "-append", options,
                      "-initrd", f"{args.kernel} {append.replace(',', ',,')},{args.initrd}",
                      "-debugcon", "file:" + os.path.join(args.log_dir, "cocovm.log")]


class Report:
    def __init__(self, path, prefix):
        self.file = open(path, "w", encoding="utf-8")
        self.prefix = prefix
        self.failed = 0
        self.count = 0
        self.done = False

    def line(self, text):
        text = text.rstrip("\r\n")
        if text == "done":
            self.done = True
            return
        self.file.write(text + "\n")
        self.file.flush()
        print(self.prefix + text, flush=True)
        self.count += text.startswith(("ok ", "not ok ", "skip "))
        self.failed += text.startswith("not ok ")


def follow(guest, report, deadline):
    """Reads the report until the guest is gone or out of time; returns what went wrong."""
    fd = guest.stdout.fileno()
    pending = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "the guest did not end in time"
        if not select.select([fd], [], [], left)[0]:
            continue
        data = os.read(fd, 65536)
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            report.line(line.decode("utf-8", "replace"))
        if not data:
            return None if report.done else "the guest ended before its checks did"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--append", default="")
    parser.add_argument("--memory", type=int, default=2048)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--tee", choices=["plain", "sev", "snp", "tdx"], default="plain")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--hypervisor")
    parser.add_argument("--qemu", action="append", default=[], help="one more argument for QEMU")
    parser.add_argument("--log-dir", required=True)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--timeout", type=float, default=900)
    parser.add_argument("--shell", action="store_true")
    args = parser.parse_args()
    if args.shell:
        return subprocess.call(command(args))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report(os.path.join(args.log_dir, "report"), args.prefix)
    start = time.monotonic()
    guest = subprocess.Popen(command(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        problem = follow(guest, report, start + args.timeout)
    finally:
        guest.kill()
        guest.wait()
    if args.tee != "plain":
        with open(os.path.join(args.log_dir, "cocovm.log"), encoding="utf-8", errors="replace") as f:
            for line in f:
                report.line("# cocovm: " + line)
    if problem:
        report.line(f"not ok boot {problem}; see {args.log_dir}/console.log")
    print(f"{args.prefix}# {report.count} checks, {report.failed} failed, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    return 1 if report.failed else 0


sys.exit(main())
