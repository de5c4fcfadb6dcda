/* LastRestoreId: programs that must know whether the system was restored since
 * they last looked keep a copy of TARGET/var/lib/reel/last-restore-id and
 * compare. The file has one line, a new random UUID after each restore that
 * changed a directory of the operating system in a target that is (or now has)
 * a root filesystem. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/set.h"
#include "tape/error.h"
#include "tape/log.h"

#define ID_DIRECTORY "var/lib/reel"
#define ID_FILE	     "last-restore-id"
#define ID_NEW	     ".last-restore-id.new"

bool system_name(const char *name, size_t length)
{
	static const char *const names[] = {
		"bin",	 "boot",   "etc",  "lib", "lib32",
		"lib64", "libx32", "sbin", "usr",
	};

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		if (strlen(names[n]) == length &&
		    !memcmp(names[n], name, length))
			return true;
	return false;
}

static bool is_root_filesystem(int root)
{
	static const char *const marks[][2] = {{"etc", "os-release"},
					       {"usr/lib", "os-release"},
					       {"etc", "fstab"}};

	for (size_t n = 0; n < sizeof(marks) / sizeof(marks[0]); n++) {
		int fd = beneath_open(root, marks[n][0]);
		bool there;

		if (fd < 0)
			continue;
		there = faccessat(fd, marks[n][1], F_OK, AT_SYMLINK_NOFOLLOW) ==
			0;
		close(fd);
		if (there)
			return true;
	}
	return false;
}

static int make_id(char text[38])
{
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return REEL_EIO;
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	set_uuid_text(id, text);
	text[36] = '\n';
	text[37] = '\0';
	return 0;
}

static int put_id(int directory)
{
	char text[38];
	int err = make_id(text);
	int fd;

	if (err)
		return err;
	if (unlinkat(directory, ID_NEW, 0) && errno != ENOENT)
		return error_from_errno(errno);
	fd = openat(directory, ID_NEW,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_from_errno(errno);
	if (write(fd, text, 37) != 37 || fchmod(fd, 0644) || fsync(fd))
		err = error_from_errno(errno ? errno : EIO);
	close(fd);
	if (!err && renameat(directory, ID_NEW, directory, ID_FILE))
		err = error_from_errno(errno);
	if (!err && fsync(directory))
		err = error_from_errno(errno);
	return err;
}

/* 1: a new id was written. */
int system_note(struct restore *r)
{
	int fd, err;

	if (!atomic_load(&r->system) || !is_root_filesystem(r->root))
		return 0;
	fd = beneath_make(r->root, ID_DIRECTORY, 0755);
	err = fd < 0 ? fd : put_id(fd);
	if (fd >= 0)
		close(fd);
	if (!err)
		return 1;
	log_warning("%s/" ID_DIRECTORY "/" ID_FILE ": cannot be written, so "
		    "programs do not learn of this restore: %s",
		    r->options->to, error_text(err));
	atomic_fetch_add(&r->problems, 1);
	return 0;
}
