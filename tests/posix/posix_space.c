/* Space and holes: fallocate, SEEK_DATA and SEEK_HOLE, st_blocks. */
#include "tests/posix/check.h"

#include <linux/falloc.h>
#include <stdlib.h>

static char *read_all(const char *path, off_t size)
{
	char *bytes = calloc(1, (size_t)size + 1);
	int fd = open_or_end(path, O_RDONLY, 0);

	if (pread(fd, bytes, (size_t)size + 1, 0) != size)
		bytes[0] = '?';
	close(fd);
	return bytes;
}

/* The bytes of the file are runs: "a 100, zeros 28" is {'a', 100}, {0, 28}. */
struct run {
	char byte;
	off_t length;
};

static bool runs(const char *path, const struct run *r, int count)
{
	off_t size = status(path).st_size, at = 0;
	char *bytes = read_all(path, size);
	bool equal = true;

	for (int i = 0; i < count; i++)
		for (off_t k = 0; k < r[i].length; k++, at++)
			if (at >= size || bytes[at] != r[i].byte)
				equal = false;
	free(bytes);
	return equal && at == size;
}

#define RUNS(path, ...)                                                        \
	runs(path, (const struct run[]){__VA_ARGS__},                          \
	     (int)(sizeof((const struct run[]){__VA_ARGS__}) /                 \
		   sizeof(struct run)))

static int make_runs(const char *path, off_t size)
{
	char *bytes = malloc((size_t)size);
	int fd = open_or_end(path, O_CREAT | O_TRUNC | O_RDWR, 0644);

	memset(bytes, 'a', (size_t)size);
	SAME(write(fd, bytes, (size_t)size), size);
	free(bytes);
	return fd;
}

/* Filesystems may not have it: then it says so. */
static bool supported(int fd, int mode, const char *what)
{
	if (!fallocate(fd, mode, 0, 1) || errno != EOPNOTSUPP)
		return true;
	lacks(what);
	return false;
}

static void space_plain(void)
{
	int fd = make_runs("f", 100);

	if (!supported(fd, FALLOC_FL_KEEP_SIZE, "fallocate"))
		return;
	WANT(fallocate(fd, 0, 0, 50), 0);
	SAME(status("f").st_size, 100);
	WANT(fallocate(fd, 0, 50, 10000), 0);
	SAME(status("f").st_size, 10050);
	TRUE(RUNS("f", {'a', 100}, {0, 9950}));
	TRUE(status("f").st_blocks >= 10050 / 512);
	WANT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20), 0);
	SAME(status("f").st_size, 10050);
	WANT(fallocate(fd, 0, 0, 0), EINVAL);
	WANT(fallocate(fd, 0, -1, 10), EINVAL);
	WANT(fallocate(fd, 0, 0, -1), EINVAL);
	SAME(posix_fallocate(fd, 20000, 10), 0);
	SAME(status("f").st_size, 20010);
	close(fd);
	fd = open_or_end("f", O_RDONLY, 0);
	WANT(fallocate(fd, 0, 0, 10), EBADF);
	close(fd);
	fd = open_or_end(".", O_RDONLY, 0);
	EITHER(fallocate(fd, 0, 0, 10), EBADF, EISDIR);
	close(fd);
}

static void space_punch(void)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int fd = make_runs("f", 20000);

	if (!supported(fd, punch, "punching holes"))
		return;
	blkcnt_t blocks = status("f").st_blocks;
	int64_t m = modified("f");

	tick();
	WANT(fallocate(fd, punch, 4000, 9000), 0);
	SAME(status("f").st_size, 20000);
	TRUE(RUNS("f", {0, 1}, {'a', 3999}, {0, 9000}, {'a', 7000}));
	TRUE(status("f").st_blocks < blocks);
	TRUE(modified("f") > m);
	WANT(fallocate(fd, punch, 15000, 100000), 0);
	SAME(status("f").st_size, 20000);
	TRUE(RUNS("f", {0, 1}, {'a', 3999}, {0, 9000}, {'a', 2000}, {0, 5000}));
	WANT(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	close(fd);
	TRUE(RUNS("f", {0, 1}, {'a', 3999}, {0, 9000}, {'a', 2000}, {0, 5000}));
}

static void space_zero(void)
{
	int fd = make_runs("f", 20000);

	if (!supported(fd, FALLOC_FL_ZERO_RANGE, "zeroing ranges"))
		return;
	WANT(fallocate(fd, FALLOC_FL_ZERO_RANGE, 4000, 9000), 0);
	TRUE(RUNS("f", {0, 1}, {'a', 3999}, {0, 9000}, {'a', 7000}));
	WANT(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 19000,
		       5000),
	     0);
	SAME(status("f").st_size, 20000);
	WANT(fallocate(fd, FALLOC_FL_ZERO_RANGE, 19000, 5000), 0);
	SAME(status("f").st_size, 24000);
	TRUE(RUNS("f", {0, 1}, {'a', 3999}, {0, 9000}, {'a', 6000}, {0, 5000}));
	close(fd);
}

static void space_shift(void)
{
	int fd = make_runs("f", 8 * 4096);
	bool has = !fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096);

	if (!has && (errno == EOPNOTSUPP || errno == EINVAL)) {
		lacks("shifting ranges");
		close(fd);
		TRUE(RUNS("f", {'a', 8 * 4096}));
		return;
	}
	TRUE(has);
	TRUE(RUNS("f", {'a', 7 * 4096}));
	WANT(fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 4096), 0);
	TRUE(RUNS("f", {'a', 4096}, {0, 4096}, {'a', 6 * 4096}));
	close(fd);
}

static void space_seek(void)
{
	off_t big = 1 << 20;
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	off_t data, hole;

	WANT(ftruncate(fd, 3 * big), 0);
	SAME(pwrite(fd, "x", 1, big), 1);
	SAME(pwrite(fd, "x", 1, 2 * big), 1);
	data = lseek(fd, 0, SEEK_DATA);
	hole = lseek(fd, big, SEEK_HOLE);
	/* who knows no holes says that all is data */
	TRUE(data == 0 || (data > 0 && data <= big));
	TRUE(hole == 3 * big || (hole > big && hole <= 2 * big));
	if (data == big)
		SAME(lseek(fd, hole, SEEK_DATA), 2 * big);
	SAME(lseek(fd, big, SEEK_DATA), big);
	WANT(lseek(fd, 3 * big, SEEK_DATA), ENXIO);
	WANT(lseek(fd, 3 * big, SEEK_HOLE), ENXIO);
	WANT(lseek(fd, 3 * big + 9, SEEK_HOLE), ENXIO);
	SAME(lseek(fd, 3 * big - 1, SEEK_HOLE), data ? 3 * big - 1 : 3 * big);
	WANT(ftruncate(fd, 2 * big + 1), 0);
	SAME(lseek(fd, 2 * big, SEEK_HOLE), 2 * big + 1);
	close(fd);
	fd = open_or_end("whole", O_CREAT | O_RDWR, 0644);
	SAME(write(fd, "whole", 5), 5);
	SAME(lseek(fd, 0, SEEK_HOLE), 5);
	SAME(lseek(fd, 2, SEEK_DATA), 2);
	close(fd);
	fd = open_or_end("empty", O_CREAT | O_RDWR, 0644);
	WANT(lseek(fd, 0, SEEK_DATA), ENXIO);
	WANT(lseek(fd, 0, SEEK_HOLE), ENXIO);
	close(fd);
}

static void space_blocks(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	char *bytes = malloc(1 << 20);
	struct stat st;

	memset(bytes, 'b', 1 << 20);
	SAME(status("f").st_blocks, 0);
	SAME(write(fd, bytes, 1 << 20), 1 << 20);
	WANT(fsync(fd), 0);
	WANT(fstat(fd, &st), 0);
	TRUE(st.st_blocks >= 2048 && st.st_blocks < 2048 + 256);
	SAME(pwrite(fd, bytes, 4096, 64 << 20), 4096);
	WANT(fsync(fd), 0);
	WANT(fstat(fd, &st), 0);
	TRUE(st.st_blocks >= 2056 && st.st_blocks < 2056 + 512);
	TRUE(st.st_blksize >= 512);
	WANT(ftruncate(fd, 4096), 0);
	WANT(fstat(fd, &st), 0);
	TRUE(st.st_blocks >= 8 && st.st_blocks < 256);
	close(fd);
	free(bytes);
}

const struct check checks_space[] = {
	{"space-plain", space_plain, false},
	{"space-punch", space_punch, false},
	{"space-zero", space_zero, false},
	{"space-shift", space_shift, false},
	{"space-seek", space_seek, false},
	{"space-blocks", space_blocks, false},
	{0},
};
