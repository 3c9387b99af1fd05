/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's command line. It opens nothing.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "config.h"
#include "policy-load.h"
#include "util.h"
#include "wire.h"

static const char help[] =
	"Usage: ccbufd [OPTION]...\n"
	"Hands out memory of dma-buf heaps to the processes that the policy allows.\n"
	"Normally started by systemd: systemctl start ccbufd\n"
	"\n"
	"  --policy DIR   read the policy from DIR instead of /etc, /run and /usr/lib\n"
	"                 (may be given again; of files of one name the first DIR's counts;\n"
	"                 files may then belong to the user that runs ccbufd, too)\n"
	"  --socket PATH  listen on PATH when systemd passes no socket\n"
	"                 (" WIRE_SOCKET_PATH ")\n"
	"  --audit FILE   the audit trail (" CCBUF_LOCALSTATEDIR "/log/ccbufd/audit.jsonl)\n"
	"  --heaps DIR    the folder of heap nodes (/dev/dma_heap)\n"
	"  --no-bus       stay off the system bus (DBUS_SYSTEM_BUS_ADDRESS names another)\n"
	"  --no-journal   write audit events to the audit trail only\n"
	"  --no-seccomp   do without the system call filter, for debuggers and sanitizers\n"
	"  --help, --version\n"
	"\n"
	"SIGHUP reloads the policy. See ccbufd(8), ccbuf-policy(5), ccbuf-client(1).\n";

enum {
	OPT_POLICY = 256,
	OPT_SOCKET,
	OPT_AUDIT,
	OPT_HEAPS,
	OPT_NO_BUS,
	OPT_NO_JOURNAL,
	OPT_NO_SECCOMP,
	OPT_HELP,
	OPT_VERSION
};

static const struct option table[] = {
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "audit", required_argument, NULL, OPT_AUDIT },
	{ "heaps", required_argument, NULL, OPT_HEAPS },
	{ "no-bus", no_argument, NULL, OPT_NO_BUS },
	{ "no-journal", no_argument, NULL, OPT_NO_JOURNAL },
	{ "no-seccomp", no_argument, NULL, OPT_NO_SECCOMP },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static int add_policy_dir(struct options *options, size_t *n_dirs, const char *dir)
{
	if (*n_dirs == OPTIONS_POLICY_DIRS_MAX) {
		log_error("--policy can be given %d times at most", OPTIONS_POLICY_DIRS_MAX);
		return -EINVAL;
	}
	options->policy_dirs[(*n_dirs)++] = dir;
	options->own_policy = true;
	return 0;
}

static void default_policy_dirs(struct options *options)
{
	for (size_t i = 0; policy_default_dirs[i] && i < OPTIONS_POLICY_DIRS_MAX; i++)
		options->policy_dirs[i] = policy_default_dirs[i];
}

int options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = {
		.socket = WIRE_SOCKET_PATH,
		.audit = CCBUF_LOCALSTATEDIR "/log/ccbufd/audit.jsonl",
		.heaps = "/dev/dma_heap",
	};
	size_t n_dirs = 0;
	int c;

	/* getopt would print the argument without escapes. */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0) {
		switch (c) {
		case OPT_POLICY:
			if (add_policy_dir(&options, &n_dirs, optarg) < 0)
				return -EINVAL;
			break;
		case OPT_SOCKET:
			options.socket = optarg;
			break;
		case OPT_AUDIT:
			options.audit = optarg;
			break;
		case OPT_HEAPS:
			options.heaps = optarg;
			break;
		case OPT_NO_BUS:
			options.no_bus = true;
			break;
		case OPT_NO_JOURNAL:
			options.no_journal = true;
			break;
		case OPT_NO_SECCOMP:
			options.no_seccomp = true;
			break;
		case OPT_HELP:
			fputs(help, stdout);
			return 0;
		case OPT_VERSION:
			puts("ccbufd " CCBUF_VERSION);
			return 0;
		default:
			log_error("\"%s\" is not an option, or its value is missing or not "
				  "allowed; try ccbufd --help",
				argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		log_error("unexpected argument \"%s\"; try ccbufd --help", argv[optind]);
		return -EINVAL;
	}
	if (!options.own_policy)
		default_policy_dirs(&options);
	*ret_options = options;
	return 1;
}
