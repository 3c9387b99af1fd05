/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what doctor says of the module ccbuf_heap, of folders made up to look like /sys and
 * /lib/modules. Whether this is a confidential guest is made up too, by --wrap.
 */
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "findings.h"
#include "output.h"
#include "platform.h"
#include "runner.h"

static char folder[64], sys[80], modules[80];
static const char *platform;
static struct findings findings;

const char *__wrap_platform_name(void);
const char *__wrap_platform_name(void)
{
	return platform;
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void set_up(void)
{
	copy_string(folder, sizeof(folder), "/tmp/ccbuf-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(sys, sizeof(sys), "%s/sys", folder);
	snprintf(modules, sizeof(modules), "%s/modules", folder);
	platform = "tdx";
	findings = (struct findings){ .list = json_object_new_array() };
}

static void tear_down(void)
{
	json_object_put(findings.list);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A file with that text, and the folders above it. */
static void put(const char *root, const char *rest, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, rest);
	for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static void examine(void)
{
	struct places places = { .sys = sys, .modules = modules };

	examine_module(&findings, &places);
}

/* The n-th finding is of that status, and says those words; and the advice, where there is one. */
static void check(size_t n, const char *status, const char *words, const char *advice)
{
	struct json_object *finding = json_object_array_get_idx(findings.list, n);
	const char *text = member_text(finding, "text");

	ck_assert_ptr_nonnull(finding);
	ck_assert_str_eq(member_text(finding, "topic"), "module");
	ck_assert_msg(streq(member_text(finding, "status"), status), "%s", text);
	ck_assert_msg(strstr(text, words), "%s", text);
	ck_assert_msg(strstr(member_text(finding, "advice"), advice), "%s",
		member_text(finding, "advice"));
}

static void check_count(size_t n)
{
	ck_assert_uint_eq(json_object_array_length(findings.list), n);
}

static void put_loaded(const char *heap)
{
	char path[128];

	put(sys, "module/ccbuf_heap/version", "0.1.0\n");
	put(sys, "module/ccbuf_heap/parameters/leak_limit", "64\n");
	snprintf(path, sizeof(path), "class/misc/%s/live_bytes", heap);
	put(sys, path, "1048576\n");
	snprintf(path, sizeof(path), "class/misc/%s/pool_bytes", heap);
	put(sys, path, "4096\n");
	snprintf(path, sizeof(path), "class/misc/%s/leaked_bytes", heap);
	put(sys, path, "0\n");
}

START_TEST(loaded)
{
	put_loaded("system_cc_shared");
	examine();
	check(0, "ok", "ccbuf_heap 0.1.0 serves heap system_cc_shared: 1M in buffers, 4K in", "");
	check_count(1);
}
END_TEST

START_TEST(leaked)
{
	put_loaded("system_cc_shared");
	put(sys, "class/misc/system_cc_shared/leaked_bytes", "67108864\n");
	examine();
	check(1, "warning", "64M of heap system_cc_shared could not be made private", "restart");
	check_count(2);
}
END_TEST

START_TEST(stopped)
{
	put_loaded("system_cc_shared");
	put(sys, "class/misc/system_cc_shared/leaked_bytes", "67112960\n");
	examine();
	check(1, "problem", "more than leak_limit (64M): it gives out no memory", "restart");
	check_count(2);
}
END_TEST

START_TEST(unshared)
{
	platform = "none";
	put_loaded("ccbuf_unshared");
	examine();
	check(0, "problem", "NOTHING of it is shared with the host", "unload it");
	check_count(1);
}
END_TEST

START_TEST(heap_of_the_kernel)
{
	put(sys, "class/dma_heap/system_cc_shared/dev", "249:0\n");
	examine();
	check(0, "ok", "the kernel's own", "");
	check_count(1);
}
END_TEST

START_TEST(not_needed)
{
	platform = "none";
	examine();
	check(0, "ok", "not a confidential guest", "");
	check_count(1);
}
END_TEST

START_TEST(not_installed)
{
	struct utsname name;
	char path[128];

	examine();
	check(0, "problem", "without a shared heap: neither", "DKMS package ccbuf-heap");
	ck_assert_int_eq(uname(&name), 0);
	snprintf(path, sizeof(path), "%s/modules.dep", name.release);
	put(modules, path,
		"kernel/a.ko: kernel/drivers/ccbuf_heap.ko\nkernel/not_ccbuf_heap.ko:\n");
	examine();
	check(1, "problem", "without a shared heap: neither", "DKMS package ccbuf-heap");
	check_count(2);
}
END_TEST

START_TEST(not_loaded)
{
	struct utsname name;
	char path[128];

	ck_assert_int_eq(uname(&name), 0);
	snprintf(path, sizeof(path), "%s/modules.dep", name.release);
	put(modules, path, "kernel/a.ko:\nupdates/dkms/ccbuf_heap.ko.xz: kernel/a.ko\n");
	examine();
	check(0, "problem", "although module ccbuf_heap is installed", "modprobe ccbuf_heap");
	check_count(1);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ loaded },
		{ leaked },
		{ stopped },
		{ unshared },
		{ heap_of_the_kernel },
		{ not_needed },
		{ not_installed },
		{ not_loaded },
		{ NULL },
	};

	return run_tests(argc, argv, "doctor-module", &hooks, tests);
}
