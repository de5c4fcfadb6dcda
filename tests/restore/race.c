/* The engine's work on one directory, again and again, while racer changes
 * that directory: what lies outside stays as it is.
 *
 *     race RACER DIRECTORY ROUNDS
 *
 * DIRECTORY is made and removed; needs root. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fs/restore_place.h"
#include "tape/error.h"

#define NOBODY 65534
#define TIME   1600000000

static const char *const outside[] = {"f0", "f1", "mine", "theirs"};
#define OUTSIDE (sizeof(outside) / sizeof(outside[0]))

struct scene {
	int top, outside, tree;
	struct stat before[OUTSIDE + 1];
	pid_t racer;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void make_file(int directory, const char *name, uid_t owner)
{
	const struct timespec t[2] = {{.tv_sec = TIME}, {.tv_sec = TIME}};
	int fd = openat(directory, name, O_CREAT | O_WRONLY, 0600);

	if (fd < 0 || fchown(fd, owner, owner) || fchmod(fd, 0600) ||
	    futimens(fd, t))
		die(name);
	close(fd);
}

static int make_directory(int up, const char *name, mode_t mode)
{
	int fd;

	if (mkdirat(up, name, mode) ||
	    (fd = openat(up, name, O_RDONLY | O_DIRECTORY)) < 0 ||
	    fchmod(fd, mode))
		die(name);
	return fd;
}

static void look(const struct scene *s, struct stat *st)
{
	for (size_t n = 0; n < OUTSIDE; n++)
		if (fstatat(s->outside, outside[n], &st[n],
			    AT_SYMLINK_NOFOLLOW))
			memset(&st[n], 0, sizeof(st[n]));
	if (fstat(s->outside, &st[OUTSIDE]))
		die("outside");
}

static bool is_untouched(const struct scene *s)
{
	struct stat now[OUTSIDE + 1];

	look(s, now);
	for (size_t n = 0; n <= OUTSIDE; n++) {
		const struct stat *a = &s->before[n], *b = &now[n];

		if (a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
		    a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
		    a->st_size == b->st_size &&
		    a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		    a->st_mtim.tv_nsec == b->st_mtim.tv_nsec)
			continue;
		printf("race: outside/%s: mode %o is %o, owner %u is %u\n",
		       n < OUTSIDE ? outside[n] : "", a->st_mode, b->st_mode,
		       a->st_uid, b->st_uid);
		return false;
	}
	return true;
}

static void set_scene(struct scene *s, const char *racer, const char *path)
{
	char tree[4096], out[4096], counter[4096];

	if (mkdir(path, 0755) || chmod(path, 0755) ||
	    (s->top = open(path, O_RDONLY | O_DIRECTORY)) < 0)
		die(path);
	s->outside = make_directory(s->top, "outside", 0755);
	s->tree = make_directory(s->top, "tree", 0777);
	for (size_t n = 0; n < OUTSIDE; n++)
		make_file(s->outside, outside[n], n == 2 ? NOBODY : 0);
	look(s, s->before);
	snprintf(tree, sizeof(tree), "%s/tree", path);
	snprintf(out, sizeof(out), "%s/outside", path);
	snprintf(counter, sizeof(counter), "%s/counter", path);
	s->racer = fork();
	if (s->racer == 0) {
		execl(racer, racer, "65534", tree, out, counter, "1", NULL);
		_exit(2);
	}
}

static struct restore_entry entry_of(mode_t mode)
{
	struct restore_entry e = {.content = {.id = 0}};

	e.inode.mode = mode;
	e.inode.nlink = 1;
	e.inode.mtime = (int64_t)TIME * 1000000000;
	return e;
}

static struct place *enter(struct restore *r, struct place *root)
{
	struct restore_entry e = entry_of(S_IFDIR | 0777);
	struct place *p = NULL;
	struct look l;

	e.inode.uid = e.inode.gid = NOBODY;
	look_at_directory(root, "d0", &e.inode, &l);
	if (place_enter(r, root, "d0", 2,
			S_ISDIR(l.subject.present) ? PLACE_OPEN : PLACE_MAKE,
			&e, &p))
		return NULL;
	return p;
}

/* Files that are there already, some of them, and such that are not. */
static void play(struct restore *r, struct place *root, unsigned round)
{
	struct restore_entry file = entry_of(S_IFREG | S_ISUID | 0777);
	struct restore_entry linked = entry_of(S_IFREG | 0666);
	struct restore_entry link = entry_of(S_IFLNK | 0777);
	struct restore_entry fifo = entry_of(S_IFIFO | 0666);
	struct written out = {0};
	struct place *p = enter(r, root);

	if (!p)
		return;
	file.inode.mtime += round % 2;
	linked.inode.nlink = 2;
	linked.inode.uid = NOBODY;
	link.target = strdup(round % 2 ? "../../outside/theirs" : "f0");
	link.inode.target_length = strlen(link.target);
	write_entry(r, p, "f0", &file, NULL);
	write_entry(r, p, "f1", &linked, &out);
	if (out.here)
		write_link(r, p, "f2", "d0/f1", out.inode, &linked);
	free(out.staged);
	write_entry(r, p, "f3", round % 3 ? &link : &fifo, NULL);
	free(link.target);
	place_put(r, p);
}

static unsigned run(struct scene *s, unsigned rounds)
{
	const struct restore_options options = {.delete = true};
	struct restore r = {.options = &options, .root = s->tree};
	struct restore_entry e = {.content = {.id = 0}};
	struct place *root;
	unsigned n;

	clock_gettime(CLOCK_REALTIME, &r.begun);
	pthread_mutex_init(&r.telling, NULL);
	if (clones_new(&r, &r.clones) ||
	    place_root(&r, dup(s->tree), false, &e, &root))
		die("restore");
	for (n = 0; n < rounds; n++) {
		play(&r, root, n);
		if (n % 64 == 0 && !is_untouched(s))
			break;
	}
	place_put(&r, root);
	clones_free(r.clones);
	return n;
}

int main(int argc, char **argv)
{
	struct scene s;
	char command[4200];
	bool right;
	unsigned n;

	if (argc != 4)
		return 2;
	if (geteuid()) {
		printf("race: skipped: needs root\n0 passed, 0 failed\n");
		return 0;
	}
	set_scene(&s, argv[1], argv[2]);
	freopen("/dev/null", "w", stderr); /* what could not be restored */
	n = run(&s, (unsigned)atoi(argv[3]));
	right = is_untouched(&s) && kill(s.racer, 0) == 0;
	kill(s.racer, SIGTERM);
	waitpid(s.racer, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", argv[2]);
	right = system(command) == 0 && right;
	printf("race: %u rounds\n%d passed, %d failed\n", n, right, !right);
	return right ? 0 : 1;
}
