/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Examines the heap nodes for doctor: what the host can do with their memory, and who could open
 * them without the broker. It opens none.
 */
#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "findings.h"
#include "output.h"
#include "platform.h"
#include "policy-files.h"
#include "request.h"

#define BROKER_GROUP "ccbufd"

/* The exposure of a heap as the policy files declare it, else by its name. */
static enum exposure exposure_of(struct json_object *shown, const char *heap)
{
	struct json_object *heaps = NULL, *declared = NULL;
	enum exposure exposure = policy_exposure(NULL, heap);
	int named;

	if (exposure != EXPOSURE_UNKNOWN || !json_object_object_get_ex(shown, "heaps", &heaps) ||
		!json_object_object_get_ex(heaps, heap, &declared))
		return exposure;
	named = exposure_from_name(member_text(declared, "exposure"));
	return named < 0 ? EXPOSURE_UNKNOWN : (enum exposure)named;
}

static const char *group_name(gid_t gid, char text[static 32])
{
	struct group *group = getgrgid(gid);

	if (group)
		text_fit(group->gr_name, TEXT_NAME | TEXT_VISIBLE, text, 32);
	else
		snprintf(text, 32, "%ju", (uintmax_t)gid);
	return text;
}

static const char *user_name(uid_t uid, char text[static 32])
{
	struct passwd *user = getpwuid(uid);

	if (user)
		text_fit(user->pw_name, TEXT_NAME | TEXT_VISIBLE, text, 32);
	else
		snprintf(text, 32, "%ju", (uintmax_t)uid);
	return text;
}

/* Whoever can open a node gets memory without the broker and without a record. */
static void examine_access(struct findings *findings, const struct places *places, const char *path,
	const struct stat *st, const char *about)
{
	cleanup(cleanup_free) char *repair = site_repair(places, strrchr(path, '/') + 1);
	cleanup(cleanup_free) char *acl_repair = NULL;
	bool of_broker;
	char group[32], user[32];
	unsigned int mode = st->st_mode & 0777;
	int r = 0;

	if (asprintf(&acl_repair, "remove it: setfacl -b on the node; this sets it: %s", repair) <
		0)
		abort();

	group_name(st->st_gid, group);
	user_name(st->st_uid, user);
	of_broker = streq(group, BROKER_GROUP);
	if (of_broker && (mode & 0040) && places->user)
		r = daemon_user_access(places->user, path, R_OK);
	if (mode & 0007)
		found(findings, STATUS_PROBLEM, "heap", repair,
			"%s: everybody can open it without the broker (mode %04o, %s:%s)", about,
			mode, user, group);
	else if (st->st_uid != 0)
		found(findings, STATUS_PROBLEM, "heap", repair,
			"%s: user %s can open it without the broker (mode %04o, %s:%s)", about,
			user, mode, user, group);
	else if ((mode & 0070) && st->st_gid != 0 && !of_broker)
		found(findings, STATUS_PROBLEM, "heap", repair,
			"%s: group %s can open it without the broker (mode %04o, %s:%s)", about,
			group, mode, user, group);
	else if (getxattr(path, "system.posix_acl_access", NULL, 0) > 0)
		found(findings, STATUS_PROBLEM, "heap", acl_repair,
			"%s: an access control list lets others open it without the broker "
			"(mode %04o, %s:%s)",
			about, mode, user, group);
	else if (of_broker && (mode & 0030))
		found(findings, STATUS_WARNING, "heap", repair,
			"%s: group %s may do more than read, which is enough to allocate "
			"(mode %04o, %s:%s)",
			about, group, mode, user, group);
	else if (!of_broker || !(mode & 0040))
		found(findings, STATUS_WARNING, "heap", repair,
			"%s: ccbufd as its own user cannot open it (mode %04o, %s:%s)", about, mode,
			user, group);
	else if (r < 0)
		found(findings, STATUS_PROBLEM, "heap",
			"the user of ccbufd must be in group ccbufd and reach the node",
			"%s: it cannot be opened by %s: %s (mode %04o, %s:%s)", about,
			places->user->words, strerror(-r), mode, user, group);
	else
		found(findings, STATUS_OK, "heap", NULL, "%s (mode %04o, %s:%s)", about, mode, user,
			group);
}

/* What the host can do with the memory of a heap. Outside of a confidential guest it can read every
 * heap. */
static const char *exposure_words(enum exposure exposure)
{
	bool confidential = !streq(platform_name(), "none");

	switch (exposure) {
	case EXPOSURE_SHARED:
		return "shared: the host reads and writes its memory";
	case EXPOSURE_PRIVATE:
		return confidential
			       ? "private: the host sees ciphertext at most"
			       : "private in a confidential guest, which this is not: the host "
				 "can read all its memory";
	case EXPOSURE_PROTECTED:
		return confidential ? "protected: not even the guest's CPU reads it"
				    : "protected: not even the guest's CPU reads it; the host may";
	case EXPOSURE_EMULATED:
		return "emulated";
	case EXPOSURE_UNKNOWN:
	case EXPOSURE_MAX_:
		break;
	}
	return "of unknown exposure";
}

static void examine_heap(struct findings *findings, const struct places *places, const char *path,
	const char *name, enum exposure exposure)
{
	cleanup(cleanup_free) char *about = NULL;
	struct stat st;

	name = shown_name(name);
	if (stat(path, &st) < 0) {
		found(findings, STATUS_WARNING, "heap", NULL, "%s cannot be examined: %m", name);
		return;
	}
	if (asprintf(&about, "%s is %s", name, exposure_words(exposure)) < 0)
		abort();
	examine_access(findings, places, path, &st, about);
	if (exposure == EXPOSURE_UNKNOWN)
		found(findings, STATUS_WARNING, "heap",
			"find out what the host can do with it, then declare it: \"heaps\" in "
			"ccbuf-policy(5)",
			"%s: nobody has said what the host can do with it, so it is never brokered",
			name);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void examine_heaps(struct findings *findings, const struct places *places)
{
	cleanup(cleanup_json) struct json_object *shown = NULL;
	struct policy_errors errors = { 0 };
	struct dirent **entries = NULL;
	bool shared = false;
	int n;

	/* Mistakes in the policy are reported elsewhere; the well-known heaps need no policy. */
	policy_files_show((const char *const *)places->policy, places->n_policy, &errors, &shown);
	policy_errors_done(&errors);
	if (places->user)
		examine_way(findings, places, places->heaps, "heap");
	n = scandir(places->heaps, &entries, visible, alphasort);
	if (n <= 0)
		found(findings, STATUS_WARNING, "heap",
			"use a kernel with CONFIG_DMABUF_HEAPS, or load ccbuf_heap in a "
			"confidential guest; until then only the emulated heap works",
			"there are no heaps in %s", shown_name(places->heaps));
	for (int i = 0; i < n; i++) {
		cleanup(cleanup_free) char *path = NULL;
		enum exposure exposure = exposure_of(shown, entries[i]->d_name);

		if (asprintf(&path, "%s/%s", places->heaps, entries[i]->d_name) < 0)
			abort();
		shared = shared || exposure == EXPOSURE_SHARED;
		examine_heap(findings, places, path, entries[i]->d_name, exposure);
		free(entries[i]);
	}
	free(entries);
	/* examine_module() reports a missing one. */
	if (!shared && streq(platform_name(), "none"))
		found(findings, STATUS_OK, "heap", NULL,
			"no shared heap, as is to be expected: this is not a confidential guest");
	if (!getgrnam(BROKER_GROUP))
		found(findings, STATUS_WARNING, "accounts",
			"run systemd-sysusers after installation", "there is no group %s",
			BROKER_GROUP);
}
