/* Bytes: read, write, truncate, maps, copies, and how they are made durable. */
#include "tests/posix/check.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

/* All bytes of [from, to) are this one. */
static bool all(int fd, off_t from, off_t to, char byte)
{
	char b[4096];

	while (from < to) {
		size_t want_bytes = (size_t)(to - from) < sizeof(b)
					    ? (size_t)(to - from)
					    : sizeof(b);
		ssize_t n = pread(fd, b, want_bytes, from);

		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n; i++)
			if (b[i] != byte)
				return false;
		from += n;
	}
	return true;
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

static void data_write(void)
{
	char back[32] = "";
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);

	SAME(write(fd, "hello world", 11), 11);
	SAME(lseek(fd, 0, SEEK_CUR), 11);
	SAME(read(fd, back, 4), 0);
	SAME(pread(fd, back, 5, 6), 5);
	TRUE(!memcmp(back, "world", 5));
	SAME(pread(fd, back, 20, 8), 3);
	SAME(pread(fd, back, 20, 11), 0);
	SAME(pread(fd, back, 20, 1 << 20), 0);
	SAME(pwrite(fd, "W", 1, 6), 1);
	SAME(lseek(fd, 0, SEEK_CUR), 11);
	TRUE(holds("f", "hello World"));
	SAME(write(fd, "", 0), 0);
	SAME(size_of(fd), 11);
	SAME(lseek(fd, -5, SEEK_END), 6);
	SAME(lseek(fd, -7, SEEK_CUR), -1);
	WANT(lseek(fd, -7, SEEK_CUR), EINVAL);
	SAME(lseek(fd, 5000, SEEK_SET), 5000);
	SAME(size_of(fd), 11);
	SAME(write(fd, "x", 1), 1);
	SAME(size_of(fd), 5001);
	TRUE(all(fd, 11, 5000, 0));
	WANT(pread(fd, back, 1, -1), EINVAL);
	WANT(pwrite(fd, back, 1, -1), EINVAL);
	close(fd);
	fd = open_or_end("f", O_RDONLY, 0);
	SAME(size_of(fd), 5001);
	TRUE(all(fd, 11, 5000, 0));
	close(fd);
}

static void data_vectors(void)
{
	char a[4] = "", b[8] = "";
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
	struct iovec in[2] = {{a, 3}, {b, 8}};
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);

	SAME(writev(fd, out, 3), 8);
	SAME(pwritev(fd, out, 1, 100), 3);
	SAME(size_of(fd), 103);
	SAME(lseek(fd, 0, SEEK_SET), 0);
	SAME(readv(fd, in, 2), 11);
	TRUE(!memcmp(a, "one", 3) && !memcmp(b, "three\0\0\0", 8));
	SAME(preadv(fd, in, 1, 100), 3);
	SAME(pwritev2(fd, out, 1, -1, RWF_APPEND), 3);
	SAME(size_of(fd), 106);
	SAME(pwritev2(fd, out, 1, 0, RWF_DSYNC), 3);
	close(fd);
}

static void data_large(void)
{
	size_t size = 9 << 20;
	char *bytes = malloc(size), *back = malloc(size);
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	SAME(write(fd, bytes, size), size);
	SAME(pread(fd, back, size, 0), size);
	TRUE(!memcmp(bytes, back, size));
	/* over every kind of border */
	for (size_t at = 4095; at < size - 5000; at += 1 << 20) {
		memset(bytes + at, 'p', 4099);
		SAME(pwrite(fd, bytes + at, 4099, (off_t)at), 4099);
	}
	close(fd);
	fd = open_or_end("f", O_RDWR, 0);
	memset(back, 0, size);
	SAME(read(fd, back, size), size);
	TRUE(!memcmp(bytes, back, size));
	SAME(pwrite(fd, "end", 3, 0x3fffffff0), 3);
	SAME(size_of(fd), 0x3fffffff3);
	SAME(pread(fd, back, 10, 0x3fffffff0), 3);
	TRUE(status("f").st_blocks < 9 * 2048 + 2048);
	close(fd);
	free(bytes);
	free(back);
}

static void data_truncate(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	char block[8192];

	memset(block, 'a', sizeof(block));
	SAME(write(fd, block, sizeof(block)), 8192);
	WANT(ftruncate(fd, 100), 0);
	SAME(size_of(fd), 100);
	WANT(ftruncate(fd, 8192), 0);
	TRUE(all(fd, 0, 100, 'a'));
	TRUE(all(fd, 100, 8192, 0));
	WANT(truncate("f", 50), 0);
	SAME(pwrite(fd, "b", 1, 200), 1);
	TRUE(all(fd, 50, 200, 0));
	WANT(truncate("f", 0), 0);
	SAME(size_of(fd), 0);
	SAME(status("f").st_blocks, 0);
	WANT(truncate("f", 1 << 30), 0);
	SAME(size_of(fd), 1 << 30);
	TRUE(status("f").st_blocks < 2048);
	TRUE(all(fd, (1 << 30) - 9000, 1 << 30, 0));
	WANT(ftruncate(fd, -1), EINVAL);
	WANT(truncate("f", -1), EINVAL);
	WANT(truncate(".", 0), EISDIR);
	WANT(truncate("nothing", 0), ENOENT);
	close(fd);
	close(open_or_end("f", O_RDONLY, 0));
	fd = open_or_end("f", O_RDONLY, 0);
	WANT(ftruncate(fd, 0), EINVAL);
	close(fd);
	symlink("f", "l");
	WANT(truncate("l", 7), 0);
	SAME(status("f").st_size, 7);
}

static void data_truncate_times(void)
{
	fill("f", "hello");
	int64_t m = modified("f"), c = changed("f");

	tick();
	WANT(truncate("f", 3), 0);
	TRUE(modified("f") > m);
	TRUE(changed("f") > c);
	m = modified("f");
	tick();
	WANT(truncate("f", 9), 0);
	TRUE(modified("f") > m);
}

static void data_map(void)
{
	size_t size = 3 * 4096 + 100;
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	char *map, *other, b[8] = "";

	WANT(ftruncate(fd, (off_t)size), 0);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRUE(map != MAP_FAILED);
	if (map == MAP_FAILED)
		return;
	memset(map, 'm', 4096);
	map[size - 1] = 'e';
	WANT(msync(map, size, MS_SYNC), 0);
	SAME(pread(fd, b, 1, 4095), 1);
	SAME(b[0], 'm');
	SAME(pread(fd, b, 8, (off_t)size - 1), 1);
	SAME(b[0], 'e');
	/* what write puts there is seen in the map */
	SAME(pwrite(fd, "write", 5, 5000), 5);
	TRUE(!memcmp(map + 5000, "write", 5));
	other = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	other[0] = 'P';
	SAME(map[0], 'm');
	munmap(other, size);
	/* changed, not synced, closed: other readers see it all the same */
	map[6000] = 'u';
	close(fd);
	fd = open_or_end("f", O_RDWR, 0);
	SAME(pread(fd, b, 1, 6000), 1);
	SAME(b[0], 'u');
	munmap(map, size);
	close(fd);
	fd = open_or_end("f", O_RDONLY, 0);
	SAME(pread(fd, b, 1, 6000), 1);
	SAME(b[0], 'u');
	SAME(size_of(fd), size);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRUE(map == MAP_FAILED && errno == EACCES);
	close(fd);
}

static void data_map_outlives(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	char *map;

	WANT(ftruncate(fd, 4096), 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	TRUE(map != MAP_FAILED);
	close(fd);
	memcpy(map, "mapped", 6);
	WANT(rename("f", "g"), 0);
	memcpy(map + 6, " and renamed", 12);
	munmap(map, 4096);
	WANT(truncate("g", 18), 0);
	TRUE(holds("g", "mapped and renamed"));
	fd = open_or_end("g", O_RDWR, 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	WANT(unlink("g"), 0);
	memcpy(map, "unlink", 6);
	TRUE(!memcmp(map, "unlink and renamed", 18));
	WANT(msync(map, 4096, MS_SYNC), 0);
	munmap(map, 4096);
}

static void data_map_times(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	int64_t m, c;
	char *map;

	WANT(ftruncate(fd, 4096), 0);
	m = modified("f");
	c = changed("f");
	tick();
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 'x';
	WANT(msync(map, 4096, MS_SYNC), 0);
	TRUE(modified("f") > m);
	TRUE(changed("f") > c);
	munmap(map, 4096);
	close(fd);
}

static void data_map_truncated(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	char *map;

	SAME(pwrite(fd, "x", 1, 8191), 1);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(map, 'm', 8192);
	WANT(ftruncate(fd, 100), 0);
	WANT(ftruncate(fd, 8192), 0);
	SAME(map[99], 'm');
	SAME(map[100], 0);
	SAME(map[5000], 0);
	TRUE(all(fd, 100, 8192, 0));
	munmap(map, 8192);
	close(fd);
}

static void data_sync(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644), dir;

	SAME(write(fd, "x", 1), 1);
	WANT(fsync(fd), 0);
	WANT(fdatasync(fd), 0);
	SAME(write(fd, "y", 1), 1);
	WANT(fdatasync(fd), 0);
	WANT(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
	WANT(syncfs(fd), 0);
	WANT(unlink("f"), 0);
	WANT(fsync(fd), 0);
	close(fd);
	dir = open_or_end(".", O_RDONLY | O_DIRECTORY, 0);
	WANT(fsync(dir), 0);
	WANT(fdatasync(dir), 0);
	WANT(syncfs(dir), 0);
	close(dir);
	fill("g", "x");
	fd = open_or_end("g", O_RDONLY, 0);
	WANT(fsync(fd), 0);
	close(fd);
}

static void data_copy(void)
{
	loff_t from = 3, to = 1;
	int in = open_or_end("in", O_CREAT | O_RDWR, 0644);
	int out = open_or_end("out", O_CREAT | O_RDWR, 0644);
	int shut;

	SAME(write(in, "0123456789", 10), 10);
	SAME(copy_file_range(in, &from, out, &to, 4, 0), 4);
	SAME(from, 7);
	SAME(to, 5);
	TRUE(!lseek(out, 0, SEEK_CUR) && size_of(out) == 5);
	TRUE(all(out, 0, 1, 0));
	from = 8;
	SAME(copy_file_range(in, &from, out, &to, 100, 0), 2);
	SAME(copy_file_range(in, &from, out, &to, 100, 0), 0);
	lseek(in, 0, SEEK_SET);
	lseek(out, 0, SEEK_SET);
	SAME(copy_file_range(in, NULL, out, NULL, 10, 0), 10);
	SAME(lseek(in, 0, SEEK_CUR), 10);
	SAME(lseek(out, 0, SEEK_CUR), 10);
	TRUE(holds("out", "0123456789"));
	from = 0;
	to = 5;
	SAME(copy_file_range(in, &from, in, &to, 5, 0), 5);
	TRUE(holds("in", "0123401234"));
	from = 0;
	to = 2;
	WANT(copy_file_range(in, &from, in, &to, 5, 0), EINVAL);
	from = to = 0;
	WANT(copy_file_range(in, &from, out, &to, 5, 1), EINVAL);
	shut = open_or_end("out", O_RDONLY, 0);
	WANT(copy_file_range(in, NULL, shut, NULL, 1, 0), EBADF);
	close(shut);
	/* whole, and the copy is its own */
	from = to = 0;
	WANT(ftruncate(out, 0), 0);
	SAME(copy_file_range(in, &from, out, &to, 10, 0), 10);
	SAME(pwrite(in, "X", 1, 0), 1);
	TRUE(holds("out", "0123401234"));
	SAME(pwrite(out, "Y", 1, 9), 1);
	TRUE(holds("in", "X123401234"));
	off_t at = 0;
	WANT(ftruncate(out, 0), 0);
	lseek(out, 0, SEEK_SET);
	SAME(sendfile(out, in, &at, 10), 10);
	TRUE(holds("out", "X123401234"));
	close(in);
	close(out);
}

static void data_copy_large(void)
{
	off_t size = (5 << 20) + 77;
	char *bytes = malloc((size_t)size), *back = malloc((size_t)size);
	int in = open_or_end("in", O_CREAT | O_RDWR, 0644);
	int out = open_or_end("out", O_CREAT | O_RDWR, 0644);
	off_t done = 0;
	ssize_t n;

	for (off_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 40503 >> 7);
	SAME(write(in, bytes, (size_t)size), size);
	lseek(in, 0, SEEK_SET);
	while ((n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) > 0)
		done += n;
	SAME(done, size);
	SAME(size_of(out), size);
	SAME(pread(out, back, (size_t)size, 0), size);
	TRUE(!memcmp(bytes, back, (size_t)size));
	close(in);
	close(out);
	free(bytes);
	free(back);
}

static void data_statfs(void)
{
	struct statvfs before, after;

	WANT(statvfs(".", &before), 0);
	TRUE(before.f_namemax == 255);
	TRUE(before.f_bsize >= 512 && before.f_frsize >= 512);
	TRUE(before.f_blocks > 0 && before.f_bavail > 0);
	TRUE(before.f_bavail <= before.f_bfree);
	TRUE(before.f_bfree <= before.f_blocks);
	fill("f", "x");
	WANT(statvfs("f", &after), 0);
	SAME(after.f_bsize, before.f_bsize);
	SAME(after.f_flag, before.f_flag);
}

const struct check checks_data[] = {
	{"data-write", data_write, false},
	{"data-vectors", data_vectors, false},
	{"data-large", data_large, false},
	{"data-truncate", data_truncate, false},
	{"data-truncate-times", data_truncate_times, false},
	{"data-map", data_map, false},
	{"data-map-outlives", data_map_outlives, false},
	{"data-map-times", data_map_times, false},
	{"data-map-truncated", data_map_truncated, false},
	{"data-sync", data_sync, false},
	{"data-copy", data_copy, false},
	{"data-copy-large", data_copy_large, false},
	{"data-statfs", data_statfs, false},
	{0},
};
