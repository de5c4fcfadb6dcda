#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/spool.h"
#include "tape/error.h"
#include "tests/unit/sample.h"

#define NEW (UINT64_C(1) << 63)

static struct sample s;
static struct spool *spool;

static int begin(void)
{
	sample_begin(&s);
	return spool_open(s.set, "/mnt", &spool);
}

static int end(void)
{
	spool_close(spool);
	sample_end(&s);
	return 0;
}

static void again(void)
{
	spool_close(spool);
	spool = NULL;
	CU_ASSERT_EQUAL_FATAL(spool_open(s.set, "/mnt", &spool), 0);
}

/* A file with a row, one name, and `there` of its `size` bytes. */
static uint64_t make(const char *name, uint64_t size, uint64_t there,
		     enum spool_synced synced, uint64_t base)
{
	struct spool_node n = {.inode = spool_new_inode(spool),
			       .base = base,
			       .state = SPOOL_DIRTY,
			       .mode = S_IFREG | 0644,
			       .nlink = 1,
			       .size = size,
			       .synced = synced,
			       .file = spool_new_file(spool)};
	int fd = spool_make_file(spool, n.file);

	n.id = NEW | n.inode;
	n.change = spool_new_change(spool);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)there), 0);
	close(fd);
	CU_ASSERT_EQUAL(spool_put(spool, &n), 0);
	CU_ASSERT_EQUAL(spool_enter(spool, 1, name, strlen(name), n.id,
				    SPOOL_DIRTY, n.change),
			0);
	return n.id;
}

static int look(const char *name, uint64_t *id)
{
	struct spool_entry e = {0};
	int error = spool_lookup(spool, 1, name, strlen(name), &e);

	*id = e.node;
	return error;
}

static void clear(void)
{
	struct spool_entry e;
	char names[16][256];
	int count = 0;

	CU_ASSERT_EQUAL(spool_list(spool, 1, "", 0), 0);
	while (count < 16 && spool_step(spool, &e) == 1)
		snprintf(names[count++], 256, "%s", e.name);
	spool_list_end(spool);
	while (count--)
		spool_leave(spool, 1, names[count], strlen(names[count]));
	again();
}

static void rows(void)
{
	uint64_t a = make("a", 10, 10, SPOOL_UNSYNCED, 0), id, names, bytes;
	struct spool_node n;

	again();
	CU_ASSERT_EQUAL(look("a", &id), 0);
	CU_ASSERT_EQUAL(id, a);
	CU_ASSERT_EQUAL(look("b", &id), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(spool_get(spool, a, &n), 0);
	CU_ASSERT_EQUAL(n.size, 10);
	CU_ASSERT_EQUAL(n.state, SPOOL_DIRTY);
	spool_node_release(&n);
	CU_ASSERT_EQUAL(spool_count(spool, &names, &bytes), 0);
	CU_ASSERT_EQUAL(names, 1);
	CU_ASSERT_EQUAL(bytes, 10);
	CU_ASSERT(spool_pending(s.set));
	clear();
	CU_ASSERT_FALSE(spool_pending(s.set));
	CU_ASSERT_EQUAL(spool_get(spool, a, &n), REEL_ENOENT);
}

/* P7: a file that may not grow is a full disk. */
static void full(void)
{
	struct rlimit old, small;
	uint64_t id;
	char name[16];

	make("before", 0, 0, SPOOL_UNSYNCED, 0);
	CU_ASSERT_EQUAL(spool_sync(spool), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 100;
	setrlimit(RLIMIT_FSIZE, &small);
	for (int n = 0; n < 10; n++) {
		snprintf(name, sizeof(name), "full%d", n);
		make(name, 0, 0, SPOOL_UNSYNCED, 0);
		CU_ASSERT_NOT_EQUAL(spool_flush(spool), 0);
		CU_ASSERT_EQUAL(look(name, &id), 0);
	}
	CU_ASSERT_EQUAL(look("full0", &id), 0);
	setrlimit(RLIMIT_FSIZE, &old);
	CU_ASSERT_EQUAL(spool_flush(spool), 0);
	again();
	for (int n = 0; n < 10; n++) {
		snprintf(name, sizeof(name), "full%d", n);
		CU_ASSERT_EQUAL(look(name, &id), 0);
	}
	CU_ASSERT_EQUAL(look("before", &id), 0);
	clear();
}

/* P6 */
static void excluded(void)
{
	uint64_t two = make("doc", 5, 5, SPOOL_SYNCED, 0), id;
	uint64_t one = make("x.tmp", 5, 5, SPOOL_SYNCED, 0);
	uint64_t change = spool_last_change(spool);
	struct spool_node n;

	spool_enter(spool, 1, "doc.tmp", 7, two, SPOOL_DIRTY, change);
	CU_ASSERT_EQUAL(spool_entry_excluded(spool, 1, "doc.tmp", 7, change),
			0);
	CU_ASSERT_EQUAL(spool_entry_excluded(spool, 1, "x.tmp", 5, change), 0);
	again();
	CU_ASSERT_EQUAL(look("doc", &id), 0);
	CU_ASSERT_EQUAL(look("doc.tmp", &id), REEL_ENOENT);
	CU_ASSERT_EQUAL(look("x.tmp", &id), REEL_ENOENT);
	CU_ASSERT_EQUAL(spool_get(spool, one, &n), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(spool_get(spool, two, &n), 0);
	CU_ASSERT(spool_open_file(spool, n.file + 1) < 0);
	spool_node_release(&n);
	/* judged anew they are like others */
	spool_entry_excluded(spool, 1, "doc", 3, spool_last_change(spool));
	CU_ASSERT_EQUAL(spool_include_all(spool), 0);
	again();
	CU_ASSERT_EQUAL(look("doc", &id), 0);
	clear();
}

static void cut_power(void)
{
	char boot[160];
	FILE *f;

	spool_close(spool);
	spool = NULL;
	snprintf(boot, sizeof(boot), "%s/spool/current/boot", s.path);
	f = fopen(boot, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("another", f);
	fclose(f);
	CU_ASSERT_EQUAL_FATAL(spool_open(s.set, "/mnt", &spool), 0);
}

/* P3 */
static void power(void)
{
	uint64_t lost = make("lost", 100, 40, SPOOL_UNSYNCED, 0), id;
	uint64_t kept = make("kept", 100, 40, SPOOL_SYNCED_ONCE, 0);
	uint64_t firm = make("firm", 100, 40, SPOOL_SYNCED, 0);
	uint64_t based = make("based", 100, 40, SPOOL_UNSYNCED, 7);
	uint64_t whole = make("whole", 100, 100, SPOOL_UNSYNCED, 0);
	struct spool_node n;

	cut_power();
	CU_ASSERT_EQUAL(spool_get(spool, lost, &n), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(spool_get(spool, kept, &n), 0);
	CU_ASSERT_EQUAL(n.size, 40);
	spool_node_release(&n);
	CU_ASSERT_EQUAL_FATAL(spool_get(spool, firm, &n), 0);
	CU_ASSERT_EQUAL(n.size, 40);
	spool_node_release(&n);
	CU_ASSERT_EQUAL_FATAL(spool_get(spool, whole, &n), 0);
	CU_ASSERT_EQUAL(n.size, 100);
	spool_node_release(&n);
	CU_ASSERT_EQUAL(spool_next_mended(spool, SPOOL_FIRST, &id), 0);
	CU_ASSERT_EQUAL(id, based);
	CU_ASSERT_EQUAL(spool_next_mended(spool, id, &id), REEL_ENOENT);
	clear();
}

/* A file without its bytes had the name of a directory that had moved away: the
 * base's directory would be there twice. */
static void lost_name_is_not_the_base_s_again(void)
{
	uint64_t id = 1;

	make("sub", 100, 40, SPOOL_UNSYNCED, 0);
	cut_power();
	CU_ASSERT_EQUAL(look("sub", &id), 0);
	CU_ASSERT_EQUAL(id, 0);
	clear();
}

static void locked(void)
{
	struct spool *other = NULL;
	char *owner = spool_owner(s.set);

	CU_ASSERT_PTR_NOT_NULL_FATAL(owner);
	CU_ASSERT_STRING_EQUAL(owner, "/mnt");
	free(owner);
	CU_ASSERT_EQUAL(spool_open(s.set, "/other", &other), REEL_ELOCKED);
}

static void write_log(const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/spool/current/spool.db", s.path);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* A log that was never written to has nothing in it; one that cannot be read
 * may have all. */
static void unreadable(void)
{
	struct sample own = s;

	spool_close(spool);
	spool = NULL;
	sample_begin(&s);
	CU_ASSERT_FALSE(spool_pending(s.set));
	CU_ASSERT_EQUAL_FATAL(spool_open(s.set, "/mnt", &spool), 0);
	spool_close(spool);
	spool = NULL;
	write_log("");
	CU_ASSERT_FALSE(spool_pending(s.set));
	write_log("this was a database once, and has somebody's files in it");
	CU_ASSERT(spool_pending(s.set));
	CU_ASSERT_EQUAL(spool_open(s.set, "/mnt", &spool), REEL_EDAMAGED);
	sample_end(&s);
	s = own;
	CU_ASSERT_EQUAL_FATAL(spool_open(s.set, "/mnt", &spool), 0);
}

void suite_spool(void);
void suite_spool(void)
{
	CU_pSuite suite = CU_add_suite("spool", begin, end);

	CU_add_test(suite, "rows", rows);
	CU_add_test(suite, "full", full);
	CU_add_test(suite, "excluded", excluded);
	CU_add_test(suite, "power", power);
	CU_add_test(suite, "a lost name is not the base's again",
		    lost_name_is_not_the_base_s_again);
	CU_add_test(suite, "locked", locked);
	CU_add_test(suite, "unreadable", unreadable);
}
