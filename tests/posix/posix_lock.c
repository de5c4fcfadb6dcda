/* Locks between processes: flock, fcntl, and those of an open file. */
#include "tests/posix/check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>

static struct flock region(short type, off_t from, off_t length)
{
	return (struct flock){.l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = from,
			      .l_len = length};
}

struct question {
	int command;
	struct flock lock;
	bool flock;
	int operation;
	const char *path;
};

/* What another process is told: 0 or the errno. */
static int ask(void *context)
{
	struct question *q = context;
	int fd = open(q->path, O_RDWR);

	if (q->flock)
		return flock(fd, q->operation) ? errno : 0;
	return fcntl(fd, q->command, &q->lock) ? errno : 0;
}

#define OTHER_FLOCK(path_, operation_)                                         \
	in_child(ask, &(struct question){.path = (path_),                      \
					 .flock = true,                        \
					 .operation = (operation_)})
#define OTHER_LOCK(path_, type, from, length)                                  \
	in_child(ask, &(struct question){.path = (path_),                      \
					 .command = F_SETLK,                   \
					 .lock = region(type, from, length)})

static void lock_flock(void)
{
	fill("f", "x");
	link("f", "g");
	int fd = open_or_end("f", O_RDWR, 0), copy;

	WANT(flock(fd, LOCK_EX), 0);
	SAME(OTHER_FLOCK("f", LOCK_EX | LOCK_NB), EWOULDBLOCK);
	SAME(OTHER_FLOCK("g", LOCK_SH | LOCK_NB), EWOULDBLOCK);
	WANT(flock(fd, LOCK_SH), 0);
	SAME(OTHER_FLOCK("f", LOCK_SH | LOCK_NB), 0);
	SAME(OTHER_FLOCK("f", LOCK_EX | LOCK_NB), EWOULDBLOCK);
	WANT(rename("f", "h"), 0);
	SAME(OTHER_FLOCK("h", LOCK_EX | LOCK_NB), EWOULDBLOCK);
	copy = dup(fd);
	close(fd);
	SAME(OTHER_FLOCK("g", LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(copy);
	SAME(OTHER_FLOCK("g", LOCK_EX | LOCK_NB), 0);
	fd = open_or_end("g", O_RDONLY, 0);
	WANT(flock(fd, LOCK_EX | LOCK_NB), 0);
	WANT(flock(fd, LOCK_UN), 0);
	SAME(OTHER_FLOCK("g", LOCK_EX | LOCK_NB), 0);
	close(fd);
	fd = open_or_end(".", O_RDONLY | O_DIRECTORY, 0);
	WANT(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static void lock_fcntl(void)
{
	fill("f", "0123456789");
	int fd = open_or_end("f", O_RDWR, 0), second;
	struct flock l = region(F_WRLCK, 2, 3), q;

	WANT(fcntl(fd, F_SETLK, &l), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 4, 1), EAGAIN);
	SAME(OTHER_LOCK("f", F_RDLCK, 0, 0), EAGAIN);
	SAME(OTHER_LOCK("f", F_WRLCK, 5, 0), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 2), 0);
	l = region(F_UNLCK, 3, 1);
	WANT(fcntl(fd, F_SETLK, &l), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 3, 1), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 2, 1), EAGAIN);
	l = region(F_RDLCK, 0, 0);
	WANT(fcntl(fd, F_SETLK, &l), 0);
	SAME(OTHER_LOCK("f", F_RDLCK, 0, 0), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 1 << 20, 1), EAGAIN);
	q = region(F_WRLCK, 0, 0);
	WANT(fcntl(fd, F_GETLK, &q), 0);
	SAME(q.l_type, F_UNLCK);
	/* any close of the file by this process gives them up */
	second = open_or_end("f", O_RDONLY, 0);
	close(second);
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 0), 0);
	close(fd);
	fd = open_or_end("f", O_RDONLY, 0);
	l = region(F_WRLCK, 0, 1);
	WANT(fcntl(fd, F_SETLK, &l), EBADF);
	close(fd);
}

static void lock_open_file(void)
{
	fill("f", "x");
	int a = open_or_end("f", O_RDWR, 0), b = open_or_end("f", O_RDWR, 0);
	struct flock l = region(F_WRLCK, 0, 10);

	WANT(fcntl(a, F_OFD_SETLK, &l), 0);
	l = region(F_WRLCK, 5, 1);
	WANT(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	l = region(F_WRLCK, 10, 1);
	WANT(fcntl(b, F_OFD_SETLK, &l), 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 1), EAGAIN);
	close(open_or_end("f", O_RDONLY, 0));
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 1), EAGAIN);
	close(a);
	l = region(F_WRLCK, 5, 1);
	WANT(fcntl(b, F_OFD_SETLK, &l), 0);
	close(b);
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 0), 0);
}

/* One waits until the other lets go. */
static void lock_wait(void)
{
	fill("f", "");
	int fd = open_or_end("f", O_RDWR | O_APPEND, 0), state;
	struct flock l = region(F_WRLCK, 0, 0);
	pid_t pid;

	WANT(fcntl(fd, F_SETLK, &l), 0);
	pid = fork();
	if (!pid) {
		fd = open("f", O_RDWR | O_APPEND);
		if (fcntl(fd, F_SETLKW, &l) || write(fd, "child", 5) != 5)
			_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 10; i++)
		tick();
	SAME(status("f").st_size, 0);
	SAME(write(fd, "parent", 6), 6);
	l = region(F_UNLCK, 0, 0);
	WANT(fcntl(fd, F_SETLK, &l), 0);
	SAME(waitpid(pid, &state, 0), pid);
	SAME(state, 0);
	TRUE(holds("f", "parentchild"));
	/* a holder that is killed holds nothing */
	pid = fork();
	if (!pid) {
		fd = open("f", O_RDWR);
		l = region(F_WRLCK, 0, 0);
		if (fcntl(fd, F_SETLK, &l) || flock(fd, LOCK_EX) ||
		    write(fd, "K", 1) != 1)
			_exit(1);
		pause();
	}
	for (int i = 0; i < 100 && !holds("f", "Karentchild"); i++)
		tick();
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 0), EAGAIN);
	SAME(OTHER_FLOCK("f", LOCK_SH | LOCK_NB), EWOULDBLOCK);
	kill(pid, SIGKILL);
	waitpid(pid, &state, 0);
	SAME(OTHER_LOCK("f", F_WRLCK, 0, 0), 0);
	SAME(OTHER_FLOCK("f", LOCK_SH | LOCK_NB), 0);
	close(fd);
}

/* Eight processes count in one file under a lock: no count is lost. */
static void lock_count(void)
{
	int state, bad = 0;
	char text[16] = "";

	fill("f", "0");
	for (int p = 0; p < 8; p++) {
		if (fork())
			continue;
		for (int i = 0; i < 50; i++) {
			int fd = open("f", O_RDWR);
			char number[16] = "";

			flock(fd, LOCK_EX);
			pread(fd, number, 15, 0);
			int n = snprintf(number, sizeof(number), "%d",
					 atoi(number) + 1);
			if (pwrite(fd, number, (size_t)n, 0) != n)
				_exit(1);
			close(fd);
		}
		_exit(0);
	}
	while (wait(&state) > 0)
		bad += state != 0;
	SAME(bad, 0);
	int fd = open_or_end("f", O_RDONLY, 0);

	SAME(read(fd, text, 15), 3);
	SAME(atoi(text), 400);
	close(fd);
}

const struct check checks_lock[] = {
	{"lock-flock", lock_flock, false},
	{"lock-fcntl", lock_fcntl, false},
	{"lock-open-file", lock_open_file, false},
	{"lock-wait", lock_wait, false},
	{"lock-count", lock_count, false},
	{0},
};
