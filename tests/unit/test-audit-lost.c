/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the count of lost events, and of the state that keeps it for a later start.
 */
#include "test-audit.h"

#include "audit/lost.h"
#include "audit/state.h"

static struct audit_lost lost_by(size_t n_users, uint64_t each)
{
	struct audit_lost lost = { 0 };

	for (size_t i = 0; i < n_users; i++) {
		uid_t uid = (uid_t)(1000 + i);

		audit_lost_add(&lost, &uid, each, -ENOSPC);
	}
	return lost;
}

static void check_whose(const struct audit_lost *lost, const char *expected)
{
	char text[AUDIT_LOST_TEXT];

	audit_lost_whose(lost, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(counts)
{
	struct audit_lost lost = lost_by(2, 3), more = lost_by(3, 1);
	uid_t uid = 1001;

	check_whose(&lost, " (user 1000: 3, user 1001: 3)");
	audit_lost_add(&lost, &uid, 2, -EIO);
	audit_lost_add(&lost, NULL, 4, -ENOMEM);
	check_whose(&lost, " (user 1000: 3, user 1001: 5, others: 4)");
	ck_assert_uint_eq(lost.total, 12);
	ck_assert_int_eq(lost.error, -ENOMEM);
	audit_lost_merge(&lost, &more);
	check_whose(&lost, " (user 1000: 4, user 1001: 6, user 1002: 1, others: 4)");
	ck_assert_uint_eq(lost.total, 15);
	ck_assert_int_eq(lost.error, -ENOSPC);
	lost = (struct audit_lost){ 0 };
	audit_lost_merge(&lost, &(struct audit_lost){ 0 });
	audit_lost_add(&lost, NULL, 4, -EIO);
	check_whose(&lost, "");
	ck_assert_uint_eq(lost.total, 4);
}
END_TEST

/* However many users there are. */
START_TEST(bounded)
{
	struct audit_lost lost = lost_by(1000, UINT64_MAX / 2000), back;
	char text[AUDIT_LOST_TEXT];
	uid_t uid = UINT32_MAX;
	size_t length;

	ck_assert_uint_eq(lost.n_users, AUDIT_LOST_USERS);
	audit_lost_whose(&lost, text);
	ck_assert_ptr_nonnull(strstr(text, "user 1015: "));
	ck_assert_ptr_null(strstr(text, "user 1016: "));
	ck_assert_ptr_nonnull(strstr(text, ", others: "));
	ck_assert_int_eq(text[strlen(text) - 1], ')');
	/* At their longest. */
	lost = (struct audit_lost){ .n_users = AUDIT_LOST_USERS, .total = UINT64_MAX };
	for (size_t i = 0; i < AUDIT_LOST_USERS; i++)
		lost.users[i] = (struct audit_lost_user){ uid, UINT64_MAX / AUDIT_LOST_USERS };
	audit_lost_whose(&lost, text);
	ck_assert_int_eq(text[strlen(text) - 1], ')');
	length = audit_lost_format(&lost, text);
	ck_assert_uint_lt(length, AUDIT_LOST_TEXT);
	ck_assert(audit_lost_parse(text, length, &back));
	ck_assert_uint_eq(back.users[15].events, UINT64_MAX / AUDIT_LOST_USERS);
}
END_TEST

START_TEST(read_back)
{
	static const char *const bad[] = { "", "x", "1", "1 ", "1 x", "1 9999", "1 5 ", "1 5 7",
		"1 5 7:", "1 5 7:1 ", "1 5 7:2", "2 5 7:1,8:1", "-1 5", "99999999999999999999 5",
		"9 5 4294967296:1", "18446744073709551615 5 1:18446744073709551615 2:1" };
	struct audit_lost lost = lost_by(3, 2), back = { 0 };
	char text[AUDIT_LOST_TEXT];
	size_t length;

	audit_lost_add(&lost, NULL, 1, -EIO);
	length = audit_lost_format(&lost, text);
	ck_assert(audit_lost_parse(text, length, &back));
	ck_assert_uint_eq(back.total, 7);
	ck_assert_int_eq(back.error, -EIO);
	check_whose(&back, " (user 1000: 2, user 1001: 2, user 1002: 2, others: 1)");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!audit_lost_parse(bad[i], strlen(bad[i]), &back), "%s", bad[i]);
	ck_assert_uint_eq(back.total, 7);
}
END_TEST

static struct audit_state reopened(void)
{
	struct audit_state state;
	int fd = -1, where = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(audit_state_open(where, "audit.jsonl", &state, &fd), 0);
	close(fd);
	close(where);
	return state;
}

/* Any byte of it may be another: it is understood as it was written, or not at all. */
START_TEST(state_file)
{
	struct audit_state written = { .chain = { .sequence = 4711 }, .deleted = 17, .missing = 3 },
			   state, zero = { 0 };
	char name[128], *text;
	size_t size = 0;
	int fd;

	snprintf(name, sizeof(name), "%s/.audit.jsonl.state", folder);
	memset(written.chain.hash, 0xa5, sizeof(written.chain.hash));
	written.lost = lost_by(2, 9);
	state = reopened();
	ck_assert_mem_eq(&state, &zero, sizeof(state));
	fd = open(name, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(audit_state_write(fd, &written), 0);
	state = reopened();
	ck_assert(chain_same(&state.chain, &written.chain));
	ck_assert_uint_eq(state.deleted, 17);
	ck_assert_uint_eq(state.missing, 3);
	check_whose(&state.lost, " (user 1000: 9, user 1001: 9)");
	/* A shorter one after it. */
	written.lost = (struct audit_lost){ 0 };
	ck_assert_int_eq(audit_state_write(fd, &written), 0);
	close(fd);
	state = reopened();
	ck_assert_uint_eq(state.chain.sequence, 4711);
	ck_assert_uint_eq(state.lost.total, 0);
	text = file_read(name, &size);
	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; text[i] && i < size; i++) {
		char c = text[i];

		text[i] = 'x';
		file_write(name, text, size);
		state = reopened();
		/* Behind the second line is what an earlier one left. */
		ck_assert(state.chain.sequence == 0 || i > 130);
		text[i] = c;
		file_write(name, text, i);
		state = reopened();
		ck_assert(state.chain.sequence == 0 || i > 130);
	}
	free(text);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ counts },
		{ bounded },
		{ read_back },
		{ state_file },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-lost", &hooks, tests);
}
