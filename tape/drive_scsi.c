#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/drive_scsi.h"

#define BUSY_SECONDS   120
#define ATTENTIONS     16 /* unit attentions in a row */
#define RESET_CODE     0x29
#define CHANGED_CODE   0x28
#define CLEARED_CODE   0x2f
#define DEFAULT_LIMIT  (1u << 20) /* of a block, when a drive tells none */
#define BUFFERED_MODE  0x10
#define DESCRIPTOR_END 12 /* of the mode header and one block descriptor */

/* ---- running commands ---- */

static void nap(void)
{
	const struct timespec t = {.tv_nsec = 100000000};

	nanosleep(&t, NULL);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static bool stopped(const struct scsi_drive *d)
{
	return d->base.options.stop && *d->base.options.stop;
}

/* After a unit attention: 0, the command may be given again. */
static int attention(struct scsi_drive *d, enum scsi_sort sort,
		     const struct scsi_sense *s)
{
	uint8_t code = (uint8_t)(s->code >> 8);

	if (code != RESET_CODE && code != CHANGED_CODE && code != CLEARED_CODE)
		return 0;
	d->changed = true;
	if (sort == SCSI_RELATIVE)
		return REEL_ERESET;
	if (sort == SCSI_ABSOLUTE && code == CHANGED_CODE)
		return REEL_ERESET;
	return 0;
}

static int judge(struct scsi_drive *d, const struct scsi_command *c,
		 enum scsi_sort sort, struct scsi_sense *s, bool *again)
{
	int error;

	*again = false;
	*s = (struct scsi_sense){0};
	switch (c->status) {
	case SCSI_GOOD:
		return 0;
	case SCSI_BUSY:
	case SCSI_QUEUE_FULL:
		*again = true;
		return REEL_EBUSY;
	case SCSI_CONFLICT:
		return REEL_ELOCKED;
	case SCSI_CHECK:
		break;
	default:
		return REEL_EIO;
	}
	if (!scsi_sense_parse(c->sense, c->sense_length, s))
		return REEL_EIO;
	if (s->code == 0x0017)
		d->needs_cleaning = true;
	if (s->key == SCSI_UNIT_ATTENTION && !s->deferred) {
		error = attention(d, sort, s);
		*again = !error;
		return error ? error : REEL_ERESET;
	}
	error = scsi_sense_error(s);
	*again = error == REEL_EBUSY && s->key == SCSI_NOT_READY;
	return error;
}

static int same_connection(struct scsi_drive *d, enum scsi_sort sort)
{
	if (sort == SCSI_ASKS)
		return 0;
	if (sort != SCSI_RELATIVE) {
		d->generation = d->transport->generation;
		return 0;
	}
	if (d->generation == d->transport->generation)
		return 0;
	return drive_fail(&d->base, REEL_ERESET,
			  "the connection was begun anew; the position is not "
			  "known");
}

int drive_scsi_run(struct scsi_drive *d, struct scsi_command *c,
		   enum scsi_sort sort, struct scsi_sense *s)
{
	time_t limit = now() + (d->base.options.wait ? d->base.options.wait
						     : BUSY_SECONDS);
	unsigned attentions = 0;
	bool again;
	int error;

	*s = (struct scsi_sense){0};
	for (;;) {
		error = same_connection(d, sort);
		if (!error)
			error = d->transport->run(d->transport, c);
		if (error)
			return error;
		if (sort != SCSI_ASKS && sort != SCSI_RELATIVE)
			d->generation = d->transport->generation;
		error = judge(d, c, sort, s, &again);
		if (!again)
			return error;
		if (stopped(d))
			return REEL_ESTOPPED;
		if (error == REEL_ERESET && ++attentions > ATTENTIONS)
			return error;
		if (error == REEL_EBUSY && now() >= limit)
			return error;
		if (error == REEL_EBUSY)
			nap();
	}
}

int drive_scsi_failed(struct scsi_drive *d, int error, const char *what,
		      const struct scsi_sense *s)
{
	char text[160];

	switch (error) {
	case REEL_ELOCKED:
		return drive_fail(&d->base, REEL_EBUSY,
				  "reserved by another host");
	case REEL_EMEDIUM:
		if (s->code >> 8 == 0x3a)
			return drive_fail(&d->base, error,
					  "no cartridge is loaded");
		break;
	case REEL_EROFS:
		if (s->code >> 8 == 0x27)
			return drive_fail(&d->base, error,
					  "the cartridge is write-protected");
		break;
	case REEL_ENOTSUP:
		return drive_lacks(&d->base, what);
	case REEL_ESTOPPED:
		return error;
	}
	if (!s->key && !s->code)
		return error; /* the transport has said it */
	scsi_sense_text(s, text, sizeof(text));
	return drive_fail(&d->base, error, "cannot %s: %s", what, text);
}

int drive_scsi_do(struct scsi_drive *d, struct scsi_command *c,
		  enum scsi_sort sort, const char *what)
{
	struct scsi_sense s;
	int error = drive_scsi_run(d, c, sort, &s);

	return error ? drive_scsi_failed(d, error, what, &s) : 0;
}

int drive_scsi_ready(struct scsi_drive *d, unsigned seconds,
		     struct scsi_sense *s)
{
	unsigned was = d->base.options.wait;
	struct scsi_command c;
	int error;

	scsi_begin(&c, SCSI_TEST_UNIT_READY, SCSI_TIME_SHORT);
	d->base.options.wait = seconds ? seconds : 1;
	error = drive_scsi_run(d, &c, SCSI_ASKS, s);
	d->base.options.wait = was;
	return error;
}

int drive_scsi_mode(struct scsi_drive *d, uint8_t page, uint8_t subpage,
		    uint8_t *data, struct scsi_mode *m)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	scsi_begin(&c, SCSI_MODE_SENSE, SCSI_TIME_SHORT);
	c.cdb[2] = page;
	c.cdb[3] = subpage;
	c.cdb[4] = SCSI_MODE_ROOM;
	c.in = data;
	c.length = SCSI_MODE_ROOM;
	error = drive_scsi_run(d, &c, SCSI_ASKS, &s);
	if (error)
		return error;
	return scsi_parse_mode(data, c.transferred, page, m) ? 0
							     : REEL_EDAMAGED;
}

/* ---- opening ---- */

static int identify(struct scsi_drive *d)
{
	uint8_t data[96] = {0};
	struct scsi_command c;
	int error;

	scsi_begin(&c, SCSI_INQUIRY, SCSI_TIME_SHORT);
	c.cdb[4] = sizeof(data);
	c.in = data;
	c.length = sizeof(data);
	error = drive_scsi_do(d, &c, SCSI_ASKS, "say what it is");
	if (error)
		return error;
	if (!scsi_parse_inquiry(data, c.transferred, &d->inquiry))
		return drive_fail(&d->base, REEL_EDAMAGED,
				  "it does not say what it is");
	if (d->inquiry.type == SCSI_TYPE_TAPE)
		return 0;
	return drive_fail(
		&d->base, d->inquiry.type == 0x1f ? REEL_ENOENT : REEL_EINVAL,
		d->inquiry.type == 0x1f ? "there is no unit of that number"
		: d->inquiry.type == SCSI_TYPE_CHANGER
			? "it is a changer, not a tape drive"
			: "it is no tape drive");
}

static void learn_limits(struct scsi_drive *d)
{
	uint8_t data[6];
	struct scsi_command c;
	struct scsi_sense s;

	d->block_min = 1;
	d->block_max = DEFAULT_LIMIT;
	scsi_begin(&c, SCSI_READ_BLOCK_LIMITS, SCSI_TIME_SHORT);
	c.in = data;
	c.length = sizeof(data);
	if (!drive_scsi_run(d, &c, SCSI_ASKS, &s))
		scsi_parse_limits(data, c.transferred, &d->block_min,
				  &d->block_max);
}

/* The block size, and that writes are buffered: without that nothing
 * streams. */
static void learn_mode(struct scsi_drive *d)
{
	uint8_t data[SCSI_MODE_ROOM] = {0};
	struct scsi_command c;
	struct scsi_sense s;
	struct scsi_mode m;

	if (drive_scsi_mode(d, 0, 0, data, &m) &&
	    drive_scsi_mode(d, 0x3f, 0, data, &m))
		return;
	d->block = m.described ? m.block : 0;
	if (m.buffered || !m.described)
		return;
	data[0] = data[1] = 0;
	data[2] = BUFFERED_MODE;
	data[3] = DESCRIPTOR_END - 4;
	scsi_begin(&c, SCSI_MODE_SELECT, SCSI_TIME_SHORT);
	c.cdb[1] = 0x10;
	c.cdb[4] = DESCRIPTOR_END;
	c.out = data;
	c.length = DESCRIPTOR_END;
	drive_scsi_run(d, &c, SCSI_ASKS, &s);
}

int drive_scsi_begin(struct scsi_drive *d, bool keep)
{
	int error;

	learn_limits(d);
	learn_mode(d);
	if (keep) {
		d->generation = d->transport->generation;
		drive_scsi_look(d);
		return 0;
	}
	error = drive_scsi_rewind(&d->base, false);
	if (!error)
		drive_scsi_probe(d);
	return error;
}

static int close_drive(struct drive *d)
{
	struct scsi_drive *s = scsi_drive_of(d);

	s->transport->close(s->transport);
	free(s);
	return 0;
}

/* ---- reading ---- */

static void take_residue(const struct scsi_sense *s, size_t asked,
			 struct drive_read *r, size_t transferred)
{
	r->length = transferred;
	if (!s->ili || !s->informed)
		return;
	if (s->information >= 0 && (uint64_t)s->information <= asked)
		r->length = asked - (size_t)s->information;
	else if (s->information < 0 && -s->information <= DRIVE_BLOCK_LIMIT)
		r->length = asked + (size_t)-s->information;
}

/* The block was larger: it was passed, and is to be read again. */
static int read_too_large(struct scsi_drive *d, size_t asked,
			  struct drive_read *r)
{
	struct scsi_sense s;
	int error;

	if (r->length <= asked)
		r->length = 0;
	error = drive_scsi_space_raw(d, 0, -1, &s);
	if (!error && !s.filemark && !s.eom)
		return REEL_ERANGE;
	return drive_scsi_failed(d, error ? error : REEL_EIO,
				 "go back to a block that is larger than was "
				 "expected",
				 &s);
}

/* A block that cannot be read: the position must be behind it. */
static int read_unreadable(struct scsi_drive *d, const struct scsi_sense *why,
			   const struct drive_position *was)
{
	struct scsi_position p;
	struct scsi_sense s;
	char text[160];
	int error = REEL_EDAMAGED;

	scsi_sense_text(why, text, sizeof(text));
	if (!drive_scsi_position(d, &p) || was->object == DRIVE_UNKNOWN)
		error = REEL_EIO;
	else if (p.object == was->object)
		error = drive_scsi_space_raw(d, 0, 1, &s) ? REEL_EIO : error;
	else if (p.object != was->object + 1)
		error = REEL_EIO;
	if (was->object == DRIVE_UNKNOWN)
		return drive_fail(&d->base, error, "a block is unreadable: %s",
				  text);
	return drive_fail(&d->base, error,
			  "block %" PRIu64 " of partition %u is unreadable: %s",
			  was->object, (unsigned)was->partition, text);
}

/* One READ. *complete false: a block came whose bytes did not all arrive. */
static int read_once(struct scsi_drive *d, void *to, size_t asked,
		     struct drive_read *r, bool *complete)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	scsi_begin(&c, SCSI_READ, SCSI_TIME_DATA);
	c.cdb[1] = d->block ? 1 : 0;
	scsi_put24(c.cdb + 2, d->block ? 1 : (uint32_t)asked);
	c.in = to;
	c.length = asked;
	*complete = true;
	error = drive_scsi_run(d, &c, SCSI_RELATIVE, &s);
	if (s.filemark && !s.deferred && (!error || error == REEL_ENOENT)) {
		r->found = s.code == 0x0003 ? DRIVE_SETMARK : DRIVE_FILEMARK;
		return 0;
	}
	if (error == REEL_ENOENT) {
		r->found = DRIVE_END;
		return 0;
	}
	/* at the physical end nothing follows */
	if (error == REEL_EDAMAGED && s.eom)
		error = REEL_EIO;
	if (error == REEL_EDAMAGED)
		return read_unreadable(d, &s, &d->base.at);
	if (error)
		return drive_scsi_failed(d, error, "read", &s);
	take_residue(&s, asked, r, c.transferred);
	if (r->length > asked || (s.ili && s.information < 0))
		return read_too_large(d, asked, r);
	*complete = c.transferred >= r->length;
	return 0;
}

static int read_drive(struct drive *base, void *to, size_t room,
		      struct drive_read *r)
{
	struct scsi_drive *d = scsi_drive_of(base);
	size_t asked = room < d->block_max ? room : d->block_max;
	struct scsi_sense s;
	bool complete;
	int error;

	if (asked > SCSI_LENGTH_24)
		asked = SCSI_LENGTH_24;
	if (d->block && room < d->block) {
		r->length = d->block;
		return REEL_ERANGE;
	}
	if (d->block)
		asked = d->block;
	error = read_once(d, to, asked, r, &complete);
	if (error || complete)
		return error;
	/* tgt sends as many bytes of a short block as are missing from it:
	 * again, with its very size */
	error = drive_scsi_space_raw(d, 0, -1, &s);
	if (error)
		return drive_scsi_failed(d, error, "go back to a block", &s);
	error = read_once(d, to, r->length, r, &complete);
	if (error || complete)
		return error;
	return drive_fail(base, REEL_EIO, "a block did not arrive whole");
}

/* ---- writing ---- */

static int wrote(struct scsi_drive *d, int error, const struct scsi_sense *s,
		 bool *early, const char *what)
{
	*early = s->eom && !s->deferred;
	if (error == REEL_ENOSPC) {
		*early = true;
		return error;
	}
	/* the medium was bad where we wrote: not a block that is unreadable */
	if (error == REEL_EDAMAGED)
		error = REEL_EIO;
	return error ? drive_scsi_failed(d, error, what, s) : 0;
}

static int check_size(struct scsi_drive *d, size_t length)
{
	if (d->block && length != d->block)
		return drive_fail(&d->base, REEL_ERANGE,
				  "its blocks are set to %u bytes, not %zu",
				  (unsigned)d->block, length);
	if (length >= d->block_min && length <= d->block_max &&
	    length <= SCSI_LENGTH_24)
		return 0;
	return drive_fail(&d->base, REEL_ERANGE,
			  "its blocks have %u to %u bytes, not %zu",
			  (unsigned)d->block_min, (unsigned)d->block_max,
			  length);
}

static int write_drive(struct drive *base, const void *data, size_t length,
		       bool *early)
{
	struct scsi_drive *d = scsi_drive_of(base);
	struct scsi_command c;
	struct scsi_sense s;
	int error = check_size(d, length);

	if (error)
		return error;
	scsi_begin(&c, SCSI_WRITE, SCSI_TIME_DATA);
	c.cdb[1] = d->block ? 1 : 0;
	scsi_put24(c.cdb + 2, d->block ? 1 : (uint32_t)length);
	c.out = data;
	c.length = length;
	error = drive_scsi_run(d, &c, SCSI_RELATIVE, &s);
	return wrote(d, error, &s, early, "write");
}

static int mark_drive(struct drive *base, enum drive_mark kind, uint32_t count,
		      bool immediate, bool *early)
{
	struct scsi_drive *d = scsi_drive_of(base);
	bool setmark = kind == DRIVE_MARK_SET;
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	if (count > SCSI_LENGTH_24)
		return drive_fail(base, REEL_ERANGE,
				  "it writes at most %u marks at once",
				  SCSI_LENGTH_24);
	if (setmark && !drive_scsi_has_setmarks(d))
		return drive_lacks(base, "write setmarks");
	scsi_begin(&c, SCSI_WRITE_FILEMARKS, SCSI_TIME_DATA);
	c.cdb[1] = (uint8_t)(immediate | setmark << 1);
	scsi_put24(c.cdb + 2, count);
	error = drive_scsi_run(d, &c, SCSI_RELATIVE, &s);
	if (setmark && error == REEL_EINVAL)
		error = REEL_ENOTSUP;
	return wrote(d, error, &s, early,
		     setmark ? "write setmarks" : "write filemarks");
}

/* ---- the tables ---- */

#define COMMON                                                                 \
	.kind = "SCSI tape drive", .close = close_drive,                       \
	.status = drive_scsi_status, .parameters = drive_scsi_parameters,      \
	.read = read_drive, .write = write_drive, .mark = mark_drive,          \
	.space = drive_scsi_space, .rewind = drive_scsi_rewind,                \
	.tell = drive_scsi_tell, .select = drive_scsi_select,                  \
	.prepare = drive_scsi_prepare, .erase = drive_scsi_erase,              \
	.partition = drive_scsi_partition, .set = drive_scsi_set,              \
	.attribute = drive_scsi_attribute,                                     \
	.set_attribute = drive_scsi_set_attribute, .alerts = drive_scsi_alerts

static const struct drive_operations scsi_operations = {
	COMMON, .locate = drive_scsi_locate};
static const struct drive_operations walking_operations = {COMMON};

static int begin(struct scsi_drive *d)
{
	struct scsi_sense s;
	int error = identify(d);

	if (error)
		return error;
	error = drive_scsi_ready(d, d->base.options.wait, &s);
	if (error == REEL_EMEDIUM || error == REEL_EBUSY) {
		learn_limits(d);
		return 0; /* it opens without a cartridge, too */
	}
	if (error)
		return drive_scsi_failed(d, error, "be used", &s);
	d->changed = false; /* what was before is nobody's business */
	return drive_scsi_begin(d, d->base.options.keep);
}

int drive_scsi_open(const char *name, const struct drive_options *o,
		    struct scsi_transport *t, struct drive **d)
{
	struct scsi_drive *s = calloc(1, sizeof(*s));
	int error;

	if (!s) {
		t->close(t);
		return REEL_ENOMEM;
	}
	s->transport = t;
	s->base.name = (char *)(uintptr_t)name;
	s->base.options = *o;
	s->base.op = &scsi_operations;
	error = begin(s);
	if (error) {
		close_drive(&s->base);
		return error;
	}
	if (!s->has_locate)
		s->base.op = &walking_operations;
	*d = &s->base;
	return 0;
}
