/* Image drives: a .tap file for each partition (tap.h), settings beside it
 * (image_conf.h). One program writes an image, or several read it: flock(2) on
 * the first partition's file.
 *
 * A block that does not fit into the capacity is refused whole; marks have a
 * reserve behind it, as tapes do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/bytes.h"
#include "tape/drive_image.h"
#include "tape/log.h"

#define MARK_RESERVE (64u << 10) /* bytes behind the capacity */
#define EARLY_SHARE  64		 /* of the capacity, when not set */
#define CONF_END     ".conf"

/* ---- files ---- */

static char *text(const char *front, size_t length, const char *end)
{
	size_t more = strlen(end) + 1;
	char *made = malloc(length + more);

	if (!made)
		return NULL;
	memcpy(made, front, length);
	memcpy(made + length, end, more);
	return made;
}

char *image_partition_path(const struct image *i, uint32_t partition)
{
	char end[16] = "";

	if (partition)
		snprintf(end, sizeof(end), ".p%u", (unsigned)partition);
	return text(i->path, strlen(i->path), end);
}

int image_cannot(struct image *i, const char *what, int err)
{
	return drive_fail(&i->base, error_from_errno(err), "cannot %s: %s",
			  what, strerror(err));
}

/* A file that was made must be found after a crash, too. */
static int sync_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? text(path, (size_t)(slash - path) + 1, "")
			     : text(".", 1, "");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = fd < 0 || fsync(fd) ? REEL_EIO : 0;

	if (fd >= 0)
		close(fd);
	free(folder);
	return error;
}

static int open_file(struct image *i, const char *path, bool create, int *fd)
{
	/* a pipe would be waited for, and is refused below */
	int flags = O_CLOEXEC | O_NONBLOCK | (i->writable ? O_RDWR : O_RDONLY);
	struct stat st;

	create = create && i->writable && access(path, F_OK) != 0;
	if (create)
		flags |= O_CREAT;
	*fd = open(path, flags, 0666);
	if (*fd < 0)
		return error_from_errno(errno);
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode)) {
		close(*fd);
		return REEL_EINVAL;
	}
	if (create && !i->base.options.no_sync && sync_name(path)) {
		close(*fd);
		return REEL_EIO;
	}
	return 0;
}

/* The first file decides whether the image can be written at all. */
static int open_first(struct image *i, const struct drive_options *o)
{
	int error;

	i->writable = !o->read_only;
	error = open_file(i, i->path, o->create, &i->lock);
	if (i->writable && (error == REEL_EPERM || error == REEL_EROFS)) {
		i->writable = false;
		error = open_file(i, i->path, false, &i->lock);
	}
	i->tab = !error && access(i->path, W_OK) != 0;
	if (error == REEL_EINVAL)
		return drive_fail(&i->base, error, "not a regular file");
	if (error)
		return drive_fail(&i->base, error, "cannot be opened: %s",
				  error_text(error));
	if (!flock(i->lock, (i->writable ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return 0;
	error = errno == EWOULDBLOCK ? REEL_EBUSY : error_from_errno(errno);
	return drive_fail(&i->base, error,
			  error == REEL_EBUSY
				  ? "another program uses it; try again when "
				    "it has ended"
				  : "cannot be locked");
}

/* ---- the cartridge ---- */

static int refuse_content(struct image *i, int error)
{
	if (error == REEL_EDAMAGED)
		return drive_fail(&i->base, error,
				  "not a tape image: no block or filemark "
				  "stands at its beginning");
	return drive_fail(&i->base, error, "cannot be read: %s",
			  error_text(error));
}

static void say_wrong(const struct image *i)
{
	if (i->tap.mended)
		log_warning("%s: %u %s a length that is wrong and known from "
			    "its other copy; save the image elsewhere, its "
			    "disk changes what it keeps",
			    i->path, (unsigned)i->tap.mended,
			    i->tap.mended == 1 ? "block has" : "blocks have");
	if (i->tap.torn)
		log_warning("%s: the last block is not whole (its writer was "
			    "cut short); the data end before it, at byte "
			    "%" PRIu64,
			    i->path, i->tap.end.offset);
	if (i->tap.damaged)
		log_warning("%s: damaged at byte %" PRIu64
			    "; what lies behind it cannot be read",
			    i->path, i->tap.end.offset);
}

int image_insert(struct image *i, uint32_t partition)
{
	char *path = image_partition_path(i, partition);
	struct tap tap;
	int fd, error;

	if (!path)
		return REEL_ENOMEM;
	error = open_file(i, path, partition != 0, &fd);
	free(path);
	if (error)
		return drive_fail(&i->base, error,
				  "partition %u cannot be opened: %s",
				  (unsigned)partition, error_text(error));
	error = tap_init(&tap, fd, i->conf.repair);
	if (error) {
		close(fd);
		return refuse_content(i, error);
	}
	if (i->present)
		tap_release(&i->tap);
	i->tap = tap;
	i->present = true;
	i->partition = partition;
	i->at = (struct tap_place){0};
	say_wrong(i);
	return 0;
}

void image_eject(struct image *i)
{
	if (i->present)
		tap_release(&i->tap);
	i->present = false;
}

int image_needs_cartridge(struct image *i)
{
	if (i->present)
		return 0;
	return drive_fail(&i->base, REEL_EMEDIUM,
			  "no cartridge is loaded; `reel tape load` loads it");
}

bool image_write_protected(const struct image *i)
{
	return i->conf.is_protected || i->tab;
}

/* Where the tape is can be kept beside the image, if it is to be. */
static int needs_place(struct image *i)
{
	const char *slash = strrchr(i->conf_path, '/');
	char *folder = slash ? text(i->conf_path,
				    (size_t)(slash - i->conf_path) + 1, "")
			     : text(".", 1, "");
	bool may = folder && (!i->base.options.keep || !access(folder, W_OK));

	free(folder);
	if (may)
		return 0;
	return drive_fail(&i->base, REEL_EROFS,
			  "where the tape is cannot be kept beside it: its "
			  "directory cannot be written");
}

int image_may_write(struct image *i)
{
	int error = image_needs_cartridge(i);

	if (!error && (image_write_protected(i) || !i->writable))
		return drive_fail(&i->base, REEL_EROFS,
				  "the cartridge is write-protected");
	return error ? error : needs_place(i);
}

/* ---- open and close ---- */

static const struct drive_operations image_operations;
static const struct drive_operations walking_operations;

static int configure(struct image *i, const char *options)
{
	const char *wrong = NULL;
	int error = image_conf_load(&i->saved, i->conf_path);

	i->conf = i->saved;
	if (error || !*options)
		return error;
	options++;
	if (!image_conf_parse(&i->conf, options, strlen(options), true, &wrong))
		return 0;
	return drive_fail(&i->base, REEL_EINVAL, "not understood: ?%.*s",
			  (int)strcspn(wrong, "&"), wrong);
}

/* With `keep` the head stays where it is for the next program. */
static int keep_place(struct image *i)
{
	uint64_t object = i->present ? i->at.object : 0;
	int error;

	if (!i->base.options.keep ||
	    (i->saved.partition == i->partition && i->saved.object == object))
		return 0;
	error = needs_place(i);
	if (error)
		return error;
	i->saved.partition = i->partition;
	i->saved.object = object;
	return image_conf_save(&i->saved, i->conf_path);
}

static int find_place(struct image *i)
{
	int error = 0;

	if (i->saved.partition && i->saved.partition < i->conf.partitions)
		error = image_insert(i, i->saved.partition);
	if (!error)
		error = tap_find_object(&i->tap, i->saved.object, &i->at);
	return error == REEL_ENOENT ? 0 : error;
}

static int close_image(struct drive *d)
{
	struct image *i = image_of(d);
	int error = keep_place(i);

	image_eject(i);
	if (i->lock >= 0)
		close(i->lock);
	free(i->path);
	free(i->conf_path);
	free(i);
	return error;
}

static int begin(struct image *i, const char *name,
		 const struct drive_options *o)
{
	size_t length = strcspn(name, "?");
	bool made;
	int error;

	image_conf_init(&i->saved);
	i->path = text(name, length, "");
	i->conf_path = text(name, length, CONF_END);
	if (!i->path || !i->conf_path)
		return REEL_ENOMEM;
	error = configure(i, name + length);
	if (error)
		return error;
	made = o->create && access(i->path, F_OK) != 0;
	error = open_first(i, o);
	if (error)
		return error;
	if (made && name[length]) {
		i->saved = i->conf;
		error = image_conf_save(&i->saved, i->conf_path);
	}
	if (error || !i->conf.loaded)
		return error;
	error = image_insert(i, 0);
	return error || !o->keep ? error : find_place(i);
}

int drive_image_open(const char *name, const struct drive_options *o,
		     struct drive **d)
{
	struct image *i = calloc(1, sizeof(*i));
	int error;

	if (!i)
		return REEL_ENOMEM;
	i->lock = -1;
	i->base.name = (char *)(uintptr_t)name;
	i->base.options = *o;
	error = begin(i, name, o);
	i->base.op = i->conf.locate ? &image_operations : &walking_operations;
	if (error) {
		i->base.options.keep = false;
		close_image(&i->base);
		return error;
	}
	*d = &i->base;
	return 0;
}

/* ---- reading ---- */

static int read_image(struct drive *d, void *to, size_t room,
		      struct drive_read *r)
{
	struct image *i = image_of(d);
	enum tap_object what = TAP_END;
	uint32_t length = 0;
	int error = image_needs_cartridge(i);

	if (error)
		return error;
	error = tap_read(&i->tap, &i->at, to, room, &what, &length);
	r->length = length;
	if (error == REEL_ERANGE)
		return error;
	if (error)
		return drive_fail(d, error, "cannot be read at byte %" PRIu64,
				  i->at.offset);
	switch (what) {
	case TAP_BLOCK:
		r->found = DRIVE_BLOCK;
		return 0;
	case TAP_BAD:
		return drive_fail(d, REEL_EDAMAGED,
				  "block %" PRIu64
				  " is marked as unreadable by its writer",
				  i->at.object - 1);
	case TAP_FILEMARK:
		r->found = DRIVE_FILEMARK;
		break;
	case TAP_SETMARK:
		r->found = DRIVE_SETMARK;
		break;
	default:
		r->found = DRIVE_END;
	}
	r->length = 0;
	if (what != TAP_DAMAGE)
		return 0;
	return drive_fail(d, REEL_EDAMAGED,
			  "damaged at byte %" PRIu64
			  "; what lies behind it cannot be read",
			  i->at.offset);
}

/* ---- writing ---- */

uint64_t image_capacity(const struct image *i)
{
	return i->conf.capacity[i->partition];
}

uint64_t image_early_size(const struct image *i)
{
	if (i->conf.early != DRIVE_UNKNOWN)
		return i->conf.early;
	return image_capacity(i) / EARLY_SHARE;
}

bool image_is_early(const struct image *i)
{
	uint64_t limit = image_capacity(i);

	return limit && i->at.offset + image_early_size(i) >= limit;
}

static bool fits(const struct image *i, uint64_t bytes, uint64_t reserve)
{
	uint64_t limit = image_capacity(i);

	return !limit || i->at.offset + bytes <= limit + reserve;
}

int image_wrote(struct image *i, int error, bool *early)
{
	*early = image_is_early(i);
	switch (error) {
	case 0:
		return 0;
	case REEL_ENOSPC:
		log_warning("%s: the disk is full", i->path);
		return error;
	case REEL_EDAMAGED:
		return drive_fail(&i->base, error,
				  "damaged at byte %" PRIu64
				  ": nothing is written over it; `?repair` "
				  "behind its name allows that",
				  i->tap.end.offset);
	default:
		return drive_fail(&i->base, error,
				  "cannot be written at byte %" PRIu64 ": %s",
				  i->at.offset, error_text(error));
	}
}

static int write_image(struct drive *d, const void *data, size_t length,
		       bool *early)
{
	struct image *i = image_of(d);
	int error = image_may_write(i);

	if (error)
		return error;
	if (!length || length > TAP_BLOCK_LIMIT)
		return drive_fail(d, REEL_ERANGE,
				  "a block has 1 to %u bytes, not %zu",
				  TAP_BLOCK_LIMIT, length);
	if (i->conf.block && length != i->conf.block)
		return drive_fail(d, REEL_ERANGE,
				  "its blocks have %u bytes, not %zu",
				  (unsigned)i->conf.block, length);
	if (!fits(i, tap_footprint(&i->tap, (uint32_t)length), 0)) {
		*early = true;
		return REEL_ENOSPC;
	}
	error = tap_write(&i->tap, &i->at, data, (uint32_t)length);
	return image_wrote(i, error, early);
}

int image_sync(struct image *i)
{
	if (i->base.options.no_sync || !fdatasync(i->tap.fd))
		return 0;
	return image_cannot(i, "be flushed", errno);
}

static int flush_image(struct drive *d)
{
	struct image *i = image_of(d);
	int error = image_needs_cartridge(i);

	return error ? error : image_sync(i);
}

static int mark_image(struct drive *d, enum drive_mark kind, uint32_t count,
		      bool immediate, bool *early)
{
	struct image *i = image_of(d);
	bool setmark = kind == DRIVE_MARK_SET;
	int error = image_may_write(i);

	if (error)
		return error;
	if (setmark && !i->conf.setmarks)
		return drive_lacks(d, "write setmarks");
	if (!fits(i, 4ull * count, MARK_RESERVE)) {
		*early = true;
		return REEL_ENOSPC;
	}
	error = image_wrote(i, tap_mark(&i->tap, &i->at, setmark, count),
			    early);
	if (!error && !immediate)
		error = image_sync(i);
	return error;
}

#define COMMON                                                                 \
	.kind = "tape image", .close = close_image, .status = image_status,    \
	.parameters = image_parameters, .read = read_image,                    \
	.write = write_image, .mark = mark_image, .space = image_space,        \
	.rewind = image_rewind, .flush = flush_image, .select = image_select,  \
	.prepare = image_prepare, .erase = image_erase,                        \
	.partition = image_partition, .set = image_set,                        \
	.attribute = image_attribute, .set_attribute = image_set_attribute

static const struct drive_operations image_operations = {
	COMMON, .locate = image_locate, .tell = image_tell};

/* `?locate=no`: as drives that count for themselves only. */
static const struct drive_operations walking_operations = {COMMON};
