# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests the checks: mistakes that are planted into the heap must be found by them.

`mistakes.py plant FOLDER` puts all of them into a copy of kmod/, each to be chosen by the module
parameter `mistake`; `mistakes.py NUMBER...`, in the guest, makes each of these (or all others than
these, after `but`) in turn, and runs the checks that must fail then, and must not without it.
"""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# file, what is there, what comes instead (@ is true when the mistake is to be made), and who must
# find it
TABLE = (
    ("pages.c", "\tmemset(page_address(region->page), 0, PAGE_SIZE << order);\n",
     "\tif (!@)\n\t\tmemset(page_address(region->page), 0, PAGE_SIZE << order);\n",
     ["heap-abi-zeroed"]),  # what was shared is not zeroed
    ("pages.c", "gfp |= __GFP_ZERO |", "gfp |= (@ ? 0 : __GFP_ZERO) |",
     ["heap-host-sees-no-past"]),  # nor what is going to be
    ("pages.c", "\tmemset(page_address(run_page(run)),",
     "\tif (!@)\n\t\tmemset(page_address(run_page(run)),",
     ["heap-abi-zeroed", "heap-host-finds-the-pool-empty"]),  # nor what was given back
    ("pages.c", "\tatomic64_add(PAGE_SIZE << order, &counters.leaked_bytes);",
     "\tif (!@)\n\t\tatomic64_add(PAGE_SIZE << order, &counters.leaked_bytes);",
     ["heap-fail-to-private", "heap-fail-tells-of-a-leak"]),  # or is lost without a word
    ("pages.c", "\ttrace_convert(",
     "\tif (@ && shared)\n\t\tset_memory_decrypted(address, 1 << order);\n\ttrace_convert(",
     ["heap-counters-small-ones-share-a-region"]),  # converted twice
    ("pages.c", "\tpool_trim(pool_high());\n}\n", "\tif (!@)\n\t\tpool_trim(pool_high());\n}\n",
     ["heap-counters-low-and-high"]),  # the pool only grows
    ("pages.c", "\twhile (pages > 0 &&", "\twhile (!@ && pages > 0 &&",
     ["heap-counters-shrinker"]),  # even if memory is short
    ("pages.c", "blocks[i].gfp | __GFP_ACCOUNT", "blocks[i].gfp | (@ ? 0 : __GFP_ACCOUNT)",
     ["heap-counters-cgroup"]),
    ("pages.c", "region->doomed |= doom;", "region->doomed |= doom && !@;",
     ["heap-revoke-in-a-shared-region", "heap-revoke-with-a-pool"]),  # the pool keeps it
    ("heap.c", "= pgprot_decrypted(vma->vm_page_prot);",
     "= @ ? vma->vm_page_prot : pgprot_decrypted(vma->vm_page_prot);",
     ["heap-host-sees-the-buffer"]),  # processes have private memory
    ("heap.c", "VM_MAP, pgprot_decrypted(PAGE_KERNEL));",
     "VM_MAP, @ ? PAGE_KERNEL : pgprot_decrypted(PAGE_KERNEL));",
     ["heap-host-and-vmap"]),  # the kernel has
    ("heap.c", "? 0 : DMA_ATTR_CC_SHARED)", "|| @ ? 0 : DMA_ATTR_CC_SHARED)",
     ["heap-import-same-bytes"]),  # devices get a bounce buffer
    ("heap.c", "\tret = check_device(mapping->dev,", "\tret = @ ? 0 : check_device(mapping->dev,",
     ["heap-import-not-direct"]),  # what the kernel checks itself from 7.1 on, it would find
    ("heap.c", "\tunmap_mapping_range(", "\tif (!@)\n\t\tunmap_mapping_range(",
     ["heap-revoke-takes-it-from-processes"]),
    ("heap.c", "\tdma_buf_invalidate_mappings(buffer->dmabuf);",
     "\tif (!@)\n\t\tdma_buf_invalidate_mappings(buffer->dmabuf);",
     ["heap-revoke-tells-importers"]),
    ("heap.c", "\tif (buffer->work)\n", "\tif (!@ && buffer->work)\n",
     ["heap-revoke-waits-for-devices"]),
    ("heap.c", "\tif (!buffer->told) {", "\tif (!buffer->told || @) {",
     ["heap-revoke-is-not-held-up"]),  # and for whatever comes later
    ("heap.c", "\t\tbuffer_give(buffer, &runs, state != LIVE);",
     "\t\tbuffer_give(buffer, &runs, state != LIVE && !@);",
     ["heap-revoke-and-close-while-busy"]),  # it is kept for others, after all
    ("pages.c", "\treturn region->doomed ? 0 :", "\treturn region->doomed && !@ ? 0 :",
     ["heap-revoke-leaves-the-pool-its-size"]),
    ("heap.c", "\tbytes = min_t(size_t, bytes, dma_get_max_seg_size(dev));\n",
     "\tif (!@)\n\t\tbytes = min_t(size_t, bytes, dma_get_max_seg_size(dev));\n",
     ["heap-import-boundary"]),
    ("heap.c", "\tif (READ_ONCE(buffer->state) != LIVE)\n\t\treturn -ENODEV;\n\tvm_flags_set",
     "\tif (READ_ONCE(buffer->state) != LIVE && !@)\n\t\treturn -ENODEV;\n\tvm_flags_set",
     ["heap-revoke-takes-it-from-processes"]),  # it can be mapped again
    # these three each leave something behind: shared memory, or an fd
    ("pages.c", "\tif (convert(region->page, region->order, false)) {",
     "\tif (convert(region->page, region->order, false) && !@) {",
     ["heap-fail-to-private"]),  # what stays shared is given to others
    ("pages.c", "if (ret != -EBUSY && convert(", "if (!@ && ret != -EBUSY && convert(",
     ["heap-fail-to-shared-half-way"]),  # a conversion that failed is not undone
    ("heap.c", "\t\tput_unused_fd(data.fd);\n\t\tdma_buf_put(dmabuf);",
     "\t\tif (@)\n\t\t\tfd_install(data.fd, dmabuf->file);\n"
     "\t\telse\n\t\t\tput_unused_fd(data.fd);\n"
     "\t\tif (!@)\n\t\t\tdma_buf_put(dmabuf);",
     ["heap-abi-no-fd-for-a-bad-reply"]),
)


def plant(folder):
    texts = {}
    for name in ("heap.c", "pages.c", "heap.h"):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            texts[name] = f.read()
    for number, (name, old, new, _) in enumerate(TABLE, 1):
        if old not in texts[name]:
            sys.exit(f"mistakes.py: {name} has changed, there is no {old!r}")
        new = new.replace("@", f"(mistake == {number})")
        texts[name] = texts[name].replace(old, new, 1)
    texts["heap.h"] = texts["heap.h"].replace("struct region;\n",
                                              "struct region;\nextern int mistake;\n", 1)
    texts["pages.c"] = texts["pages.c"].replace(
        "struct counters counters;\n",
        "struct counters counters;\nint mistake;\nmodule_param(mistake, int, 0644);\n", 1)
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)


def main():
    sys.path[:0] = [HERE, os.path.dirname(HERE)]
    # Only the guest has them; to plant the mistakes they are not needed.
    # pylint: disable=import-outside-toplevel
    import guest
    import heap
    import host
    import kernel
    from lib.harness import TimedOut

    report = guest.Report("/dev/ttyS1")
    kernel.load()
    host.begin(report)
    guest.load_checks(HERE)
    failed = 0

    def alarm(*_):
        raise TimedOut()

    def outcome(name, mistake):
        kernel.disarm()
        if heap.loaded():
            heap.unload()
        guest.write("/etc/modprobe.d/mistake.conf", f"options ccbuf_heap mistake={mistake}\n")
        signal.alarm(200)
        try:
            guest.CHECKS[name]()
        except (Exception, TimedOut) as e:
            return (str(e) or repr(e)).splitlines()[0]
        finally:
            signal.alarm(0)
            # who waits for what will not come
            for pid in map(int, guest.read(f"/proc/self/task/{os.getpid()}/children").split()):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return None

    signal.signal(signal.SIGALRM, alarm)
    but = sys.argv[1:2] == ["but"]
    chosen = set(map(int, sys.argv[1 + but:]))
    for number, (_, _, _, names) in enumerate(TABLE, 1):
        if (number in chosen) == but:
            continue
        for name in names:
            before = outcome(name, 0)
            found = outcome(name, number)
            if before:
                report.line(f"not ok mistake-{number} {name} fails without it: {before}")
            elif not found:
                report.line(f"not ok mistake-{number} {name} does not find it")
            else:
                report.line(f"ok mistake-{number} {name}: {found}")
            failed += bool(before or not found)
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["plant"]:
        plant(sys.argv[2])
        sys.exit(0)
    sys.exit(main())
