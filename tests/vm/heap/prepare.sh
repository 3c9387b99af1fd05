# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# What check and bench share, after lib.sh: modules and the guest's files, and a boot with both.
# Whoever uses it sets $work, a folder of its own.

heap_dir=$vm_dir/heap
# The guest's memory in MiB, processors, and what is in the kernel's command line: nobody else shall
# empty the memory that the heap gets.
memory=2048 cpus=4 append='init_on_alloc=0'

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

# What all guests have in addition, in $work/overlay.
make_overlay() {
	local lib=$work/overlay/usr/lib/ccbuf-test
	mkdir -p "$lib/heap"
	cp "$heap_dir"/guest/*.py "$lib/heap/"
	cp "$selftest" "$lib/heap/"
}

# boot KERNEL TEE[-strict] [OPTION of tests/vm/run...] -- COMMAND...: the status is the guest's.
boot() {
	local kernel=$1 flavour=$2 options=() plain=() append=$append status=0 log_dir
	shift 2
	case $flavour in
	plain)
		plain=(--plain)
		append+=' ccbuf.plain'
		;;
	*-strict) options=(--tee "${flavour%-strict}" --strict) ;;
	*) options=(--tee "$flavour") ;;
	esac
	log_dir=$work/log-$kernel-$flavour
	for _ in 1 2 3; do
		status=0
		rm -rf "$log_dir"
		/usr/bin/python3 -B "$heap_dir/host.py" --memory "$memory" "${plain[@]}" \
			--log-dir "$log_dir" -- "$vm_dir/run" --suite trixie --kernel "$kernel" \
			"${options[@]}" --cpus "$cpus" --append "$append" --timeout 3000 \
			--module "$modules_dir/ccbuf_heap.ko" \
			--module "$modules_dir/ccbuf_heap_test.ko" --overlay "$work/overlay" \
			--qemu -device --qemu virtio-gpu-pci,disable-legacy=on,iommu_platform=on \
			"$@" || status=$?
		if [ "$status" != 75 ]; then
			break
		fi
		echo "# once more"
	done
	return "$status"
}
