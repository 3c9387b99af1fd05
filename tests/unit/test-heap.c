/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the heaps: which nodes are taken for one, what is said of those that are missing, and
 * the buffers of the emulated heap.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fixture.h"
#include "heap/buffer.h"
#include "platform.h"

#define PAGE 4096u

static struct heaps *heaps;
static const struct heap *heap;

static void set_up(void)
{
	fixture_set_up();
	heaps = heaps_new(fixture.folder);
	ck_assert_ptr_nonnull(heaps);
	ck_assert_int_eq(heaps_get(heaps, HEAP_EMULATED, &heap), 0);
}

static void tear_down(void)
{
	heaps = heaps_free(heaps);
	fixture_tear_down();
}

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture.folder, name);
	return path;
}

/* --- nodes --- */

START_TEST(names)
{
	static const char *const bad[] = { "", ".", "..", "...", ".hidden", "a/b", "/dev/null",
		"../x", "null/" };
	const struct heap *none = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(heaps_get(heaps, bad[i], &none), -EINVAL);
	ck_assert_int_eq(heaps_get(heaps, "none", &none), -ENOENT);
	ck_assert_ptr_null(none);
	ck_assert_ptr_null(heaps_free(NULL));
}
END_TEST

/* Only a device is a heap, and to find out nothing waits and nothing is followed. */
START_TEST(not_a_node)
{
	const struct heap *none = NULL;
	size_t fds = fixture_fds();

	ck_assert_int_eq(heaps_get(heaps, "audit.jsonl", &none), -ENODEV);
	ck_assert_int_eq(mkfifo(in_folder("fifo"), 0600), 0);
	ck_assert_int_eq(heaps_get(heaps, "fifo", &none), -ENODEV);
	ck_assert_int_eq(mkdir(in_folder("dir"), 0700), 0);
	ck_assert_int_eq(heaps_get(heaps, "dir", &none), -ENODEV);
	ck_assert_int_eq(symlink("/dev/null", in_folder("link")), 0);
	ck_assert_int_eq(heaps_get(heaps, "link", &none), -ELOOP);
	ck_assert_ptr_null(none);
	ck_assert_uint_eq(fixture_fds(), fds);
}
END_TEST

START_TEST(opened_once)
{
	struct heaps *devices = heaps_new("/dev");
	const struct heap *a = NULL, *b = NULL, *c = NULL;
	size_t fds = fixture_fds();
	struct buffer_id id;
	int fd = -1;

	ck_assert_int_eq(heaps_get(devices, "null", &a), 0);
	ck_assert_int_eq(heaps_get(devices, "null", &b), 0);
	ck_assert_int_eq(heaps_get(devices, "zero", &c), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, c);
	ck_assert_uint_eq(fixture_fds(), fds + 2);
	ck_assert_int_eq(fcntl(a->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert_int_eq(fcntl(a->fd, F_GETFD), FD_CLOEXEC);
	/* it is no heap after all */
	ck_assert_int_eq(heap_alloc(a, EXPOSURE_PRIVATE, PAGE, false, &fd, &id), -ENOTTY);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(heap_end(a), HEAP_END_COUNT);
	ck_assert(!heap_can_revoke(a));
	ck_assert(!heap_is_quick(a, PAGE));
	ck_assert(heap_can_read_only(a, EXPOSURE_PRIVATE));
	ck_assert(heap_can_read_only(a, EXPOSURE_PROTECTED));
	ck_assert(!heap_can_read_only(a, EXPOSURE_SHARED));
	heaps_free(devices);
}
END_TEST

START_TEST(folder_is_missing)
{
	struct heaps *none = heaps_new("/no/such/folder");
	const struct heap *found = NULL;

	ck_assert_int_eq(heaps_get(none, "system", &found), -ENOENT);
	ck_assert_int_eq(heaps_get(none, HEAP_EMULATED, &found), 0);
	ck_assert_ptr_nonnull(found);
	heaps_free(none);
}
END_TEST

static void collect(void *userdata, const char *name)
{
	strcat(userdata, name);
	strcat(userdata, " ");
}

START_TEST(all_heaps)
{
	struct heaps *none = heaps_new("/no/such/folder"), *file = heaps_new(fixture.trail);
	char text[256] = "";
	size_t fds = fixture_fds();

	ck_assert_int_eq(heaps_each(heaps, collect, text), 0);
	ck_assert_str_eq(text, "emulated audit.jsonl ");
	text[0] = 0;
	ck_assert_int_eq(heaps_each(none, collect, text), 0);
	ck_assert_str_eq(text, "emulated ");
	ck_assert_int_eq(heaps_each(file, collect, text), -ENOTDIR);
	ck_assert_uint_eq(fixture_fds(), fds);
	heaps_free(none);
	heaps_free(file);
}
END_TEST

static const char *explain(struct heaps *of, const char *name, enum exposure exposure, int error)
{
	static char text[448];

	heaps_explain(of, name, exposure, error, text, sizeof(text));
	return text;
}

START_TEST(explanations)
{
	struct heaps *none = heaps_new("/no/such/folder");
	const char *text;

	text = explain(heaps, "system", EXPOSURE_PRIVATE, -EACCES);
	ck_assert_ptr_nonnull(strstr(text, "/system cannot be opened: Permission denied"));
	text = explain(heaps, "x", EXPOSURE_PRIVATE, -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, "there is no heap x in /tmp/"));
	text = explain(none, "x", EXPOSURE_PRIVATE, -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, "/no/such/folder is missing"));
	ck_assert_ptr_nonnull(strstr(text, "CONFIG_DMABUF_HEAPS"));
	/* what the service's list of devices answers */
	text = explain(heaps, "system_cc_shared", EXPOSURE_SHARED, -EPERM);
	ck_assert_ptr_nonnull(strstr(text, "restart ccbufd if the heap is newer"));
	text = explain(heaps, "system_cc_shared", EXPOSURE_SHARED, -ENOENT);
	ck_assert_ptr_nonnull(strstr(text, "there is no heap system_cc_shared"));
	ck_assert_ptr_nonnull(strstr(text,
		streq(platform_name(), "none") ? "not a confidential VM" : "CONFIG_DMABUF_HEAPS"));
	heaps_free(none);
}
END_TEST

/* --- buffers --- */

static int alloc(uint64_t size, bool read_only)
{
	struct buffer_id id = { 0 };
	struct stat st;
	int fd = -1;

	ck_assert_int_eq(heap_alloc(heap, EXPOSURE_EMULATED, size, read_only, &fd, &id), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_ino, id.inode);
	ck_assert_uint_eq(id.watch, 0);
	ck_assert_int_eq(st.st_size, (off_t)size);
	/* pages that are there, where anything can be in them */
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, read_only ? 0 : size);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	return fd;
}

static bool know_noexec(void)
{
	int fd = memfd_create("probe", MFD_CLOEXEC | 8u /* MFD_NOEXEC_SEAL */);
	bool known = fd >= 0;

	close_fd(&fd);
	return known;
}

START_TEST(emulated_buffer)
{
	int fd = alloc(3 * PAGE, false), other = alloc(PAGE, false);
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat a, b;
	char *memory;

	fstat(fd, &a);
	fstat(other, &b);
	ck_assert_uint_ne(a.st_ino, b.st_ino);
	ck_assert_int_eq(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	ck_assert_int_eq(seals & F_SEAL_WRITE, 0);
	/* Where the kernel knows of such (6.3) nobody can run what is in it. */
	if (know_noexec())
		ck_assert_int_eq(a.st_mode & 0111, 0);
	/* nobody meets SIGBUS because another made it smaller */
	ck_assert_int_lt(ftruncate(fd, PAGE), 0);
	ck_assert_int_lt(ftruncate(fd, 4 * PAGE), 0);
	memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	for (size_t i = 0; i < 3 * PAGE; i++)
		ck_assert_int_eq(memory[i], 0);
	memset(memory, 'x', 3 * PAGE);
	munmap(memory, 3 * PAGE);
	close(fd);
	close(other);
}
END_TEST

START_TEST(read_only_buffer)
{
	int fd = alloc(PAGE, true), again;
	char path[64];

	ck_assert_ptr_eq(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert_int_lt(pwrite(fd, "x", 1, 0), 0);
	/* nor by a way round */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again >= 0) {
		ck_assert_int_lt(pwrite(again, "x", 1, 0), 0);
		close(again);
	}
	close(fd);
}
END_TEST

START_TEST(no_room)
{
	struct rlimit limit, before;
	struct buffer_id id = { 0 };
	size_t fds = fixture_fds();
	int fd = -1;

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 2 * PAGE;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(heap_alloc(heap, EXPOSURE_EMULATED, 3 * PAGE, false, &fd, &id), -ENOMEM);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(heap_alloc(heap, EXPOSURE_EMULATED, PAGE, false, &fd, &id), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_uint_eq(id.inode, 0);
	ck_assert_uint_eq(fixture_fds(), fds);
}
END_TEST

static int reopened(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* By whatever is left of it: an fd, a copy, one that was opened anew, a mapping. */
START_TEST(emulated_buffer_is_held)
{
	int held = alloc(PAGE, _i), ours = fcntl(held, F_DUPFD_CLOEXEC, 0), number = ours, other;
	struct stat st;
	void *memory;

	if (!heap->leases) {
		close(held);
		close(ours);
		fixture_skip("this kernel has no leases for memfds");
	}
	ck_assert(heap_emulated_held(ours));
	other = fcntl(held, F_DUPFD_CLOEXEC, 0);
	close(held);
	ck_assert(heap_emulated_held(ours));
	held = reopened(other, O_RDONLY);
	close(other);
	ck_assert(heap_emulated_held(ours));
	memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, held, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	close(held);
	ck_assert(heap_emulated_held(ours));
	munmap(memory, PAGE);
	other = reopened(ours, O_PATH);
	ck_assert(!heap_emulated_held(ours));
	ck_assert(!heap_emulated_held(ours));
	ck_assert_int_eq(fcntl(ours, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(ours, number);
	/* who kept a path to it has nothing */
	heap_discard(ours, PAGE);
	close(ours);
	held = reopened(other, O_RDONLY);
	ck_assert_int_eq(fstat(held, &st), 0);
	ck_assert_int_eq(st.st_blocks, 0);
	close(held);
	close(other);
}
END_TEST

START_TEST(what_the_emulated_heap_can)
{
	ck_assert_int_eq(heap_end(heap), HEAP_END_PEER);
	ck_assert(!heap_can_revoke(heap));
	ck_assert(heap_can_read_only(heap, EXPOSURE_EMULATED));
	ck_assert(heap_is_quick(heap, PAGE));
	ck_assert(heap_is_quick(heap, 1 << 20));
	ck_assert(!heap_is_quick(heap, (1 << 20) + PAGE));
	ck_assert(!heap_is_quick(heap, UINT64_MAX));
}
END_TEST

/* Only a dma-buf is counted; for anything else it is not said that nobody holds it. */
START_TEST(holders)
{
	int fd = alloc(PAGE, false), event = eventfd(1, EFD_CLOEXEC);

	ck_assert_int_eq(heap_holders(fd), -ENODATA);
	ck_assert_int_eq(heap_holders(event), -ENODATA);
	ck_assert_int_eq(heap_holders(STDIN_FILENO), -ENODATA);
	close(fd);
	close(event);
	ck_assert_int_eq(heap_holders(fd), -ENOENT);
	ck_assert_int_eq(heap_holders(-1), -ENOENT);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ names },
		{ not_a_node },
		{ opened_once },
		{ folder_is_missing },
		{ all_heaps },
		{ explanations },
		{ emulated_buffer },
		{ read_only_buffer },
		{ no_room },
		{ emulated_buffer_is_held, .times = 2 },
		{ what_the_emulated_heap_can },
		{ holders },
		{ NULL },
	};

	return run_tests(argc, argv, "heap", &hooks, tests);
}
