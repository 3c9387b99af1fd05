# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# How the scripts that run tests choose them by name. A name may have parts, as gcc/unit/ledger; in a
# pattern * and ? stand for any of it. A script must fail for a pattern that matched nothing.

patterns=() pattern_matched=()

# choose PATTERN...: which names are chosen() from now on; all without a pattern
choose() {
	patterns=("$@") pattern_matched=()
}

chosen() {
	local i status=1
	if [ ${#patterns[@]} = 0 ]; then
		return 0
	fi
	for i in "${!patterns[@]}"; do
		# shellcheck disable=SC2053 # a pattern
		if [[ $1 == ${patterns[i]} ]]; then
			pattern_matched[i]=1
			status=0
		fi
	done
	return "$status"
}

# Prints `not ok PATTERN why` for each that was no use; the status is 1 if there is one.
report_unmatched() {
	local i status=0
	for i in "${!patterns[@]}"; do
		if [ -z "${pattern_matched[i]:-}" ]; then
			echo "not ok ${patterns[i]} matches no test"
			status=1
		fi
	done
	return "$status"
}
