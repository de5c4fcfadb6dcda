/* A filesystem that takes FILE and file, and name. and name, for one, as vfat
 * does: a directory shown through such glasses. For tests on machines whose
 * kernel has none of these.
 *
 *     foldfs DIRECTORY MNT [-o lower] [-o old] ...
 *
 * A name is that of the first file with the same letters; a new one keeps its
 * letters but loses dots at its end. `lower`: names are listed in small
 * letters. `old`: no RENAME_NOREPLACE. No name may have a colon. No file may
 * be longer than `quota`; with `late` only closing it says so. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct fold {
	int lower, old, late;
	unsigned long quota;
	int root;
};

static struct fold fold;

static size_t trimmed(const char *name, size_t length)
{
	while (length > 1 && name[length - 1] == '.')
		length--;
	return length;
}

/* The listed name of `name`, or itself. */
static void listed(const char *directory, const char *name, size_t length,
		   char *out)
{
	int fd = openat(fold.root, directory, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	length = trimmed(name, length);
	snprintf(out, NAME_MAX + 1, "%.*s", (int)length, name);
	while (d && (e = readdir(d)))
		if (strlen(e->d_name) == length &&
		    !strncasecmp(e->d_name, name, length)) {
			strcpy(out, e->d_name);
			break;
		}
	if (d)
		closedir(d);
}

static const char *real(const char *path, char out[PATH_MAX])
{
	char name[NAME_MAX + 1];

	strcpy(out, ".");
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length) {
			listed(out, path, length, name);
			strcat(out, "/");
			strcat(out, name);
		}
		path += length + (path[length] == '/');
	}
	return out;
}

static int answer(int result)
{
	return result < 0 ? -errno : result;
}

static void *fold_init(struct fuse_conn_info *c, struct fuse_config *config)
{
	(void)c;
	config->use_ino = 1;
	config->entry_timeout = config->attr_timeout = 0;
	config->negative_timeout = 0;
	return NULL;
}

static int fold_getattr(const char *path, struct stat *st,
			struct fuse_file_info *f)
{
	char at[PATH_MAX];

	if (f)
		return answer(fstat((int)f->fh, st));
	return answer(
		fstatat(fold.root, real(path, at), st, AT_SYMLINK_NOFOLLOW));
}

static int fold_readdir(const char *path, void *buffer, fuse_fill_dir_t fill,
			off_t offset, struct fuse_file_info *f,
			enum fuse_readdir_flags flags)
{
	char at[PATH_MAX];
	int fd = openat(fold.root, real(path, at), O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	(void)offset;
	(void)f;
	(void)flags;
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		for (char *c = e->d_name; fold.lower && *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? *c + 32 : *c;
		fill(buffer, e->d_name, NULL, 0, 0);
	}
	closedir(d);
	return 0;
}

static int fold_open(const char *path, struct fuse_file_info *f)
{
	char at[PATH_MAX];
	int fd = openat(fold.root, real(path, at), f->flags & ~O_NOFOLLOW);

	f->fh = (uint64_t)fd;
	return fd < 0 ? -errno : 0;
}

static int fold_create(const char *path, mode_t mode, struct fuse_file_info *f)
{
	char at[PATH_MAX];

	if (strchr(path, ':'))
		return -EINVAL;
	f->fh = (uint64_t)openat(fold.root, real(path, at), f->flags | O_CREAT,
				 mode);
	return (int)f->fh < 0 ? -errno : 0;
}

static int fold_flush(const char *path, struct fuse_file_info *f)
{
	struct stat st;

	(void)path;
	return fold.quota && fstat((int)f->fh, &st) == 0 &&
			       (unsigned long)st.st_size > fold.quota
		       ? -EDQUOT
		       : 0;
}

static int fold_release(const char *path, struct fuse_file_info *f)
{
	(void)path;
	return answer(close((int)f->fh));
}

static int fold_read(const char *path, char *buffer, size_t size, off_t offset,
		     struct fuse_file_info *f)
{
	(void)path;
	return answer((int)pread((int)f->fh, buffer, size, offset));
}

static int fold_write(const char *path, const char *buffer, size_t size,
		      off_t offset, struct fuse_file_info *f)
{
	(void)path;
	if (fold.quota && !fold.late &&
	    (unsigned long)offset + size > fold.quota)
		return -EDQUOT;
	return answer((int)pwrite((int)f->fh, buffer, size, offset));
}

static int fold_mkdir(const char *path, mode_t mode)
{
	char at[PATH_MAX];

	if (strchr(path, ':'))
		return -EINVAL;
	return answer(mkdirat(fold.root, real(path, at), mode));
}

static int fold_unlink(const char *path)
{
	char at[PATH_MAX];

	return answer(unlinkat(fold.root, real(path, at), 0));
}

static int fold_rmdir(const char *path)
{
	char at[PATH_MAX];

	return answer(unlinkat(fold.root, real(path, at), AT_REMOVEDIR));
}

static int fold_rename(const char *from, const char *to, unsigned flags)
{
	char a[PATH_MAX], b[PATH_MAX];

	if ((flags && fold.old) || strchr(to, ':'))
		return -EINVAL;
	return answer(renameat2(fold.root, real(from, a), fold.root,
				real(to, b), flags));
}

static int fold_link(const char *from, const char *to)
{
	char a[PATH_MAX], b[PATH_MAX];

	return answer(
		linkat(fold.root, real(from, a), fold.root, real(to, b), 0));
}

static int fold_chmod(const char *path, mode_t mode, struct fuse_file_info *f)
{
	char at[PATH_MAX];

	(void)f;
	return answer(fchmodat(fold.root, real(path, at), mode, 0));
}

static int fold_chown(const char *path, uid_t uid, gid_t gid,
		      struct fuse_file_info *f)
{
	char at[PATH_MAX];

	(void)f;
	return answer(fchownat(fold.root, real(path, at), uid, gid,
			       AT_SYMLINK_NOFOLLOW));
}

static int fold_utimens(const char *path, const struct timespec t[2],
			struct fuse_file_info *f)
{
	char at[PATH_MAX];

	(void)f;
	return answer(
		utimensat(fold.root, real(path, at), t, AT_SYMLINK_NOFOLLOW));
}

static int fold_truncate(const char *path, off_t size, struct fuse_file_info *f)
{
	(void)path;
	return f ? answer(ftruncate((int)f->fh, size)) : -EINVAL;
}

static const struct fuse_operations operations = {
	.init = fold_init,
	.getattr = fold_getattr,
	.readdir = fold_readdir,
	.open = fold_open,
	.create = fold_create,
	.flush = fold_flush,
	.release = fold_release,
	.read = fold_read,
	.write = fold_write,
	.mkdir = fold_mkdir,
	.unlink = fold_unlink,
	.rmdir = fold_rmdir,
	.rename = fold_rename,
	.link = fold_link,
	.chmod = fold_chmod,
	.chown = fold_chown,
	.utimens = fold_utimens,
	.truncate = fold_truncate,
};

int main(int argc, char **argv)
{
	static const struct fuse_opt options[] = {
		{"lower", offsetof(struct fold, lower), 1},
		{"old", offsetof(struct fold, old), 1},
		{"late", offsetof(struct fold, late), 1},
		{"quota=%lu", offsetof(struct fold, quota), 0},
		FUSE_OPT_END,
	};
	struct fuse_args args = FUSE_ARGS_INIT(argc - 1, argv + 1);

	if (argc < 3)
		return 2;
	fold.root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	argv[1] = argv[0];
	umask(0);
	if (fold.root < 0 || fuse_opt_parse(&args, &fold, options, NULL))
		return 2;
	return fuse_main(args.argc, args.argv, &operations, NULL);
}
