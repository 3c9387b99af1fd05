# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# How tools/test reports: a line a test, counts, and what a failed step had to say. Expects $logs,
# the folder for the details.

passed=0 failed=0 skipped=0

# result ok|'not ok'|skip NAME [WHY]
result() {
	case $1 in
	ok) passed=$((passed + 1)) ;;
	'not ok') failed=$((failed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	esac
	if [ -n "${3:-}" ]; then
		echo "$1 $2: $3"
	else
		echo "$1 $2"
	fi
}

# try NAME COMMAND...: one test that is a command; its output shows only if it fails.
try() {
	# not "name": a function as the command would see this one's variables
	local try_name=$1 try_log=$logs/${1//\//-}.log
	shift
	if "$@" >"$try_log" 2>&1; then
		result ok "$try_name"
	else
		result 'not ok' "$try_name" "exit status $?, in full in ${try_log##*/}"
		{
			# what a compiler says may be far from the end
			grep -m 12 -E '(error|warning): |^ERROR|^FAILED: ' "$try_log" || tail -n 40 "$try_log"
		} | cut -c 1-300 | sed 's/^/# /'
		return 1
	fi
}

# result_lines [FILE]: of lines `ok NAME`, `not ok NAME why` and `skip NAME why`, what results reads
result_lines() {
	sed -E -n 's/^(ok|not ok|skip) ([^ ]+) ?(.*)$/\1\t\2\t\3/p; /^#/p' "$@"
}

# results PREFIX: reads KIND<tab>NAME<tab>WHY lines, and remarks behind `# `.
results() {
	local kind name why
	while IFS=$'\t' read -r kind name why; do
		case $kind in
		'#'*) echo "$kind${name:+ $name}" ;;
		*) result "$kind" "$1/$name" "$why" ;;
		esac
	done
}
