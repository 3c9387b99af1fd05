/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what doctor says of what a site has made for itself: device rules, tmpfiles and units,
 * of folders made up to look like /etc and /usr.
 */
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "findings.h"
#include "output.h"
#include "runner.h"

static char folder[64];
static struct places places = { .root = folder };

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void set_up(void)
{
	copy_string(folder, sizeof(folder), "/tmp/ccbuf-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void)
{
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *rest, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, rest);
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

static void take(const char *rest)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, rest);
	ck_assert_int_eq(unlink(path), 0);
}

/* The advice about heap "system" begins so, with the folder left out. */
static void expect(const char *beginning, const char *path, const char *rest)
{
	char *repair = site_repair(&places, "system"), wanted[512];

	snprintf(wanted, sizeof(wanted), "%s%s%s%s", beginning, *path ? folder : "", path, rest);
	ck_assert_msg(!strncmp(repair, wanted, strlen(wanted)), "%s\n%s", repair, wanted);
	free(repair);
}

START_TEST(device_rules)
{
	expect("install ccbuf's udev rule, then", "", "");
	put("usr/lib/udev/rules.d/70-ccbufd.rules", "dma_heap is ours\n");
	put("usr/lib/udev/rules.d/50-udev-default.rules", "SUBSYSTEM==\"mem\", GROUP=\"kmem\"\n");
	expect("'udevadm control --reload' and 'udevadm trigger' apply ccbuf's udev rule", "", "");
	/* one that was there before, and sorts later */
	put("etc/udev/rules.d/99-dma-heap.rules",
		"# SUBSYSTEM==\"dma_heap\"\n\nSUBSYSTEM==\"dma_heap\", GROUP=\"video\", "
		"MODE=\"0660\"\n");
	expect("see ", "/etc/udev/rules.d/99-dma-heap.rules:3",
		", another rule for it, and remove");
	take("etc/udev/rules.d/99-dma-heap.rules");
	/* by the name of the node alone */
	put("run/udev/rules.d/10-x.rules", "KERNEL==\"system\", MODE=\"0666\"\n");
	expect("see ", "/run/udev/rules.d/10-x.rules:1", ", another rule");
	put("run/udev/rules.d/10-x.rules", "KERNEL==\"system2\", MODE=\"0666\"\n");
	expect("'udevadm", "", "");
	/* in the place of ours */
	put("etc/udev/rules.d/70-ccbufd.rules", "");
	expect("remove ", "/etc/udev/rules.d/70-ccbufd.rules", ", which is read instead of");
}
END_TEST

START_TEST(tmpfiles)
{
	put("usr/lib/udev/rules.d/70-ccbufd.rules", "");
	put("usr/lib/tmpfiles.d/ccbufd.conf", "z /dev/dma_heap/* 0440 root ccbufd -\n");
	expect("'udevadm", "", "");
	put("etc/tmpfiles.d/zz-heaps.conf", "# x\nz /dev/dma_heap/* 0666 root video -\n");
	expect("see ", "/etc/tmpfiles.d/zz-heaps.conf:2", ", which sets it at boot");
}
END_TEST

START_TEST(units)
{
	struct findings findings = { .list = json_object_new_array() };
	const char *text;

	put("usr/lib/systemd/system/ccbufd.service", "[Service]\nUser=ccbufd\n");
	examine_site(&findings, &places);
	ck_assert_uint_eq(json_object_array_length(findings.list), 0);
	put("etc/systemd/system/ccbufd.service.d/nice.conf", "[Service]\nNice=5\n");
	examine_site(&findings, &places);
	ck_assert_uint_eq(json_object_array_length(findings.list), 1);
	ck_assert_uint_eq(findings.warnings, 0);
	text = json_object_to_json_string(findings.list);
	ck_assert_ptr_nonnull(strstr(text, "nice.conf (Nice)"));
	put("etc/systemd/system/ccbufd.socket.d/mode.conf", "[Socket]\n#User=x\nSocketMode=0600\n");
	put("run/systemd/system/ccbufd.service", "[Service]\n");
	findings.list = (json_object_put(findings.list), json_object_new_array());
	examine_site(&findings, &places);
	text = json_object_to_json_string(findings.list);
	ck_assert_uint_eq(findings.warnings, 2);
	ck_assert_ptr_nonnull(strstr(text, "ccbufd.socket is changed by"));
	ck_assert_ptr_nonnull(strstr(text, "mode.conf (SocketMode)"));
	ck_assert_ptr_nonnull(strstr(text, "is read instead of ccbuf's ccbufd.service"));
	json_object_put(findings.list);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ device_rules },
		{ tmpfiles },
		{ units },
		{ NULL },
	};

	return run_tests(argc, argv, "doctor-site", &hooks, tests);
}
