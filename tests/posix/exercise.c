/* Two files, changed at random in every way there is, and read in every way;
 * beside a model in memory that says what must be in them.
 *
 *     exercise [-s SEED] [-n OPERATIONS | -t SECONDS] [-l SIZE] [-k] DIR
 *
 * The same SEED does the same. Files are up to SIZE (1M) bytes. -k leaves them
 * (and NAME.good, what they should be) when they are right. Ends at
 * the first difference with the operations that led to it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "tests/posix/random.h"

#define FILES	 2
#define LOG_TAIL 60

struct subject {
	char name[32];
	int fd;
	char *model;
	off_t size;
	int renamed;
};

static struct subject subjects[FILES];
static uint64_t state; /* of the numbers */
static off_t limit = 1 << 20;
static char *scratch;
static char log_lines[LOG_TAIL][160];
static unsigned long done;
static bool lacks_punch, lacks_zero, lacks_allocate, lacks_copy;

static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(log_lines[done % LOG_TAIL], sizeof(*log_lines), format, args);
	va_end(args);
	done++;
}

_Noreturn static void fail(const char *format, ...)
{
	unsigned long from = done > LOG_TAIL ? done - LOG_TAIL : 0;
	va_list args;

	printf("FAILED at operation %lu: ", done);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nthe last operations:\n");
	for (unsigned long i = from; i < done; i++)
		printf("%8lu %s\n", i + 1, log_lines[i % LOG_TAIL]);
	exit(1);
}

static void must(bool right, const struct subject *s, const char *call)
{
	if (!right)
		fail("%s: %s: %s", s->name, call, strerror(errno));
}

/* ---- choosing ---- */

static bool chance(unsigned n)
{
	return !random_below(&state, n);
}

/* Near borders of pages, requests and frames more often than elsewhere. */
static off_t near_border(off_t at)
{
	static const off_t borders[] = {512, 4096, 65536, 131072, 262144};
	off_t b = borders[random_below(&state, 5)];

	if (chance(2))
		return at;
	at = at / b * b + (off_t)random_below(&state, 3) - 1;
	return at < 0 ? 0 : at;
}

static off_t choose_offset(const struct subject *s, bool inside)
{
	off_t top = inside || !chance(3) ? s->size : limit;
	off_t at = top ? (off_t)random_below(&state, (uint64_t)top) : 0;

	if (chance(6))
		at = s->size;
	at = near_border(at);
	if (inside && at > s->size)
		at = s->size;
	return at < limit ? at : limit - 1;
}

static off_t choose_length(off_t from)
{
	static const off_t tops[] = {16, 600, 5000, 20000, 140000, 600000};
	off_t top = tops[random_below(&state, 6)];
	off_t n = 1 + (off_t)random_below(&state, (uint64_t)top);

	return n < limit - from ? n : limit - from;
}

static void make_bytes(char *to, off_t length)
{
	uint64_t seed = random_next(&state);

	/* runs, so that a difference is easily read */
	for (off_t i = 0; i < length; i++)
		to[i] = (char)(1 + random_mix(seed + (uint64_t)i / 61) % 255);
}

/* ---- the model ---- */

static void model_grow(struct subject *s, off_t size)
{
	if (size > s->size)
		s->size = size;
}

static void model_zero(struct subject *s, off_t from, off_t length)
{
	off_t end = from + length < s->size ? from + length : s->size;

	if (from < end)
		memset(s->model + from, 0, (size_t)(end - from));
}

static void compare(const struct subject *s, const char *got, off_t from,
		    off_t length, const char *how)
{
	off_t i = 0;

	if (!memcmp(got, s->model + from, (size_t)length))
		return;
	while (got[i] == s->model[from + i])
		i++;
	off_t bad = 0, last = i;

	for (off_t k = i; k < length; k++)
		if (got[k] != s->model[from + k]) {
			bad++;
			last = k;
		}
	fail("%s: %s at %lld: got %02x, wanted %02x; %lld bytes differ up to "
	     "%lld (size %lld)",
	     s->name, how, (long long)(from + i), (unsigned char)got[i],
	     (unsigned char)s->model[from + i], (long long)bad,
	     (long long)(from + last), (long long)s->size);
}

static void check_size(const struct subject *s)
{
	struct stat st, by_name;

	must(!fstat(s->fd, &st), s, "fstat");
	must(!stat(s->name, &by_name), s, "stat");
	if (st.st_size != s->size || by_name.st_size != s->size)
		fail("%s: size %lld (by name %lld), wanted %lld", s->name,
		     (long long)st.st_size, (long long)by_name.st_size,
		     (long long)s->size);
}

static void check_whole(struct subject *s)
{
	off_t at = 0;
	ssize_t n;

	check_size(s);
	while ((n = pread(s->fd, scratch + at, (size_t)(limit - at), at)) > 0)
		at += n;
	must(n == 0, s, "pread");
	if (at != s->size)
		fail("%s: read %lld bytes, wanted %lld", s->name, (long long)at,
		     (long long)s->size);
	compare(s, scratch, 0, s->size, "reading it whole");
}

/* ---- operations ---- */

static void do_write(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);

	note("%s write %lld+%lld (size %lld)", s->name, (long long)from,
	     (long long)length, (long long)s->size);
	make_bytes(scratch, length);
	must(pwrite(s->fd, scratch, (size_t)length, from) == length, s,
	     "pwrite");
	memcpy(s->model + from, scratch, (size_t)length);
	model_grow(s, from + length);
}

static void do_writev(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);
	size_t cut = (size_t)random_below(&state, (uint64_t)length + 1);
	struct iovec parts[2] = {{scratch, cut},
				 {scratch + cut, (size_t)length - cut}};

	note("%s pwritev %lld+%lld", s->name, (long long)from,
	     (long long)length);
	make_bytes(scratch, length);
	must(pwritev(s->fd, parts, 2, from) == length, s, "pwritev");
	memcpy(s->model + from, scratch, (size_t)length);
	model_grow(s, from + length);
}

static void do_append(struct subject *s)
{
	off_t length = s->size < limit ? choose_length(s->size) : 0;
	int fd = open(s->name, O_WRONLY | O_APPEND);

	note("%s append %lld (size %lld)", s->name, (long long)length,
	     (long long)s->size);
	must(fd >= 0, s, "open to append");
	make_bytes(scratch, length);
	must(write(fd, scratch, (size_t)length) == length, s, "append");
	must(!close(fd), s, "close");
	memcpy(s->model + s->size, scratch, (size_t)length);
	model_grow(s, s->size + length);
}

static void do_read(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);
	off_t there = from < s->size ? s->size - from : 0;
	ssize_t n = pread(s->fd, scratch, (size_t)length, from);

	note("%s read %lld+%lld (size %lld)", s->name, (long long)from,
	     (long long)length, (long long)s->size);
	must(n >= 0, s, "pread");
	if (n != (length < there ? length : there))
		fail("%s: read %zd bytes", s->name, n);
	compare(s, scratch, from, n, "read");
}

static void do_truncate(struct subject *s)
{
	off_t size =
		chance(2) ? choose_offset(s, true) : choose_offset(s, false);
	bool by_name = chance(3);

	note("%s truncate to %lld (size %lld)%s", s->name, (long long)size,
	     (long long)s->size, by_name ? " by name" : "");
	must(!(by_name ? truncate(s->name, size) : ftruncate(s->fd, size)), s,
	     "truncate");
	if (size < s->size)
		memset(s->model + size, 0, (size_t)(s->size - size));
	s->size = size;
	check_size(s);
}

static bool allocate(struct subject *s, int mode, bool *lacks, off_t from,
		     off_t length, const char *what)
{
	note("%s %s %lld+%lld (size %lld)", s->name, what, (long long)from,
	     (long long)length, (long long)s->size);
	if (!fallocate(s->fd, mode, from, length))
		return true;
	must(errno == EOPNOTSUPP, s, what);
	*lacks = true;
	return false;
}

static void do_punch(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (!lacks_punch &&
	    allocate(s, mode, &lacks_punch, from, length, "punch"))
		model_zero(s, from, length);
}

static void do_zero(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);
	bool keep = chance(2);
	int mode = FALLOC_FL_ZERO_RANGE | (keep ? FALLOC_FL_KEEP_SIZE : 0);

	if (lacks_zero || !allocate(s, mode, &lacks_zero, from, length,
				    keep ? "zero, keeping" : "zero"))
		return;
	model_zero(s, from, length);
	if (!keep)
		model_grow(s, from + length);
}

static void do_allocate(struct subject *s)
{
	off_t from = choose_offset(s, false), length = choose_length(from);
	bool keep = chance(2);

	if (lacks_allocate ||
	    !allocate(s, keep ? FALLOC_FL_KEEP_SIZE : 0, &lacks_allocate, from,
		      length, keep ? "allocate, keeping" : "allocate"))
		return;
	if (!keep)
		model_grow(s, from + length);
}

static void do_map_read(struct subject *s)
{
	off_t from = choose_offset(s, true), length, page;
	char *map;

	if (from >= s->size)
		return;
	length = choose_length(from);
	if (length > s->size - from)
		length = s->size - from;
	page = from / 4096 * 4096;
	note("%s map, read %lld+%lld", s->name, (long long)from,
	     (long long)length);
	map = mmap(NULL, (size_t)(from + length - page), PROT_READ,
		   chance(2) ? MAP_SHARED : MAP_PRIVATE, s->fd, page);
	must(map != MAP_FAILED, s, "mmap");
	compare(s, map + (from - page), from, length, "a map");
	must(!munmap(map, (size_t)(from + length - page)), s, "munmap");
}

static void do_map_write(struct subject *s)
{
	off_t from = choose_offset(s, true), length, page;
	bool sync = chance(3);
	char *map;

	if (from >= s->size)
		return;
	length = choose_length(from);
	if (length > s->size - from)
		length = s->size - from;
	page = from / 4096 * 4096;
	note("%s map, write %lld+%lld%s", s->name, (long long)from,
	     (long long)length, sync ? ", msync" : "");
	map = mmap(NULL, (size_t)(from + length - page), PROT_READ | PROT_WRITE,
		   MAP_SHARED, s->fd, page);
	must(map != MAP_FAILED, s, "mmap");
	make_bytes(map + (from - page), length);
	memcpy(s->model + from, map + (from - page), (size_t)length);
	if (sync)
		must(!msync(map, (size_t)(from + length - page), MS_SYNC), s,
		     "msync");
	must(!munmap(map, (size_t)(from + length - page)), s, "munmap");
}

static void do_copy(struct subject *s)
{
	struct subject *to = subjects + random_below(&state, FILES);
	loff_t from = choose_offset(s, true), at = choose_offset(to, false);
	off_t length = choose_length(from > at ? from : at);
	off_t there = s->size - from;
	ssize_t n;

	if (to == s && from < at + length && at < from + length)
		return;
	if (chance(8)) {
		from = at = 0;
		there = length = s->size;
		if (to == s)
			return;
	}
	note("%s copy %lld+%lld to %s at %lld", s->name, (long long)from,
	     (long long)length, to->name, (long long)at);
	if (lacks_copy)
		return;
	off_t first = from, put = at;

	n = copy_file_range(s->fd, &from, to->fd, &at, (size_t)length, 0);
	if (n < 0 && (errno == EOPNOTSUPP || errno == EXDEV)) {
		lacks_copy = true;
		return;
	}
	must(n >= 0, s, "copy_file_range");
	if (n > (length < there ? length : there) ||
	    (!n && length && there > 0) || from != first + n || at != put + n)
		fail("%s: copied %zd bytes", s->name, n);
	memmove(to->model + put, s->model + first, (size_t)n);
	if (n)
		model_grow(to, put + n);
}

static void do_sync(struct subject *s)
{
	bool data = chance(2);

	note("%s %s", s->name, data ? "fdatasync" : "fsync");
	must(!(data ? fdatasync(s->fd) : fsync(s->fd)), s, "fsync");
}

static void do_reopen(struct subject *s)
{
	note("%s reopen", s->name);
	must(!close(s->fd), s, "close");
	if (chance(4))
		posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	s->fd = open(s->name, O_RDWR);
	must(s->fd >= 0, s, "open");
	check_whole(s);
}

/* What the kernel remembers is dropped; what the filesystem has is read. */
static void do_forget(struct subject *s)
{
	note("%s drop its pages", s->name);
	must(!fsync(s->fd), s, "fsync");
	posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
	check_whole(s);
}

static void do_rename(struct subject *s)
{
	char to[32];

	snprintf(to, sizeof(to), "%.20s.%d", s == subjects ? "one" : "two",
		 ++s->renamed % 3);
	note("%s rename to %s", s->name, to);
	must(!rename(s->name, to), s, "rename");
	strcpy(s->name, to);
	check_size(s);
}

/* Another file takes its name, as editors save. */
static void do_replace(struct subject *s)
{
	int fd = open("saved", O_CREAT | O_EXCL | O_RDWR, 0644);
	off_t at = choose_offset(s, true);

	note("%s save anew, %lld bytes", s->name, (long long)at);
	must(fd >= 0, s, "open another");
	must(pwrite(fd, s->model, (size_t)at, 0) == at, s, "write another");
	must(!rename("saved", s->name), s, "rename over");
	must(!close(s->fd), s, "close");
	s->fd = fd;
	memset(s->model + at, 0, (size_t)(s->size - at));
	s->size = at;
	check_whole(s);
}

/* Every hole reads as zeros; all data is found. */
static void do_seek(struct subject *s)
{
	off_t at = 0, data, hole;

	note("%s seek holes", s->name);
	while (at < s->size) {
		data = lseek(s->fd, at, SEEK_DATA);
		must(data >= at || (data < 0 && errno == ENXIO), s,
		     "SEEK_DATA");
		off_t end = data < 0 ? s->size : data;

		for (off_t i = at; i < end; i++)
			if (s->model[i])
				fail("%s: a hole at %lld, where data is",
				     s->name, (long long)i);
		if (data < 0)
			return;
		hole = lseek(s->fd, data, SEEK_HOLE);
		must(hole > data && hole <= s->size, s, "SEEK_HOLE");
		at = hole;
	}
}

static void do_check(struct subject *s)
{
	note("%s check whole", s->name);
	check_whole(s);
}

static const struct {
	void (*run)(struct subject *s);
	unsigned weight;
} operations[] = {
	{do_write, 20},	  {do_writev, 4}, {do_append, 6},    {do_read, 20},
	{do_truncate, 8}, {do_punch, 8},  {do_zero, 6},	     {do_allocate, 4},
	{do_map_read, 8}, {do_copy, 8},	  {do_map_write, 8}, {do_sync, 3},
	{do_reopen, 3},	  {do_forget, 2}, {do_rename, 2},    {do_replace, 1},
	{do_seek, 3},	  {do_check, 3},
};

static void step(void)
{
	unsigned all = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < sizeof(operations) / sizeof(*operations); k++)
		all += operations[k].weight;
	at = (unsigned)random_below(&state, all);
	while (at >= operations[i].weight)
		at -= operations[i++].weight;
	operations[i].run(subjects + random_below(&state, FILES));
}

static int leave_good(const struct subject *s)
{
	char name[48];
	FILE *f;

	snprintf(name, sizeof(name), "%.31s.good", s->name);
	f = fopen(name, "w");
	return !f ||
	       fwrite(s->model, 1, (size_t)s->size, f) != (size_t)s->size ||
	       fclose(f);
}

static void begin(void)
{
	scratch = malloc((size_t)limit);
	for (int i = 0; i < FILES; i++) {
		struct subject *s = subjects + i;

		snprintf(s->name, sizeof(s->name), i ? "two.0" : "one.0");
		s->model = calloc(1, (size_t)limit);
		s->fd = open(s->name, O_CREAT | O_TRUNC | O_RDWR, 0644);
		if (!scratch || !s->model || s->fd < 0)
			fail("%s: %s", s->name, strerror(errno));
	}
}

static int end(bool keep)
{
	int bad = 0;

	for (int i = 0; i < FILES; i++) {
		struct subject *s = subjects + i;

		do_reopen(s);
		must(!close(s->fd), s, "close");
		if (keep)
			bad |= leave_good(s);
		else
			must(!unlink(s->name), s, "unlink");
		free(s->model);
	}
	free(scratch);
	return bad;
}

int main(int argc, char **argv)
{
	unsigned long count = 10000, seed = 1;
	time_t until = 0;
	bool keep = false;
	int option;

	while ((option = getopt(argc, argv, "s:n:t:l:k")) != -1) {
		if (option == 's')
			seed = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			count = strtoul(optarg, NULL, 10);
		else if (option == 't')
			until = time(NULL) + atol(optarg);
		else if (option == 'l')
			limit = atol(optarg);
		else if (option == 'k')
			keep = true;
		else
			return 2;
	}
	if (optind + 1 != argc || limit < 4096 || chdir(argv[optind])) {
		perror("exercise [-s SEED] [-n OPERATIONS | -t SECONDS] "
		       "[-l SIZE] [-k] DIR");
		return 2;
	}
	state = random_mix(seed);
	begin();
	while (until ? time(NULL) < until : done < count)
		step();
	if (end(keep))
		return 1;
	printf("%lu operations with seed %lu are right%s%s%s%s\n", done, seed,
	       lacks_punch ? "; no punch" : "", lacks_zero ? "; no zero" : "",
	       lacks_allocate ? "; no allocate" : "",
	       lacks_copy ? "; no copy" : "");
	return 0;
}
