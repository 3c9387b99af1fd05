/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client audit show: the trail for people, from its beginning or as it grows. It must never
 * pass a byte of the file to the terminal as it stands.
 */
#include <libgen.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "chain.h"
#include "client.h"
#include "lines.h"
#include "output.h"
#include "record-text.h"
#include "trail.h"

static const char help[] =
	"ccbuf-client audit show [OPTION...] [FILE]\n"
	"\n"
	"Prints the records of the audit trail, one line each, oldest first. Without a FILE, "
	"those\n"
	"of " TRAIL_PATH " and of the files that rotation set aside.\n"
	"\n"
	"  --follow       go on with new records as they come, across rotation\n"
	"  --user USER    those about a user's processes; name, or number if there is no such\n"
	"                  name (+N: always the number)\n"
	"  --grant N      those about a grant\n"
	"  --json         the records themselves, one object a line\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client audit show --follow\n"
	"  ccbuf-client audit show --grant 17\n"
	"  ccbuf-client audit show --json | jq 'select(.event == \"deny\") | .reason'\n"
	"\n"
	"Whether the trail is as it was written, 'ccbuf-client audit verify' tells.\n"
	"\n"
	"Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

struct show {
	const char *path;
	bool json, follow, filter_user;
	uint32_t uid;
	uint64_t grant; /* 0 for all */
	uint64_t last;	/* highest sequence number shown or passed over */
};

static bool about_grant(struct json_object *record, uint64_t grant)
{
	struct json_object *buffers = json_object_object_get(record, "buffers");

	if (json_object_is_type(buffers, json_type_array))
		for (size_t i = 0; i < json_object_array_length(buffers); i++)
			if (member_number(json_object_array_get_idx(buffers, i), "grant") == grant)
				return true;
	return false;
}

static bool about_user(struct json_object *record, uint32_t uid)
{
	struct json_object *peer, *member;

	return json_object_object_get_ex(record, "peer", &peer) &&
	       json_object_object_get_ex(peer, "uid", &member) &&
	       json_object_get_uint64(member) == uid;
}

static struct json_object *parse(const char *untrusted_text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object = NULL;

	if (tokener && length < INT32_MAX)
		object = json_tokener_parse_ex(tokener, untrusted_text, (int)length);
	json_tokener_free(tokener);
	return object;
}

static void show_line(struct show *show, const char *untrusted_text, size_t length, bool again)
{
	cleanup(cleanup_json) struct json_object *record = NULL;
	cleanup(cleanup_free) char *text = NULL;
	struct chain chain;

	/* What is no record belongs to nobody: it is told whatever is looked for. */
	if (chain_start(&chain, untrusted_text, length) == 0)
		record = parse(untrusted_text, length);
	if (!json_object_is_type(record, json_type_object)) {
		complain("a line after record %ju is no record; see 'ccbuf-client audit verify'",
			(uintmax_t)show->last);
		return;
	}
	if (again && chain.sequence <= show->last)
		return;
	if (chain.sequence > show->last)
		show->last = chain.sequence;
	if (show->filter_user && !about_user(record, show->uid))
		return;
	if (show->grant && !about_grant(record, show->grant))
		return;
	if (show->json) {
		say_json(record, false);
		return;
	}
	text = record_text(record);
	say("%s", text);
}

/* Shows what a file has more. again: what was shown already is left out. */
static int show_lines(struct show *show, struct lines *lines, bool again)
{
	const char *text;
	size_t length;
	int r;

	while ((r = lines_next(lines, &text, &length)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		show_line(show, r < 0 ? "" : text, r < 0 ? 0 : length, again);
	}
	return 0;
}

/* Shows the trail and leaves the last file's lines to go on with. */
static int show_trail(struct show *show, bool rotated, bool again, struct lines *ret_lines)
{
	cleanup(trail_done) struct trail trail = TRAIL_NONE;
	int r = trail_open(&trail, show->path, rotated);

	for (size_t i = 0; r == 0 && i < trail.n_files; i++) {
		bool is_last = i + 1 == trail.n_files;
		struct lines lines;

		/* The next file begins with something old: then all of this one is. */
		if (again && !is_last && trail.files[i + 1].first &&
			trail.files[i + 1].first <= show->last + 1)
			continue;
		lines_init(&lines, &trail.files[i].fd);
		r = show_lines(show, &lines, again);
		if (is_last && r == 0)
			*ret_lines = lines;
		else
			lines_done(&lines);
	}
	return r;
}

static int watch(const char *path, int *ret_fd)
{
	cleanup(cleanup_free) char *copy = strdup(path);
	cleanup(cleanup_fd) int fd = inotify_init1(IN_CLOEXEC);

	if (!copy)
		return -ENOMEM;
	if (fd < 0 || inotify_add_watch(fd, dirname(copy), IN_CREATE | IN_MOVED_TO | IN_MODIFY) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static bool rotated_away(const struct show *show, int fd)
{
	struct stat ours, now;

	return stat(show->path, &now) == 0 && fstat(fd, &ours) == 0 &&
	       (ours.st_ino != now.st_ino || ours.st_dev != now.st_dev);
}

static int follow(struct show *show, struct lines *lines, int watcher)
{
	char events[4096];
	int r;

	for (;;) {
		r = show_lines(show, lines, false);
		if (r == 0 && rotated_away(show, lines->fd)) {
			struct lines next;

			r = show_trail(show, true, true, &next);
			/* Between two renames there may be no file of that name. */
			if (r == 0) {
				lines_done(lines);
				*lines = next;
				continue;
			}
			if (r == -ENOENT)
				r = 0;
		}
		if (r < 0)
			return r;
		if (finish(EXIT_DONE) != EXIT_DONE)
			return -EIO;
		if (read(watcher, events, sizeof(events)) < 0 && errno != EINTR)
			return -errno;
	}
}

static int run_show(struct show *show, bool rotated)
{
	cleanup(lines_done) struct lines lines = { .fd = -1 };
	cleanup(cleanup_fd) int watcher = -1;
	int r = 0;

	/* Watched before it is read, so that nothing falls in between. */
	if (show->follow)
		r = watch(show->path, &watcher);
	if (r == 0)
		r = show_trail(show, rotated, false, &lines);
	if (r == 0 && show->follow)
		r = follow(show, &lines, watcher);
	if (r < 0) {
		trail_complain(show->path, r);
		return finish(EXIT_FAILED);
	}
	return finish(EXIT_DONE);
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "user", required_argument, NULL, 'u' },
		{ "grant", required_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct show show = { .path = TRAIL_PATH };
	int option;

	while ((option = verb_option(argc, argv, "hf", options)) >= 0)
		switch (option) {
		case 'f':
			show.follow = true;
			break;
		case 'u':
			show.filter_user = true;
			if (!option_user("--user", optarg, &show.uid))
				return verb_usage(verb);
			break;
		case 'g':
			if (!option_number("--grant", optarg, 1, UINT64_MAX, &show.grant))
				return verb_usage(verb);
			break;
		case 'j':
			show.json = true;
			break;
		case 'h':
			return verb_help(verb);
		default:
			return verb_usage(verb);
		}
	if (argc - optind > 1)
		return verb_mistake(verb, "%s: one FILE at most", shown_name(argv[optind + 1]));
	if (optind < argc)
		show.path = argv[optind];
	return run_show(&show, optind == argc);
}

const struct verb verb_audit_show = {
	.name = "audit show",
	.summary = "who was given or refused what",
	.help = help,
	.run = run,
};
