/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of common/platform: which guest it is, from made-up facts.
 */

#include "platform.h"
#include "runner.h"
#include "util.h"

static const struct {
	struct platform_facts facts;
	const char *name;
	bool certain;
} cases[] = {
	{ { 0 }, "none", true },
	{ { .hypervisor = true }, "none", true },
	{ { .hypervisor = true, .tdx_leaf = true }, "tdx", true },
	{ { .cca_device = true }, "cca", true },
	{ { .hypervisor = true, .hyperv_isolation = 1 }, "none", true },
	{ { .hypervisor = true, .hyperv_isolation = 2 }, "sev-snp", true },
	{ { .hypervisor = true, .hyperv_isolation = 3 }, "tdx", true },
	/* A host's processor has the feature; that is not to be in such a guest. */
	{ { .amd_leaf = 0x1f }, "none", true },
	/* SME and the rest without SEV. */
	{ { .hypervisor = true, .amd_leaf = 1 }, "none", true },
	{ { .hypervisor = true, .amd_leaf = 0x2 }, "sev", false },
	{ { .hypervisor = true, .amd_leaf = 0xa }, "sev-es", false },
	{ { .hypervisor = true, .amd_leaf = 0x1a }, "sev-snp", false },
	{ { .hypervisor = true, .amd_leaf = 0x1a, .msr_known = true, .msr = 0 }, "none", true },
	{ { .hypervisor = true, .amd_leaf = 0x1a, .msr_known = true, .msr = 1 }, "sev", true },
	{ { .hypervisor = true, .amd_leaf = 0x1a, .msr_known = true, .msr = 3 }, "sev-es", true },
	{ { .hypervisor = true, .amd_leaf = 0x1a, .msr_known = true, .msr = 7 }, "sev-snp", true },
	{ { .hypervisor = true, .amd_leaf = 0x2, .log_known = true, .log = 3 }, "sev-es", true },
	{ { .hypervisor = true, .amd_leaf = 0x2, .log_known = true, .log = PLATFORM_LOG_NONE },
		"none", true },
	{ { .hypervisor = true, .amd_leaf = 0x2, .sev_guest = true }, "sev-snp", true },
};

START_TEST(judged)
{
	struct platform platform;

	platform_judge(&cases[_i].facts, &platform);
	ck_assert_str_eq(platform.name, cases[_i].name);
	ck_assert_int_eq(platform.certain, cases[_i].certain);
	ck_assert_ptr_nonnull(platform.evidence);
}
END_TEST

START_TEST(log_lines)
{
	ck_assert_uint_eq(platform_log_line("6,1,0,-;Linux version 6.1"), 0);
	ck_assert_uint_eq(
		platform_log_line("6,1,0,-;AMD Memory Encryption Features active: SEV\n"), 1);
	ck_assert_uint_eq(
		platform_log_line("6,1,0,-;Memory Encryption Features active: AMD SEV SEV-ES\n"),
		3);
	ck_assert_uint_eq(
		platform_log_line("x Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP"),
		7);
	ck_assert_uint_eq(platform_log_line("x Memory Encryption Features active: AMD SME\n"),
		PLATFORM_LOG_NONE);
	ck_assert_uint_eq(
		platform_log_line("Memory Encryption Features active:SEV"), PLATFORM_LOG_NONE);
}
END_TEST

START_TEST(here)
{
	static const char *const names[] = { "sev", "sev-es", "sev-snp", "tdx", "cca", "none" };
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		known = known || streq(platform_name(), names[i]);
	ck_assert(known);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ judged, .times = ARRAY_SIZE(cases) },
		{ log_lines },
		{ here },
		{ NULL },
	};

	return run_tests(argc, argv, "platform", NULL, tests);
}
