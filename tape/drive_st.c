/* Tape drives of Linux: the st driver's calls move, read and write, so that it
 * knows where the tape is; what it has no call for goes as SCSI through the
 * same descriptor (drive_scsi_tell.c, drive_scsi_medium.c).
 *
 * How st behaves (Documentation/scsi/st.rst, and tried):
 * L1  At the early warning a write fails with ENOSPC and nothing written, the
 *     next one works, and so on alternately: the first failure is the warning,
 *     a second in a row is the end.
 * L2  A block larger than the buffer is skipped with ENOMEM.
 * L3  At the end of the data some drives (tgt) make st return a block that is
 *     not there, as long as was asked for: it is none when GMT_EOD is set, or
 *     GMT_EOT and the tape did not move. A move over that end is an EIO
 *     without any flag: a read there tells.
 * L4  After a write, closing or moving writes a filemark, unless st has seen a
 *     reset meanwhile. A SCSI command of ours would see it in st's place, and
 *     the filemark would land at the beginning of the tape: so none is given
 *     between a write and the next call that ends it.
 * L5  tgt sends as many bytes of a short block as are missing from it, which st
 *     does not notice. Drives that do not tell a position are taken for such.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mtio.h>
#include <unistd.h>
#include "tape/drive_st.h"

#define OPTIONS_OFF                                                            \
	(MT_ST_BUFFER_WRITES | MT_ST_ASYNC_WRITES | MT_ST_TWO_FM |             \
	 MT_ST_FAST_MTEOM | MT_ST_AUTO_LOCK | MT_ST_SYSV | MT_ST_NOWAIT |      \
	 MT_ST_SILI | MT_ST_NOWAIT_EOF)
#define OPTIONS_ON (MT_ST_CAN_BSR | MT_ST_SCSI2LOGICAL)
#define BLOCKS_ST  0xffffff /* what MTSETBLK takes */

/* ---- opening ---- */

/* /dev/st0 rewinds when it is closed; /dev/nst0 is the same drive. */
static int open_device(struct st_drive *d, const char *name)
{
	char other[64];
	int flags = O_NONBLOCK | O_CLOEXEC;

	if (!strncmp(name, "/dev/st", 7) && strlen(name) < sizeof(other) - 1) {
		snprintf(other, sizeof(other), "/dev/n%s", name + 5);
		name = other;
	}
	d->writable = !d->scsi.base.options.read_only;
	d->fd = open(name, flags | (d->writable ? O_RDWR : O_RDONLY));
	if (d->fd < 0 && d->writable && (errno == EROFS || errno == EACCES)) {
		d->writable = false;
		d->fd = open(name, flags | O_RDONLY);
	}
	if (d->fd >= 0)
		return 0;
	if (errno == EBUSY)
		return drive_fail(&d->scsi.base, REEL_EBUSY,
				  "another program uses it; try again when it "
				  "has ended");
	if (errno == EACCES)
		return drive_fail(&d->scsi.base, REEL_EPERM,
				  "cannot be opened: permission denied (the "
				  "group tape may)");
	return drive_fail(&d->scsi.base, st_error(errno),
			  "cannot be opened: %s", strerror(errno));
}

/* Options stay for the next user, so all are set. Only root may; others take
 * them as they are. */
static void set_options(struct st_drive *d)
{
	uint8_t data[SCSI_MODE_ROOM];
	struct scsi_mode m;
	unsigned on = OPTIONS_ON;

	/* only where the drive has partitions: st fails to open it otherwise */
	if (!drive_scsi_mode(&d->scsi, 0x11, 0, data, &m) && m.page &&
	    m.page_length >= 4 && m.page[2])
		on |= MT_ST_CAN_PARTITIONS;
	st_operate(d, MTSETDRVBUFFER, (int)(MT_ST_CLEARBOOLEANS | OPTIONS_OFF));
	st_operate(d, MTSETDRVBUFFER, (int)(MT_ST_SETBOOLEANS | on));
}

static void learn_limits(struct st_drive *d)
{
	struct mtget get = {0};
	struct scsi_command c;
	struct scsi_sense s;
	uint8_t data[6];

	d->scsi.block_min = 1;
	d->scsi.block_max = 1u << 20;
	scsi_begin(&c, SCSI_READ_BLOCK_LIMITS, SCSI_TIME_SHORT);
	c.in = data;
	c.length = sizeof(data);
	if (!drive_scsi_run(&d->scsi, &c, SCSI_ASKS, &s))
		scsi_parse_limits(data, c.transferred, &d->scsi.block_min,
				  &d->scsi.block_max);
	if (!ioctl(d->fd, MTIOCGET, &get))
		d->scsi.block =
			(uint32_t)((unsigned long)get.mt_dsreg & BLOCKS_ST);
}

/* How it seeks is tried at the beginning of the tape only. */
static int start(struct st_drive *d)
{
	int err;

	learn_limits(d);
	if (d->scsi.base.options.keep) {
		drive_scsi_look(&d->scsi);
		return 0;
	}
	err = st_operate(d, MTREW, 1);
	if (err)
		return st_failed(d, err, "rewind");
	drive_scsi_probe(&d->scsi);
	if (!d->scsi.has_locate)
		return 0;
	d->scsi.has_locate = st_operate(d, MTSEEK, 0) == 0;
	return st_operate_or_say(d, MTREW, 1, "rewind");
}

static bool loaded(struct st_drive *d)
{
	unsigned wait = d->scsi.base.options.wait;
	struct scsi_sense s;

	return !drive_scsi_ready(&d->scsi, wait ? wait : 5, &s);
}

static int st_close(struct drive *base)
{
	struct st_drive *d = st_of(base);
	bool was = d->writing;
	int error = 0;

	/* what st writes here (L4) can fail, too */
	if (d->fd >= 0 && close(d->fd) && was)
		error = st_failed(d, errno, "be closed");
	free(d);
	return error;
}

/* ---- reading ---- */

static int end_or_mark(struct st_drive *d, struct drive_read *r)
{
	r->found = GMT_EOD(st_state(d)) ? DRIVE_END : DRIVE_FILEMARK;
	return 0;
}

static int larger(struct st_drive *d, struct drive_read *r)
{
	int err = st_operate(d, MTBSR, 1);

	r->length = 0;
	if (!err)
		return REEL_ERANGE;
	return drive_fail(&d->scsi.base, REEL_EIO,
			  "cannot go back to a block that is larger than was "
			  "expected: %s",
			  strerror(err));
}

/* Behind the block when the drive says where it is; else it is lost. */
static int unreadable(struct st_drive *d)
{
	const struct drive_position *was = &d->scsi.base.at;
	struct scsi_position p;
	int error = REEL_EIO;

	if (was->object != DRIVE_UNKNOWN && drive_scsi_position(&d->scsi, &p)) {
		if (p.object == was->object + 1 ||
		    (p.object == was->object && p.object &&
		     !st_operate(d, MTFSR, 1)))
			error = REEL_EDAMAGED;
	}
	return drive_fail(&d->scsi.base, error, "a block is unreadable");
}

static int read_failed(struct st_drive *d, int err, struct drive_read *r)
{
	if (err == ENOMEM)
		return larger(d, r);
	if (err == EIO && GMT_EOD(st_state(d))) {
		r->found = DRIVE_END;
		return 0;
	}
	return err == EIO ? unreadable(d) : st_failed(d, err, "read");
}

/* L5: a short block once more, with its very size. */
static int again_whole(struct st_drive *d, void *to, size_t asked,
		       const struct drive_read *r)
{
	if (d->scsi.has_tell || r->length == asked)
		return 0;
	if (!st_operate(d, MTBSR, 1) &&
	    read(d->fd, to, r->length) == (ssize_t)r->length)
		return 0;
	return drive_fail(&d->scsi.base, REEL_EIO,
			  "a block did not arrive whole");
}

/* L3 */
static bool is_phantom(struct st_drive *d, size_t got, size_t asked)
{
	struct scsi_position p;
	long flags;

	if (got != asked)
		return false;
	flags = st_state(d);
	if (GMT_EOD(flags) || !GMT_EOT(flags))
		return GMT_EOD(flags);
	return !drive_scsi_position(&d->scsi, &p) ||
	       p.object == d->scsi.base.at.object;
}

int st_read(struct drive *base, void *to, size_t room, struct drive_read *r)
{
	struct st_drive *d = st_of(base);
	size_t asked;
	ssize_t n;

	if (d->scsi.block && room < d->scsi.block) {
		r->length = d->scsi.block;
		return REEL_ERANGE;
	}
	for (;;) {
		asked = d->scsi.block ? d->scsi.block : room;
		if (asked > d->scsi.block_max)
			asked = d->scsi.block_max;
		n = read(d->fd, to, asked);
		if (n < 0 && (errno == EINVAL || errno == EBUSY) &&
		    asked > 4096 && !d->scsi.block) {
			d->scsi.block_max = (uint32_t)asked / 2;
			continue;
		}
		if (n < 0 && errno == EINTR &&
		    !(base->options.stop && *base->options.stop))
			continue;
		if (n < 0)
			return read_failed(d, errno, r);
		if (!n)
			return end_or_mark(d, r);
		if (is_phantom(d, (size_t)n, asked)) {
			r->found = DRIVE_END;
			return 0;
		}
		break;
	}
	r->length = (size_t)n;
	return again_whole(d, to, asked, r);
}

/* ---- writing ---- */

static int check_size(struct st_drive *d, size_t length)
{
	const struct scsi_drive *s = &d->scsi;

	if (s->block && length != s->block)
		return drive_fail(&s->base, REEL_ERANGE,
				  "its blocks are set to %u bytes, not %zu",
				  (unsigned)s->block, length);
	if (length >= s->block_min && length <= s->block_max)
		return 0;
	return drive_fail(&s->base, REEL_ERANGE,
			  "its blocks have %u to %u bytes, not %zu",
			  (unsigned)s->block_min, (unsigned)s->block_max,
			  length);
}

static int write_failed(struct st_drive *d, int err, size_t length)
{
	if (err == ENOSPC)
		return REEL_ENOSPC;
	if (err == EBUSY || err == EINVAL) {
		if (d->scsi.block_max >= length)
			d->scsi.block_max = (uint32_t)length - 1;
		return drive_fail(&d->scsi.base, REEL_ERANGE,
				  "the host's adapter takes no blocks of %zu "
				  "bytes; choose a smaller block size",
				  length);
	}
	return st_failed(d, err, "write");
}

static int st_write(struct drive *base, const void *data, size_t length,
		    bool *early)
{
	struct st_drive *d = st_of(base);
	bool warned = false;
	ssize_t n;
	int error;

	if (!d->writable)
		return st_failed(d, EACCES, "write");
	error = check_size(d, length);
	if (error)
		return error;
	for (;;) {
		d->writing = true;
		n = write(d->fd, data, length);
		if (n == (ssize_t)length)
			break;
		if (n >= 0)
			return drive_fail(base, REEL_EIO,
					  "a block was not written whole");
		if (errno == EINTR)
			continue;
		if (errno != ENOSPC || warned)
			return write_failed(d, errno, length);
		warned = true; /* L1 */
	}
	*early = warned || base->early;
	return 0;
}

static int st_mark(struct drive *base, enum drive_mark kind, uint32_t count,
		   bool immediate, bool *early)
{
	struct st_drive *d = st_of(base);
	short what = immediate ? MTWEOFI : MTWEOF;
	int err;

	if (!d->writable)
		return st_failed(d, EACCES, "write");
	if (count > INT32_MAX)
		return drive_fail(base, REEL_ERANGE, "too many marks");
	/* L4: while it writes the drive cannot be asked */
	if (kind == DRIVE_MARK_SET && !d->writing &&
	    !drive_scsi_has_setmarks(&d->scsi))
		return drive_lacks(base, "write setmarks");
	if (kind == DRIVE_MARK_SET)
		what = MTWSM;
	*early = base->early;
	err = st_operate(d, what, (int)count);
	if (err == ENOSPC) {
		*early = true;
		err = st_operate(d, what, (int)count);
	}
	if (err == ENOSPC)
		return REEL_ENOSPC;
	if (err && kind == DRIVE_MARK_SET)
		return st_failed(d, err == EIO ? ENOSYS : err,
				 "write setmarks");
	return err ? st_failed(d, err, "write filemarks") : 0;
}

/* ---- the rest ---- */

static int st_status(struct drive *base, struct drive_status *s)
{
	struct st_drive *d = st_of(base);
	int error;

	if (d->writing) { /* L4 */
		s->state = DRIVE_READY;
		return 0;
	}
	error = drive_scsi_status(base, s);
	s->write_protected |= s->state == DRIVE_READY && !d->writable &&
			      !base->options.read_only;
	return error;
}

static int st_parameters(struct drive *base, struct drive_parameters *p)
{
	struct st_drive *d = st_of(base);
	int error;

	if (d->writing)
		return drive_fail(base, REEL_EBUSY,
				  "a filemark must end what was written before "
				  "the drive can be asked");
	error = drive_scsi_parameters(base, p);
	p->features &= ~(uint32_t)DRIVE_HAS_SEQUENTIAL;
	return error;
}

static int st_set(struct drive *base, enum drive_parameter what, uint64_t value)
{
	struct st_drive *d = st_of(base);
	int error;

	if (what == DRIVE_SET_BLOCK_SIZE) {
		if (value > d->scsi.block_max || value > BLOCKS_ST)
			return drive_fail(base, REEL_ERANGE,
					  "its blocks have %u to %u bytes",
					  (unsigned)d->scsi.block_min,
					  (unsigned)d->scsi.block_max);
		error = st_operate_or_say(d, MTSETBLK, (int)value,
					  "have its block size set");
		if (!error)
			d->scsi.block = (uint32_t)value;
		return error;
	}
	if (what == DRIVE_SET_DENSITY && value <= UINT8_MAX)
		return st_operate_or_say(d, MTSETDENSITY, (int)value,
					 "have its density set");
	return drive_scsi_set(base, what, value);
}

static int st_load(struct st_drive *d)
{
	int err = st_operate(d, MTLOAD, 1);

	if (err)
		return st_failed(d, err, "load a cartridge");
	if (!loaded(d))
		return st_failed(d, ENOMEDIUM, "load a cartridge");
	set_options(d);
	return start(d);
}

static int st_prepare(struct drive *base, enum drive_preparation what,
		      bool immediate)
{
	struct st_drive *d = st_of(base);
	int error;

	switch (what) {
	case DRIVE_LOAD:
		return st_load(d);
	case DRIVE_UNLOAD:
		return st_operate_or_say(d, MTOFFL, 1, "unload the cartridge");
	case DRIVE_LOCK:
	case DRIVE_UNLOCK:
		error = st_operate_or_say(
			d, what == DRIVE_LOCK ? MTLOCK : MTUNLOCK, 1,
			"lock or unlock the cartridge");
		d->scsi.locked = !error && what == DRIVE_LOCK;
		return error;
	case DRIVE_TENSION:
		return st_operate_or_say(d, MTRETEN, 1, "tension the tape");
	case DRIVE_FORMAT:
		error = st_rewind(base, false);
		if (!error)
			error = drive_scsi_prepare(base, what, immediate);
		return error ? error : st_rewind(base, false);
	}
	return REEL_ENOTSUP;
}

static int st_erase(struct drive *base, enum drive_erasure how, bool immediate)
{
	struct st_drive *d = st_of(base);
	int err = st_operate(d, MTERASE, how == DRIVE_ERASE_LONG);

	(void)immediate;
	return err ? st_failed(d, err, "erase") : 0;
}

static int st_partition(struct drive *base, const struct drive_partitioning *p)
{
	struct st_drive *d = st_of(base);
	int error = st_rewind(base, false);

	if (!error)
		error = drive_scsi_partition(base, p);
	if (error)
		return error;
	set_options(d);
	return st_rewind(base, false);
}

static int st_alerts(struct drive *base, uint64_t *flags)
{
	return st_of(base)->writing ? 0 : drive_scsi_alerts(base, flags);
}

#define COMMON                                                                 \
	.kind = "tape drive of Linux", .close = st_close, .status = st_status, \
	.parameters = st_parameters, .read = st_read, .write = st_write,       \
	.mark = st_mark, .space = st_space, .rewind = st_rewind,               \
	.tell = st_tell, .select = st_select, .prepare = st_prepare,           \
	.erase = st_erase, .partition = st_partition, .set = st_set,           \
	.attribute = drive_scsi_attribute,                                     \
	.set_attribute = drive_scsi_set_attribute, .alerts = st_alerts

static const struct drive_operations st_operations = {COMMON,
						      .locate = st_locate};
static const struct drive_operations walking_operations = {COMMON};

static void identify(struct st_drive *d)
{
	uint8_t data[96] = {0};
	struct scsi_command c;
	struct scsi_sense s;

	scsi_begin(&c, SCSI_INQUIRY, SCSI_TIME_SHORT);
	c.cdb[4] = sizeof(data);
	c.in = data;
	c.length = sizeof(data);
	if (!drive_scsi_run(&d->scsi, &c, SCSI_ASKS, &s))
		scsi_parse_inquiry(data, c.transferred, &d->scsi.inquiry);
}

static int begin(struct st_drive *d, const char *name)
{
	struct mtget get;
	int error = open_device(d, name);

	if (error)
		return error;
	if (ioctl(d->fd, MTIOCGET, &get) < 0)
		return drive_fail(&d->scsi.base, REEL_EINVAL,
				  "it is no tape drive");
	scsi_sg_init(&d->sg, d->fd, name);
	d->sg.base.stop = d->scsi.base.options.stop;
	d->scsi.transport = &d->sg.base;
	identify(d);
	if (!loaded(d)) {
		learn_limits(d);
		return 0;
	}
	d->scsi.changed = false;
	set_options(d);
	return start(d);
}

int drive_st_open(const char *name, const struct drive_options *o,
		  struct drive **d)
{
	struct st_drive *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return REEL_ENOMEM;
	s->fd = -1;
	s->scsi.base.name = (char *)(uintptr_t)name;
	s->scsi.base.options = *o;
	s->scsi.base.op = &st_operations;
	error = begin(s, name);
	if (error) {
		st_close(&s->scsi.base);
		return error;
	}
	if (!s->scsi.has_locate)
		s->scsi.base.op = &walking_operations;
	*d = &s->scsi.base;
	return 0;
}
