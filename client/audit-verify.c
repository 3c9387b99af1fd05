/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client audit verify: whether the trail is as it was written. It must never call a trail
 * whole if it could not read a part of it.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "client.h"
#include "output.h"
#include "trail.h"
#include "verify.h"

#define TRIES	 20
#define TRY_USEC 25000

static const char help[] =
	"ccbuf-client audit verify [--expect-last SEQ:HASH] [--json] [FILE...]\n"
	"\n"
	"Follows the hash chain through the audit trail and says where it breaks: which file and\n"
	"line, and whether a record is altered, missing or out of order, or the end is cut off.\n"
	"Reads " TRAIL_PATH ", or FILE, and the files that rotation set\n"
	"aside beside it, oldest first. Several FILEs are one trail in that order.\n"
	"\n"
	"A trail that does not begin with record 1 is whole if a record says that ccbufd deleted\n"
	"the older ones, or if SEQ:HASH is the record just before its first.\n"
	"\n"
	"The chain alone cannot show that whole records are missing at the end, that the last one\n"
	"was altered, or that all of it was written anew. To detect that, keep the last number\n"
	"and hash somewhere else and compare later:\n"
	"\n"
	"  --expect-last SEQ:HASH   record SEQ must be there, or come just before the first, and\n"
	"                           have that hash; newer records may follow\n"
	"  --json                   print the result as one object\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client audit verify\n"
	"  ccbuf-client audit verify --expect-last 4711:$(cat /mnt/elsewhere/ccbuf-4711)\n"
	"\n"
	"Exit codes: 0 whole, 1 broken or not readable, 2 wrong usage.\n";

static struct json_object *break_json(const struct break_at *broken)
{
	cleanup(cleanup_free) char *words = break_words(broken);
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "file", json_name(broken->path));
	json_object_object_add(object, "line", json_object_new_uint64(broken->line));
	json_object_object_add(
		object, "kind", json_object_new_string(break_kind_name(broken->kind)));
	if (broken->first) {
		json_object_object_add(object, "first", json_object_new_uint64(broken->first));
		json_object_object_add(object, "last", json_object_new_uint64(broken->last));
	}
	if (broken->noted)
		json_object_object_add(object, "noted", json_object_new_uint64(broken->noted));
	json_object_object_add(object, "text", json_object_new_string(words));
	return object;
}

static void say_result_json(const struct verify *verify)
{
	cleanup(cleanup_json) struct json_object *object = json_object_new_object();
	struct json_object *breaks = json_object_new_array();
	char hash[CHAIN_HASH_TEXT];

	chain_hash_text(&verify->chain, hash);
	json_object_object_add(object, "whole", json_object_new_boolean(verify_whole(verify)));
	json_object_object_add(object, "files", json_object_new_uint64(verify->files));
	json_object_object_add(object, "records", json_object_new_uint64(verify->records));
	if (verify->records) {
		json_object_object_add(object, "first", json_object_new_uint64(verify->first));
		json_object_object_add(
			object, "last", json_object_new_uint64(verify->chain.sequence));
		json_object_object_add(object, "hash", json_object_new_string(hash));
	}
	if (verify->deleted)
		json_object_object_add(object, "deleted", json_object_new_uint64(verify->deleted));
	if (verify->expectation != EXPECT_NONE)
		json_object_object_add(object, "expected",
			json_object_new_boolean(verify->expectation == EXPECT_HOLDS));
	for (size_t i = 0; i < verify->n_breaks; i++)
		json_object_array_add(breaks, break_json(&verify->breaks[i]));
	json_object_object_add(object, "breaks", breaks);
	say_json(object, true);
}

static void say_expectation(const struct verify *verify)
{
	uintmax_t sequence = verify->expected_sequence;

	if (verify->expectation == EXPECT_HOLDS)
		say("record %ju is the one that was noted", sequence);
	else if (verify->expectation == EXPECT_DIFFERS)
		say("record %ju is not the one that was noted: it was altered, or the trail "
		    "written anew",
			sequence);
	else if (verify->expectation == EXPECT_UNSEEN && sequence > verify->chain.sequence)
		say("cut: record %ju was noted, but the trail ends with %ju", sequence,
			(uintmax_t)verify->chain.sequence);
	else if (verify->expectation == EXPECT_UNSEEN)
		say("record %ju was noted, but is not here", sequence);
}

static void say_result(const struct verify *verify)
{
	uintmax_t first = verify->first, last = verify->chain.sequence;
	char hash[CHAIN_HASH_TEXT];

	for (size_t i = 0; i < verify->n_breaks; i++) {
		const struct break_at *broken = &verify->breaks[i];
		cleanup(cleanup_free) char *words = break_words(broken);

		if (broken->line)
			say("%s:%ju: %s", shown_name(broken->path), (uintmax_t)broken->line, words);
		else
			say("%s: %s", shown_name(broken->path), words);
	}
	say_expectation(verify);
	if (!verify->records) {
		say("there is no record to verify");
		return;
	}
	if (first > 1)
		say("the trail begins with record %ju%s", first,
			verify->continued ? ", which follows the one that was noted"
			: verify->deleted >= first - 1
				? "; ccbufd deleted the older ones, as it keeps only some files"
				: "; of a part of a trail give --expect-last the note of the "
				  "record "
				  "before");
	if (verify->n_breaks)
		say("the chain is broken in %zu place%s; %ju records were read, the last is %ju",
			verify->n_breaks, verify->n_breaks == 1 ? "" : "s",
			(uintmax_t)verify->records, last);
	else
		say("the chain is whole from record %ju to %ju", first, last);
	/* The end of a broken chain proves nothing. */
	if (verify->n_breaks)
		return;
	chain_hash_text(&verify->chain, hash);
	say("to find a cut end later, note this elsewhere: --expect-last %ju:%s", last, hash);
}

/* Between a rotation and the next record the file is empty for a moment. */
static void await_record(int fd)
{
	struct stat st;

	for (int i = 0; i < TRIES && fstat(fd, &st) == 0 && st.st_size == 0; i++)
		usleep(TRY_USEC);
}

static int verify_trail(struct verify *verify, struct trail *trail, const char *path)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < trail->n_files; i++) {
		if (i && i + 1 == trail->n_files)
			await_record(trail->files[i].fd);
		r = verify_file(verify, trail->files[i].path, &trail->files[i].fd);
		if (r < 0)
			path = trail->files[i].path;
	}
	if (r >= 0 && trail->gone)
		r = verify_gone(verify, path);
	if (r >= 0)
		r = verify_end(verify);
	if (r < 0)
		trail_complain(path, r);
	return r >= 0 && verify_whole(verify) ? EXIT_DONE : EXIT_FAILED;
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "expect-last", required_argument, NULL, 'e' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	cleanup(verify_done) struct verify verify = VERIFY_NONE;
	cleanup(trail_done) struct trail trail = TRAIL_NONE;
	const char *path = TRAIL_PATH;
	bool json = false;
	int code, option, r;

	while ((option = verb_option(argc, argv, "h", options)) >= 0)
		switch (option) {
		case 'e':
			if (verify_expect(&verify, optarg) < 0)
				return verb_mistake(verb,
					"--expect-last %s: write NUMBER:HASH as a former run "
					"printed it",
					shown_name(optarg));
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			return verb_help(verb);
		default:
			return verb_usage(verb);
		}
	for (int i = optind; i < argc || i == optind; i++) {
		path = i < argc ? argv[i] : TRAIL_PATH;
		r = trail_open(&trail, path, argc - optind < 2);
		if (r < 0) {
			trail_complain(path, r);
			return EXIT_FAILED;
		}
	}
	code = verify_trail(&verify, &trail, path);
	if (json)
		say_result_json(&verify);
	else
		say_result(&verify);
	return finish(code);
}

const struct verb verb_audit_verify = {
	.name = "audit verify",
	.summary = "check the audit trail for changes",
	.help = help,
	.run = run,
};
