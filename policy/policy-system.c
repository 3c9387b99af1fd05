/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a policy refers to on this machine: users, groups, memory. Not to be used while a request is
 * decided: a user database may be slow.
 */
#include <grp.h>
#include <pwd.h>

#include "policy-internal.h"
#include "policy-load.h"

#define NSS_SIZE_MAX (1u << 20)

static int id_of(bool user, const char *name, uint32_t *ret_id)
{
	cleanup(cleanup_free) char *buffer = NULL;
	struct passwd pw, *found_pw = NULL;
	struct group gr, *found_gr = NULL;
	int r;

	for (size_t size = 4096; size <= NSS_SIZE_MAX; size *= 4) {
		free(buffer);
		buffer = malloc(size);
		if (!buffer)
			return -ENOMEM;
		r = user ? getpwnam_r(name, &pw, buffer, size, &found_pw)
			 : getgrnam_r(name, &gr, buffer, size, &found_gr);
		if (r == ERANGE)
			continue;
		if (found_pw || found_gr) {
			/* some databases accept a number as a name */
			if (name[strspn(name, "0123456789")] == 0 &&
				!streq(found_pw ? found_pw->pw_name : found_gr->gr_name, name))
				return -ENOENT;
			*ret_id = found_pw ? found_pw->pw_uid : found_gr->gr_gid;
			return 0;
		}
		/* getpwnam(3): which of these means "no such name" depends on the source */
		return r == 0 || r == ENOENT || r == ESRCH ? -ENOENT : -r;
	}
	return -ERANGE;
}

static int find_user(void *userdata, const char *name, uid_t *ret_uid)
{
	(void)userdata;
	return id_of(true, name, ret_uid);
}

static int find_group(void *userdata, const char *name, gid_t *ret_gid)
{
	(void)userdata;
	return id_of(false, name, ret_gid);
}

static uint64_t ram_size(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

struct policy_env policy_system_env(void)
{
	struct policy_env env = { .user = find_user, .group = find_group, .ram = ram_size() };

	unmapped_detect(&env.unmapped);
	return env;
}
