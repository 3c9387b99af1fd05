#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots a guest in QEMU and passes on what its checks report.

The guest's console goes to a file; its second serial port carries the report, one line a check:
`ok NAME`, `not ok NAME why`, `skip NAME why`, `# remark`, and `done` at the very end. A guest that
ends without `done`, or not in time, is a failed check named `boot`.

A line `host: echo WORD` is answered by WORD. Any other `host: TEXT` is for the host that a test
plays: --host names a Python file whose class Host is made with the machine's memory (a mmap), the
guest's memory in bytes and the kind of guest; its line(TEXT) is called for each, and end() when the
guest is gone. What they raise is a failed check named `host`. Its attribute qmp is set to the path
of the socket of QEMU's monitor.

A guest that ends early by a fault of the emulator, which no guest and no test can cause, is to be
booted again: the status is 75.
"""
import argparse
import importlib.util
import mmap
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

HALF_BELOW_4G = 2560
AGAIN = 75


def machine_memory(args):
    """The machine's memory in MiB, see cocovm/README.md: up to 3 GiB the shared half and the
    hypervisor, from 4 GiB on what the shared half did not find room for, then the private half."""
    if args.tee == "plain":
        return args.memory
    return args.memory + 3072 + max(0, args.memory - HALF_BELOW_4G)


def machine(args, append, memory_file=None, log="/dev/null"):
    """The command for a guest, less its serial ports; log is for the hypervisor's messages."""
    plain = args.tee == "plain"
    size = machine_memory(args)
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", str(args.cpus),
            "-nodefaults", "-no-reboot", "-display", "none", "-m", str(size),
            "-machine", "pc,smm=off" + (",memory-backend=ram" if memory_file else "")]
    if memory_file:
        argv += ["-object",
                 f"memory-backend-file,id=ram,size={size}M,mem-path={memory_file},share=on"]
    if plain:
        return argv + ["-cpu", "max", "-kernel", args.kernel, "-initrd", args.initrd,
                       "-append", append]
    vendor = ",vendor=GenuineIntel" if args.tee == "tdx" else ""
    options = f"tee={args.tee} ram={args.memory}" + (" strict" if args.strict else "")
    # a comma in the kernel's command line is doubled, as one ends the module
    return argv + ["-cpu", "max,la57=off" + vendor, "-kernel", args.hypervisor, "-append", options,
                   "-initrd", f"{args.kernel} {append.replace(',', ',,')},{args.initrd}",
                   "-debugcon", "file:" + log]


def map_memory(args, path):
    """Makes the file that is the machine's memory."""
    if args.memory > HALF_BELOW_4G:
        sys.exit(f"a host that looks at memory knows guests of up to {HALF_BELOW_4G} MiB only")
    size = machine_memory(args) << 20
    with open(path, "wb+") as f:
        f.truncate(size)
        return mmap.mmap(f.fileno(), size)


def folder_for_memory():
    """A temporary folder, in memory if that may be."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="ccbuf-vm.", dir=shm)


def devices(args):
    """What else the guest has: disk, network card (to nowhere but QEMU itself), random numbers."""
    modern = ",disable-legacy=on,iommu_platform=on"
    disk = ["-drive", f"file={args.disk},if=none,id=disk,format=raw",
            "-device", "virtio-blk-pci,drive=disk" + modern] if args.disk else []
    return disk + ["-netdev", "user,id=net,restrict=on",
                   "-device", "virtio-net-pci,netdev=net,romfile=" + modern,
                   "-device", "virtio-rng-pci" + modern]


def command(args, memory_file=None):
    append = ("console=ttyS0,115200 panic=-1 quiet systemd.show_status=0 systemd.firstboot=no " +
              args.append)
    if args.shell:
        append += " ccbuf.shell"
    serial = ["-serial", "mon:stdio", "-serial", "null"] if args.shell else [
        "-serial", "file:" + os.path.join(args.log_dir, "console.log"), "-serial", "stdio"]
    return machine(args, append.strip(), memory_file, os.path.join(args.log_dir, "cocovm.log")) + \
        devices(args) + args.qemu + serial


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


class NoHost:
    def line(self, text):
        raise RuntimeError(f"the guest asks its host for {text!r}, and there is no --host")

    def end(self):
        pass


def load_host(path):
    spec = importlib.util.spec_from_file_location("host", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Host


def tell(host, guest, report, text):
    try:
        if text.startswith("echo "):
            guest.stdin.write(text[5:].encode() + b"\n")
            guest.stdin.flush()
        else:
            host.line(text)
    except Exception as e:
        report.line(f"not ok host {e}")


def follow(guest, report, host, deadline):
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
            line = line.decode("utf-8", "replace")
            if line.startswith("host: "):
                tell(host, guest, report, line[6:].rstrip("\r"))
            else:
                report.line(line)
        if not data:
            return None if report.done else "the guest ended before its checks did"


def read_log(args, name):
    try:
        with open(os.path.join(args.log_dir, name), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def emulators_fault(tee, console, log):
    """What the emulator did wrong, by the guest's console and the hypervisor's log, or None; see
    cocovm/README.md."""
    if tee == "plain":
        return "a stale INT3" if "Oops: int3" in console else None
    # where the hypervisor itself is, no guest can be
    stop = re.search(r"^stop: cpu \d+ at ([0-9a-f]+)", log, re.M)
    at = int(stop[1], 16) >> 20 if stop else 0
    if HALF_BELOW_4G <= at < HALF_BELOW_4G + 16:
        return "the hypervisor's state taken for the guest's"
    return None


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
    parser.add_argument("--disk", help="file of the virtio disk")
    parser.add_argument("--host", help="Python file with a class Host")
    parser.add_argument("--preload", help="a library for QEMU")
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
    with folder_for_memory() as folder:
        memory, host = None, NoHost()
        if args.host:
            memory = os.path.join(folder, "memory")
            host = load_host(args.host)(map_memory(args, memory), args.memory << 20, args.tee)
            host.qmp = os.path.join(folder, "qmp")
            args.qemu += ["-qmp", f"unix:{host.qmp},server=on,wait=off"]
        if args.preload:
            os.environ["LD_PRELOAD"] = args.preload
        guest = subprocess.Popen(command(args, memory), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        try:
            problem = follow(guest, report, host, start + args.timeout)
        finally:
            guest.kill()
            guest.wait()
        try:
            host.end()
        except Exception as e:
            report.line(f"not ok host {e}")
    fault = emulators_fault(args.tee, read_log(args, "console.log"), read_log(args, "cocovm.log"))
    if fault and problem and not report.failed:
        print(f"{args.prefix}# a fault of the emulator: {fault}; once more", flush=True)
        return AGAIN
    log = os.path.join(args.log_dir, "cocovm.log")
    if args.tee != "plain" and os.path.exists(log):
        with open(log, encoding="utf-8", errors="replace") as f:
            for line in f:
                report.line("# cocovm: " + line)
    if problem:
        report.line(f"not ok boot {problem}; see {args.log_dir}/console.log")
    print(f"{args.prefix}# {report.count} checks, {report.failed} failed, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
