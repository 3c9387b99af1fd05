# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine under it all: that it is the kind of guest asked for, and that its devices work."""
import fcntl
import glob
import json
import mmap
import os
import re
import socket
import struct
import subprocess

import guest
from guest import check, out, read, run
from lib.broker import NAME, PATH
from lib.harness import Failure, Skip, expect
from lib.waiting import wait_until
from product import TEE, client, start

HERE = os.path.dirname(os.path.abspath(__file__))
FEATURES = {"plain": [], "sev": ["AMD SEV"], "snp": ["AMD SEV SEV-ES SEV-SNP"],
            "tdx": ["Intel TDX"]}[TEE]
# as ccbuf calls it
PLATFORM = {"plain": "none", "sev": "sev", "snp": "sev-snp", "tdx": "tdx"}[TEE]
GATEWAY, ADDRESS = "10.0.2.2", "10.0.2.15"  # of QEMU's user networking
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891c


@check
def machine_started():
    wait_until(lambda: out("systemctl", "is-active", "multi-user.target", ok=None) == "active",
               "multi-user.target")
    expect(os.cpu_count() == int(read(HERE + "/cpus")), f"{os.cpu_count()} processors")


@check
def machine_features():
    """The kernel's own word for what it runs on."""
    said = re.findall(r"Memory Encryption Features active: (.*)", out("dmesg"))
    expect(said == FEATURES, f"the kernel says {said}, not {FEATURES}")
    if int(out("systemctl", "--version").split()[1]) >= 254:
        run("modprobe", "msr", ok=None)  # by which systemd tells SEV from none
        said = out("systemd-detect-virt", "--cvm", ok=None)
        expect(said == PLATFORM, f"systemd says {said}")


@check
def machine_doctor():
    """ccbuf names the technology, to root and to a user, who may not read the kernel's log."""
    for user in (None, "alice"):
        findings = json.loads(client("doctor", "--json", user=user, ok=None).stdout)["findings"]
        [(state, text)] = [(f["status"], f["text"]) for f in findings if f["topic"] == "platform"]
        if TEE == "plain":
            expect(text.startswith("not a confidential guest") and state == "warning", text)
        else:
            named = re.match("confidential guest of type ([a-z-]+)[:,]", text)
            expect(named and named[1] == PLATFORM, text)
            expect(user or state == "ok", f"root is told {state} {text}")
    start()
    said = out("busctl", "get-property", NAME, PATH, NAME, "Platform")
    expect(said == f's "{PLATFORM}"', f"the daemon says {said}")
    run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")


def _device(driver):
    """The virtio device of a driver, whose DMA goes where the host can see it."""
    [path] = wait_until(lambda: glob.glob(f"/sys/bus/virtio/drivers/{driver}/virtio*"),
                        f"a device of {driver}")
    expect(TEE == "plain" or read(path + "/features")[33] == "1",
           f"{driver} does not go by the kernel's DMA mappings")
    return path


@check
def machine_disk():
    """Past the page cache: what the host wrote is read, and what is written is there."""
    [name] = wait_until(lambda: os.listdir(_device("virtio_blk") + "/block"), "a disk")
    with open(HERE + "/disk", "rb") as f:
        want = f.read()
    fd = os.open("/dev/" + name, os.O_RDWR | os.O_DIRECT | os.O_SYNC)
    try:
        with mmap.mmap(-1, len(want)) as memory:
            expect(os.preadv(fd, [memory], 0) == len(want), "a short read")
            expect(memory[:] == want, "the disk has not what the host wrote")
            memory[:] = os.urandom(len(want))
            for at in range(8 << 20, 32 << 20, 4 << 20):
                expect(os.pwritev(fd, [memory], at) == len(want), "a short write")
            with mmap.mmap(-1, len(want)) as back:
                for at in range(8 << 20, 32 << 20, 4 << 20):
                    expect(os.preadv(fd, [back], at) == len(want), "a short read")
                    expect(back[:] == memory[:], f"what was written at {at} is not there")
    finally:
        os.close(fd)


def _bring_up(name):
    def ask(request, data):
        return fcntl.ioctl(sock, request, struct.pack("16s16s", name.encode(), data))

    def address(text):
        return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(text))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        ask(SIOCSIFADDR, address(ADDRESS))
        ask(SIOCSIFNETMASK, address("255.255.255.0"))
        flags = struct.unpack_from("H", ask(SIOCGIFFLAGS, b""), 16)[0]
        ask(SIOCSIFFLAGS, struct.pack("H", flags | 1))


def _checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xffff)
    return ~total & 0xffff


@check
def machine_network():
    """Pings QEMU's own gateway with as much as fits into a packet."""
    [name] = wait_until(lambda: os.listdir(_device("virtio_net") + "/net"), "a network card")
    _bring_up(name)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(30)
        for number in range(20):
            data = os.urandom(1400)
            head = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xffff, number)
            head = head[:2] + struct.pack(">H", _checksum(head + data)) + head[4:]
            sock.sendto(head + data, (GATEWAY, 0))
            got = sock.recv(4096)[20:]
            expect(got[0] == 0 and got[4:] == head[4:] + data, f"answer {number} is {got[:8]}")


@check
def machine_random():
    _device("virtio_rng")
    current = read("/sys/class/misc/hw_random/rng_current").strip()
    expect(current.startswith("virtio_rng"), f"the source of random numbers is {current}")
    with open("/dev/hwrng", "rb", buffering=0) as f:
        first, second = f.read(64), f.read(64)
    expect(first and second and first != second and any(first), "no random numbers")


@check
def machine_serial():
    for word in ("hello", "x" * 3000):
        guest.the_report.host("echo " + word)
        expect(guest.the_report.answer() == word, "another answer than the question")


@check
def machine_memory():
    """Private, shared and converted memory, as a module in the kernel and the host outside see it;
    the host acts on what the module prints."""
    if run("modinfo", "cocovm_probe", ok=None).returncode != 0:
        raise Skip("without tests/vm/run --probe")
    lines = []
    with open("/dev/kmsg", "rb", buffering=0) as log:
        log.seek(0, os.SEEK_END)
        with subprocess.Popen(["modprobe", "cocovm_probe"] +
                              (["test=plain"] if TEE == "plain" else []),
                              stderr=subprocess.PIPE) as process:
            while not lines or lines[-1] != "done":
                text = log.read(8192).decode("utf-8", "replace").splitlines()[0]
                text = text.partition(";")[2]
                if text.startswith("probe: "):
                    guest.the_report.host(text)
                    lines.append(text[7:])
            # it ends with an error, so that it is not left loaded
            if "Operation canceled" not in process.stderr.read().decode():
                raise Failure("modprobe did not end as it should")
    failed = [line[7:] for line in lines if line.startswith("not ok ")]
    expect(not failed, "; ".join(failed))
    warned = re.search("CPA VMM failure to convert memory .* to shared: -5", out("dmesg"))
    expect(bool(warned) == (TEE == "tdx"), "conversions that failed are not as on hardware")
