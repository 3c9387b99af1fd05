/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A name service for tests, as a package brings one: users and groups "nt-NUMBER" have that number;
 * other names that begin with "nt-" make it misbehave.
 */
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <nss.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

enum nss_status _nss_ccbuftest_getpwnam_r(
	const char *name, struct passwd *result, char *buffer, size_t size, int *errnop);
enum nss_status _nss_ccbuftest_getgrnam_r(
	const char *name, struct group *result, char *buffer, size_t size, int *errnop);

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* A process of its own, which stays. Its number is in a file when this returns. */
static void leave_one_behind(const char *path)
{
	pid_t pid = fork();
	FILE *file;

	if (pid == 0)
		wait_for_ever();
	file = fopen(path, "we");
	if (file) {
		fprintf(file, "%d\n", (int)pid);
		fclose(file);
	}
}

/* True when the name is one; then *ret_id is its number. */
static int find(const char *name, unsigned int *ret_id)
{
	const char *what = name + 3, *folder = getenv("NSS_TEST_FOLDER");
	char path[256];
	char *end;
	int fd;

	if (strncmp(name, "nt-", 3))
		return 0;
	*ret_id = 4711;
	if (!strcmp(what, "hang"))
		wait_for_ever();
	if (!strcmp(what, "crash"))
		raise(SIGABRT);
	if (!strcmp(what, "exit"))
		_exit(3);
	if (!strcmp(what, "exec"))
		execl("/bin/true", "true", NULL);
	if (!strcmp(what, "slow"))
		sleep(2);
	if (!strcmp(what, "error")) {
		errno = EIO;
		return -1;
	}
	if (!strcmp(what, "fork") && folder) {
		snprintf(path, sizeof(path), "%s/left", folder);
		leave_one_behind(path);
	}
	if (!strcmp(what, "program") && system("/bin/true") != 0)
		return 0;
	if (!strcmp(what, "socket")) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return 0;
		close(fd);
	}
	if (!strcmp(what, "code")) {
		void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (code == MAP_FAILED)
			return 0;
	}
	if (*what >= '0' && *what <= '9') {
		*ret_id = (unsigned int)strtoul(what, &end, 10);
		return !*end;
	}
	return strcmp(what, "none") != 0;
}

static enum nss_status answer(int found, int *errnop)
{
	*errnop = found < 0 ? errno : ENOENT;
	return found < 0 ? NSS_STATUS_UNAVAIL : NSS_STATUS_NOTFOUND;
}

PUBLIC enum nss_status _nss_ccbuftest_getpwnam_r(
	const char *name, struct passwd *result, char *buffer, size_t size, int *errnop)
{
	unsigned int id;
	int found = find(name, &id);

	if (found <= 0)
		return answer(found, errnop);
	if (strlen(name) >= size) {
		*errnop = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	strcpy(buffer, name);
	*result = (struct passwd){ .pw_name = buffer,
		.pw_passwd = buffer,
		.pw_uid = id,
		.pw_gid = id,
		.pw_gecos = buffer,
		.pw_dir = buffer,
		.pw_shell = buffer };
	return NSS_STATUS_SUCCESS;
}

PUBLIC enum nss_status _nss_ccbuftest_getgrnam_r(
	const char *name, struct group *result, char *buffer, size_t size, int *errnop)
{
	static char *nobody[] = { NULL };
	unsigned int id;
	int found = find(name, &id);

	if (found <= 0)
		return answer(found, errnop);
	if (strlen(name) >= size) {
		*errnop = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	strcpy(buffer, name);
	*result = (struct group){
		.gr_name = buffer, .gr_passwd = buffer, .gr_gid = id, .gr_mem = nobody
	};
	return NSS_STATUS_SUCCESS;
}
