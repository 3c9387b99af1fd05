# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of ccbuf-client for bash. It must never ask the daemon: a Tab is no request.

_ccbuf_client() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local verb=${COMP_WORDS[1]-} second=${COMP_WORDS[2]-} options='' prefix='' i
	local -a values=()
	COMPREPLY=()

	if ((COMP_CWORD == 1)); then
		options='request list status why reload revoke policy audit doctor help --help --version'
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
		return
	fi
	if [[ $verb == help ]]; then
		if ((COMP_CWORD == 2)); then
			options='request list status why reload revoke policy audit doctor'
			mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
			return
		fi
		verb=$second
		second=${COMP_WORDS[3]-}
		((COMP_CWORD == 3)) || return
		[[ $verb == policy || $verb == audit ]] || return
	fi

	# After "--" comes a command of its own.
	if [[ $verb == request ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			[[ ${COMP_WORDS[i]} == -- ]] || continue
			if ((COMP_CWORD == i + 1)); then
				mapfile -t COMPREPLY < <(compgen -c -- "$current")
			else
				mapfile -t COMPREPLY < <(compgen -f -- "$current")
			fi
			return
		done
	fi

	# --option=value: bash makes three words of it, unless COMP_WORDBREAKS has no "=".
	if [[ $current == --*=* ]]; then
		previous=${current%%=*} prefix=$previous= current=${current#*=}
	elif [[ $current == = ]]; then
		current=''
	elif [[ $previous == = ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $previous in
	--transport)
		values=(-W 'socket dbus')
		;;
	--identity)
		values=(-W 'strong weak')
		;;
	--container)
		values=(-W 'yes no')
		;;
	--size)
		values=(-W '4K 64K 1M 64M 256M 1G')
		;;
	--user)
		values=(-u)
		;;
	--group)
		values=(-g)
		;;
	--exe | --policy | --heaps | --sys)
		values=(-f)
		;;
	--use | --count | --label | --unit | --slice | --cgroup | --grant | --expect-last)
		return
		;;
	esac
	if ((${#values[@]})); then
		mapfile -t COMPREPLY < <(compgen -P "$prefix" "${values[@]}" -- "$current")
		return
	fi

	case $verb in
	request)
		options='--use --size --count --accept-shared --read-only --label --transport --json --help --'
		;;
	list)
		options='--all --json --help'
		;;
	status)
		options='--json --help'
		;;
	reload)
		options='--help'
		;;
	revoke)
		options='--json --help'
		;;
	why)
		options='--use --size --accept-shared --read-only --user --group --unit --slice --cgroup
			--exe --label --container --identity --transport --json --help'
		;;
	doctor)
		options='--json --heaps --sys --policy --help'
		;;
	policy)
		if ((COMP_CWORD == 2)) || [[ ${COMP_WORDS[1]} == help ]]; then
			options='check show'
		elif [[ $second == show ]]; then
			options='--json --help'
		else
			options='--help'
		fi
		;;
	audit)
		if ((COMP_CWORD == 2)) || [[ ${COMP_WORDS[1]} == help ]]; then
			options='show verify'
		elif [[ $second == verify ]]; then
			options='--expect-last --json --help'
		else
			options='--follow --user --grant --json --help'
		fi
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")

	# These take files too.
	if [[ ($verb == policy || $verb == audit) && $COMP_CWORD -gt 2 && $current != -* &&
		${COMP_WORDS[1]} != help ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}

complete -o filenames -F _ccbuf_client ccbuf-client
