/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks the paths of folders once, at the start. It only warns: a trail in a shared folder is
 * better than none.
 */
#include "ways.h"

#include "base/log.h"
#include "text.h"
#include "util.h"
#include "way.h"

static void warn(const char *what, const char *folder, const char *at, const struct stat *st,
	const struct unmapped *unmapped)
{
	char words[WAY_WORDS_MAX], shown[256], shown_at[256];

	text_fit(folder, TEXT_NAME | TEXT_VISIBLE, shown, sizeof(shown));
	text_fit(at, TEXT_NAME | TEXT_VISIBLE, shown_at, sizeof(shown_at));
	log_warning("%s: others could change %s: %s %s", what, shown, shown_at,
		way_words(words, st, geteuid(), unmapped));
}

static void look(const char *what, const char *folder, const struct unmapped *unmapped)
{
	cleanup(cleanup_fd) int fd = -1;
	struct way_end end;
	struct stat st;
	int r = way_open(folder, geteuid(), unmapped, &fd, &end);

	if (r > 0)
		warn(what, folder, end.path, &end.st, unmapped);
	/* in a sticky folder everybody can rename only their own files */
	else if (r == 0 && fstat(fd, &st) == 0 && !(st.st_mode & S_ISVTX) &&
		 way_judge(&st, geteuid(), unmapped) != WAY_TRUSTED)
		warn(what, folder, folder, &st, unmapped);
	free(end.path);
}

static void look_above(const char *what, const char *path, const struct unmapped *unmapped)
{
	cleanup(cleanup_free) char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder)
		return;
	if (slash)
		slash[slash == folder] = 0;
	look(what, slash ? folder : ".", unmapped);
}

void ways_warn(const struct options *options)
{
	struct unmapped unmapped;

	unmapped_detect(&unmapped);
	look_above("audit", options->audit, &unmapped);
	look_above("socket", options->socket, &unmapped);
	look("heaps", options->heaps, &unmapped);
}
