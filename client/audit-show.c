/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client audit show: the trail for people, from its beginning or as it grows. It must never
 * pass a byte of the file to the terminal without escapes.
 */
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "chain.h"
#include "client.h"
#include "lines.h"
#include "output.h"
#include "record-text.h"
#include "trail.h"

/* A change that no event reports is seen within this time. */
#define FOLLOW_MSEC 1000
/* Tries to find a file at the start. */
#define FIRST_TRIES 20
#define FIRST_USEC  50000

static const char help[] =
	"ccbuf-client audit show [OPTION...] [FILE]\n"
	"\n"
	"Prints the records of the audit trail, one line each, oldest first. Without a FILE, it\n"
	"reads " TRAIL_PATH " and the files that rotation set aside.\n"
	"\n"
	"  --follow       wait for new records and print them, across rotation and other changes\n"
	"                 of the file\n"
	"  --user USER    only records about a user's processes; name, or number if there is no\n"
	"                 such name (+N: always the number)\n"
	"  --grant N      only records about a grant\n"
	"  --json         print the records themselves, one object a line\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client audit show --follow\n"
	"  ccbuf-client audit show --grant 17\n"
	"  ccbuf-client audit show --json | jq 'select(.event == \"deny\") | .reason'\n"
	"\n"
	"'ccbuf-client audit verify' checks the trail for changes.\n"
	"\n"
	"Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

/* Chains whose beginning was shown; there are only a few. */
#define BEGINNINGS 16

struct show {
	const char *path;
	bool json, follow, filter_user;
	uint32_t uid;
	uint64_t grant;	   /* 0 for all */
	struct chain last; /* the record with the highest number that was shown or skipped */
	uint8_t beginnings[BEGINNINGS][CHAIN_HASH_SIZE];
	size_t n_beginnings;
	/* of the last line read from the current file: */
	size_t tail_length; /* its newline included; 0 when not known */
	uint8_t tail[CHAIN_HASH_SIZE];
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

/* Whether a record begins a chain that was not seen yet: then its numbers may start again. */
static bool begins_anew(
	struct show *show, const char *record, size_t length, const struct chain *chain)
{
	size_t i;

	if (!chain_begins(record, length))
		return false;
	for (i = 0; i < show->n_beginnings; i++)
		if (memcmp(show->beginnings[i], chain->hash, sizeof(chain->hash)) == 0)
			return false;
	if (i == BEGINNINGS)
		i = show->n_beginnings = 0;
	memcpy(show->beginnings[i], chain->hash, sizeof(chain->hash));
	show->n_beginnings++;
	return true;
}

static void show_record(struct show *show, struct json_object *record)
{
	cleanup(cleanup_free) char *text = NULL;

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

static void show_line(struct show *show, const char *untrusted_text, size_t length, bool again)
{
	cleanup(cleanup_json) struct json_object *record = NULL;
	struct chain chain = { 0 };

	/* A line that is not a record is reported whatever is searched for. */
	if (chain_start(&chain, untrusted_text, length) == 0)
		record = parse(untrusted_text, length);
	else
		chain_advance(&chain, untrusted_text, length);
	show->tail_length = length + 1;
	memcpy(show->tail, chain.hash, sizeof(show->tail));
	if (!json_object_is_type(record, json_type_object)) {
		complain("a line after record %ju is no record; see 'ccbuf-client audit verify'",
			(uintmax_t)show->last.sequence);
		return;
	}
	if (begins_anew(show, untrusted_text, length, &chain) &&
		chain.sequence <= show->last.sequence) {
		complain("the trail begins anew with record %ju; before came record %ju",
			(uintmax_t)chain.sequence, (uintmax_t)show->last.sequence);
		show->last = chain;
	} else if (chain.sequence > show->last.sequence) {
		show->last = chain;
	} else if (again) {
		return;
	}
	show_record(show, record);
}

/* Shows the new lines of a file. again: skips those already shown. */
static int show_lines(struct show *show, struct lines *lines, bool again)
{
	const char *text;
	size_t length;
	int r;

	while ((r = lines_next(lines, &text, &length)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		show_line(show, r < 0 ? "" : text, r < 0 ? 0 : length, again);
		if (r < 0)
			show->tail_length = 0;
	}
	/* An incomplete line may be cut off before it is complete. */
	return lines_again(lines);
}

/* Shows the files of a trail. ret_lines continues the last one. */
static int show_files(struct show *show, struct trail *trail, bool again, struct lines *ret_lines)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < trail->n_files; i++) {
		bool is_last = i + 1 == trail->n_files;
		struct lines lines;

		/* If the next file begins with an old record, all of this one is old. */
		if (again && !is_last && trail->files[i + 1].first &&
			trail->files[i + 1].first <= show->last.sequence + 1)
			continue;
		lines_init(&lines, &trail->files[i].fd);
		show->tail_length = 0;
		r = show_lines(show, &lines, again);
		if (is_last && r == 0)
			*ret_lines = lines;
		else
			lines_done(&lines);
	}
	return r;
}

static int show_trail(struct show *show, bool rotated, struct lines *ret_lines)
{
	cleanup(trail_done) struct trail trail = TRAIL_NONE;
	int r = trail_open(&trail, show->path, rotated);

	if (r == 0)
		r = show_files(show, &trail, false, ret_lines);
	if (r == 0 && trail.gone)
		complain("%s is gone; the records are those of older files", show->path);
	return r;
}

/* --- following --- */

/* Whether the file was changed: it is shorter, or differs where the last line was. */
static bool written_over(const struct show *show, const struct lines *lines)
{
	cleanup(cleanup_free) char *line = NULL;
	uint64_t offset = lines_offset(lines);
	size_t length = show->tail_length;
	struct chain chain = { 0 };
	struct stat st;

	if (fstat(lines->fd, &st) < 0)
		return false;
	if ((uint64_t)st.st_size < offset)
		return true;
	line = length ? malloc(length) : NULL;
	if (!line)
		return false;
	if (pread(lines->fd, line, length, (off_t)(offset - length)) != (ssize_t)length)
		return true;
	chain_advance(&chain, line, length - 1);
	return line[length - 1] != '\n' || memcmp(chain.hash, show->tail, sizeof(show->tail)) != 0;
}

/* Shows what was added to the file. */
static int catch_up(struct show *show, struct lines *lines)
{
	bool again = written_over(show, lines);
	int r = 0;

	if (again) {
		complain("the file after record %ju was cut off or written over; it is read from "
			 "its beginning",
			(uintmax_t)show->last.sequence);
		show->tail_length = 0;
		r = lines_rewind(lines);
	}
	return r < 0 ? r : show_lines(show, lines, again);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* Switches to the file that now has the name, once it is not empty: until then ccbufd may still
 * write to the file that we have open. */
static int go_over(struct show *show, struct lines *lines)
{
	cleanup(trail_done) struct trail trail = TRAIL_NONE;
	struct lines next = { .fd = -1 };
	struct stat ours, named;
	int r;

	if (stat(show->path, &named) < 0 || !S_ISREG(named.st_mode) || !named.st_size ||
		fstat(lines->fd, &ours) < 0 || same_file(&ours, &named))
		return 0;
	r = trail_open(&trail, show->path, true);
	/* It may be gone again. */
	if (r == -ENOENT || r == -EINVAL || (r == 0 && trail.gone))
		return 0;
	if (r == 0)
		r = catch_up(show, lines);
	if (r == 0)
		r = show_files(show, &trail, true, &next);
	if (r < 0)
		return r;
	lines_done(lines);
	*lines = next;
	return 0;
}

/* Watches the folder, which may be another one by now. Without a watch the file is checked
 * regularly. */
static void watch(const struct show *show, int watcher)
{
	cleanup(cleanup_free) char *copy = strdup(show->path);

	if (copy)
		(void)inotify_add_watch(watcher, dirname(copy),
			IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_MODIFY |
				IN_DELETE_SELF | IN_MOVE_SELF);
}

static int wait_for_more(int watcher)
{
	struct pollfd poll_fd = { .fd = watcher, .events = POLLIN };
	char events[4096];

	if (poll(&poll_fd, 1, FOLLOW_MSEC) < 0 && errno != EINTR)
		return -errno;
	if (poll_fd.revents && read(watcher, events, sizeof(events)) < 0 && errno != EINTR &&
		errno != EAGAIN)
		return -errno;
	return 0;
}

static int follow(struct show *show, struct lines *lines, int watcher)
{
	int r;

	for (;;) {
		/* The watch comes before the read, so that no change is missed. */
		watch(show, watcher);
		r = catch_up(show, lines);
		if (r == 0)
			r = go_over(show, lines);
		if (r < 0)
			return r;
		if (finish(EXIT_DONE) != EXIT_DONE)
			return -EIO;
		r = wait_for_more(watcher);
		if (r < 0)
			return r;
	}
}

static int run_show(struct show *show, bool rotated)
{
	cleanup(lines_done) struct lines lines = { .fd = -1 };
	cleanup(cleanup_fd) int watcher = -1;
	int r = 0;

	if (show->follow) {
		watcher = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		r = watcher < 0 ? -errno : 0;
	}
	if (r == 0)
		r = show_trail(show, rotated, &lines);
	/* Somebody may have just renamed it, and ccbufd not yet made the next one. */
	for (int i = 0; r == -ENOENT && show->follow && i < FIRST_TRIES; i++) {
		usleep(FIRST_USEC);
		r = show_trail(show, rotated, &lines);
	}
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
	.summary = "who was granted or refused what",
	.help = help,
	.run = run,
};
