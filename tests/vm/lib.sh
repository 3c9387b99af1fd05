# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034
#
# What the scripts in this folder share: where the cache is and how an entry of it comes to be.
# An entry is a folder TYPE-NAME-KEY, the key a digest of all that it was made from. It is made
# under another name and renamed when complete, so that a half-made one is never taken for good.

# root by sudo or su may lack these
PATH=$PATH:/usr/sbin:/sbin

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CCBUF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ccbuf}/vm

say() {
	echo "vm: $*"
}

die() {
	echo "vm: $*" >&2
	exit 1
}

need_root() {
	if [ "$(id -u)" != 0 ]; then
		die "making root file systems takes root: run this with sudo"
	fi
}

# need_commands COMMAND...
need_commands() {
	local command missing=()
	for command in "$@"; do
		command -v "$command" >/dev/null || missing+=("$command")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		die "not installed: ${missing[*]}; tools/packages vm installs all that it takes"
	fi
}

# apt's settings for getting out of this machine, for an apt elsewhere
host_apt_options() {
	apt-config dump | grep -E '^Acquire::(https?|ftp)::Proxy |^Acquire::Check-Valid-Until ' || true
}

default_kernel() {
	case $1 in
	bookworm) echo 6.1 ;;
	trixie) echo 6.12 ;;
	*) die "no such suite: $1 (bookworm or trixie)" ;;
	esac
}

# Where apt finds a kernel of that version.
kernel_suite() {
	case $1 in
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*) echo trixie-backports ;;
	esac
}

# apt_elsewhere SUITE FOLDER: makes the apt of this shell work for that suite, with its state in
# FOLDER, and fetches the lists. For packages that need not be of the suite that this machine runs.
apt_elsewhere() {
	mkdir -p "$2"/{lists/partial,archives/partial}
	cat >"$2/sources.list" <<END
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $("$vm_dir/mirror") $1 main
END
	touch "$2/status"
	cat >"$2/apt.conf" <<END
$(host_apt_options)
Dir::State "$2";
Dir::State::lists "$2/lists";
Dir::State::status "$2/status";
Dir::Cache "$2";
Dir::Cache::archives "$2/archives";
Dir::Etc::sourcelist "$2/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
END
	export APT_CONFIG=$2/apt.conf
	# by itself it would be content with the lists that it could get
	if ! apt-get update --error-on=any; then
		die "cannot get the packages of $1 from $("$vm_dir/mirror"); CCBUF_MIRROR may name another mirror"
	fi
}

# The suite whose root has the compiler that a series was built with.
compiler_suite() {
	case $1 in
	6.1) echo bookworm ;;
	*) echo trixie ;;
	esac
}

# One at a time fills the cache and builds in its roots. A script that another one runs, which has
# locked the cache already, neither waits nor unlocks.
lock_cache() {
	if [ -n "${CCBUF_VM_LOCKED:-}" ]; then
		return 0
	fi
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	if ! flock -n 9; then
		say "waiting for another run to fill $cache"
		flock 9
	fi
	export CCBUF_VM_LOCKED=$$
}

unlock_cache() {
	if [ "${CCBUF_VM_LOCKED:-}" = $$ ]; then
		exec 9>&-
		unset CCBUF_VM_LOCKED
	fi
}

# cache_entry TYPE NAME MAKER [INPUT...]: the path of the entry in $entry, made by
# `MAKER NAME FOLDER` if it is not there; INPUT are further files that it depends on. Under
# lock_cache.
cache_entry() {
	local type=$1 name=$2 maker=$3 key old tmp log hint=''
	shift 3
	key=$(cat "$maker" "$@" | sha256sum | cut -c1-12)
	entry=$cache/$type-$name-$key
	if [ -d "$entry" ]; then
		touch "$entry"
		return 0
	fi
	# Not what another checkout may be using.
	find "$cache" -mindepth 1 -maxdepth 1 \( -name "$type-$name-????????????" -mtime +0 \
		-o -name "$type-$name-????????????.tmp" \) -print0 |
		while IFS= read -r -d '' old; do
			remove_tree "$old"
		done
	tmp=$entry.tmp
	log=$cache/$type-$name.log
	say "making $type $name (log: $log)"
	mkdir -p "$tmp"
	if ! "$maker" "$name" "$tmp" >"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		remove_tree "$tmp"
		if [ "$type" = root ]; then
			hint=", from $("$vm_dir/mirror") (CCBUF_MIRROR may name another mirror)"
		fi
		die "making $type $name failed$hint; all of it: $log"
	fi
	mv "$tmp" "$entry"
}

# These set $root, $kernel_dir and $hypervisor, under lock_cache.
get_root() {
	cache_entry root "$1" "$vm_dir/make-root" "$vm_dir/pack-root"
	root=$entry
}

get_kernel() {
	local built
	case $1 in
	*-*)
		built=${1%-*}
		cache_entry built "$built" "$vm_dir/kernel/make" "$vm_dir"/kernel/*.config
		kernel_dir=$entry/${1##*-}
		if [ ! -d "$kernel_dir" ]; then
			die "no such kernel: $1 ($built-debug or $built-heap)"
		fi
		;;
	*)
		cache_entry kernel "$1" "$vm_dir/make-kernel"
		kernel_dir=$entry
		;;
	esac
}

get_hypervisor() {
	cache_entry cocovm "$1" "$vm_dir/cocovm/build" "$vm_dir"/cocovm/*.[chS] \
		"$vm_dir/cocovm/link.ld"
	hypervisor=$entry/cocovm.elf
}

# Sets $probe_dir, after get_kernel.
get_probe() {
	cache_entry probe "$1" "$vm_dir/cocovm/make-probe" "$vm_dir/make-module" \
		"$kernel_dir/release" "$vm_dir"/cocovm/probe/*
	probe_dir=$entry
}

# pack_modules FOLDER: FOLDER/modules, for depmod and as the archive that the guest gets
pack_modules() {
	ln -s usr/lib "$1/modules/lib"
	depmod -b "$1/modules" "$(cat "$1/release")"
	(cd "$1/modules" && find usr -print0 | cpio --null --quiet -o -H newc) |
		zstd -q -T0 -10 -o "$1/modules.cpio.zst"
}

# Removes a tree that was a root, never anything mounted below it.
remove_tree() {
	rm -rf --one-file-system "$1"
}
