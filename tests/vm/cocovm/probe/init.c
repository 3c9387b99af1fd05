/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first and only process of a guest that probes: loads the module, and switches off. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char log_text[1 << 20];

/* What the kernel said that a test wants to know. */
static void print_log(void)
{
	long n = syscall(SYS_syslog, 3, log_text, sizeof(log_text) - 1);
	char *line, *rest = log_text;

	log_text[n > 0 ? n : 0] = 0;
	while ((line = strsep(&rest, "\n"))) {
		if (strstr(line, "Memory Encryption Features") || strstr(line, "Brought up") ||
			strstr(line, "WARNING") || strstr(line, "CPA VMM fail") ||
			strstr(line, "BUG:"))
			printf("log: %s\n", line);
	}
}

int main(int argc, char **argv)
{
	const char *options = "";
	int fd, i;

	/* the kernel passes what it does not know: test=... */
	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "test=", 5) == 0)
			options = argv[i];
	}
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, "");
	fd = open("/dev/console", O_RDWR);
	dup2(fd, 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	print_log();
	fd = open("/cocovm_probe.ko", O_RDONLY);
	if (syscall(SYS_finit_module, fd, options, 0) < 0)
		printf("init: the module has ended: %m\n");
	print_log();
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
