# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# What check and bench share, after lib.sh: modules and the guest's files, and a boot with both.
# Whoever uses it sets $work, a folder of its own.

heap_dir=$vm_dir/heap
# The guest's memory in MiB, processors, and what is in the kernel's command line: nobody else shall
# empty the memory that the heap gets.
memory=2048 cpus=4 append='init_on_alloc=0'
virtio_gpu='virtio-gpu-pci,disable-legacy=on,iommu_platform=on,blob=on,xres=640,yres=480'

# Sets $modules_dir for a kernel series, under lock_cache.
get_modules() {
	get_kernel "$1"
	cache_entry heap "$1" "$heap_dir/make-modules" "$vm_dir/make-module" \
		"$kernel_dir/release" "$vm_dir"/../../kmod/{Kbuild,dkms.conf,*.[ch],uapi/*.h} \
		"$heap_dir"/importer/*
	modules_dir=$entry
}

# Sets $selftest, under lock_cache.
get_selftest() {
	cache_entry selftest 7.3 "$heap_dir/make-selftest"
	selftest=$entry/dmabuf-heap
}

# What all guests have in addition, in $work/overlay, and what their QEMU has, in $work.
make_overlay() {
	local lib=$work/overlay/usr/lib/ccbuf-test
	mkdir -p "$lib/heap"
	cp "$heap_dir"/guest/*.py "$lib/heap/"
	cp "$selftest" "$lib/heap/"
	gcc -O2 -shared -fPIC -o "$work/udmabuf.so" "$heap_dir/udmabuf.c"
}

# boot KERNEL TEE[-strict] -- COMMAND...: the status is the guest's.
boot() {
	local kernel=$1 flavour=$2 options=() append=$append status=0 log_dir
	shift 2
	case $flavour in
	plain) append+=' ccbuf.plain' ;;
	*-strict) options=(--tee "${flavour%-strict}" --strict) ;;
	*) options=(--tee "$flavour") ;;
	esac
	case $kernel in
	*-heap) append+=' ccbuf.native' ;;
	esac
	log_dir=$work/log-$kernel-$flavour
	rm -rf "$log_dir"
	"$vm_dir/run" --suite trixie --kernel "$kernel" "${options[@]}" --cpus "$cpus" \
		--memory "$memory" --append "$append" --timeout 3000 --log-dir "$log_dir" \
		--module "$modules_dir/ccbuf_heap.ko" --module "$modules_dir/ccbuf_heap_test.ko" \
		--overlay "$work/overlay" --host "$heap_dir/host.py" --preload "$work/udmabuf.so" \
		--qemu -device --qemu "$virtio_gpu" "$@" || status=$?
	return "$status"
}
