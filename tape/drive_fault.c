/* fault:RULES:DEVICE: a drive that fails on purpose, for tests.
 *
 * RULES are separated by commas: OP@N=KIND, the Nth command of its kind, from
 * 1, counted since it was opened; OP@N+=KIND that one and all behind it; and
 * buffer=SIZE (8M). The rules may be empty.
 *
 *     OP     any read write mark flush space seek rewind prepare status
 *     KIND   error    it fails and does nothing
 *            damaged  (read) the block is unreadable, and passed
 *            short    (read) half of the block arrives
 *            late     what is in the buffer is lost, and only this command says
 *            early    the early warning begins here
 *            eom      the end of the medium is here, until the tape moves
 *            reset    the drive forgets its buffer and where it was
 *            gone     the cartridge is out, until one is loaded
 *            cut      the power is off: the buffer is lost, nothing works
 *            kill     the same, and the program dies with it
 *
 * As in a real drive, blocks and marks stay in a buffer until it is full, a
 * flush, or a command that moves; a cut takes all of it. Near the end of the
 * medium the buffer is not used, so that what was taken fits. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/buffer.h"
#include "tape/drive_kind.h"
#include "tape/image_conf.h"
#include "tape/log.h"

#define FAULT_RULES 32
#define BUFFER_SIZE (8ull << 20)
#define SLACK	    (64u << 10) /* bytes kept free for marks and words */

enum fault_op {
	OP_ANY,
	OP_READ,
	OP_WRITE,
	OP_MARK,
	OP_FLUSH,
	OP_SPACE,
	OP_SEEK,
	OP_REWIND,
	OP_PREPARE,
	OP_STATUS,
	OPS,
};

static const char *const op_names[OPS] = {"any",     "read",  "write", "mark",
					  "flush",   "space", "seek",  "rewind",
					  "prepare", "status"};

enum fault_kind {
	FAULT_NONE,
	FAULT_ERROR,
	FAULT_DAMAGED,
	FAULT_SHORT,
	FAULT_LATE,
	FAULT_EARLY,
	FAULT_EOM,
	FAULT_RESET,
	FAULT_GONE,
	FAULT_CUT,
	FAULT_KILL,
	FAULTS,
};

static const char *const kind_names[FAULTS] = {
	"",    "error", "damaged", "short", "late", "early",
	"eom", "reset", "gone",	   "cut",   "kill"};

struct rule {
	enum fault_op op;
	enum fault_kind kind;
	uint64_t from;
	bool onward;
};

/* Before the data of a block in the queue; marks have none. */
struct queued {
	bool is_mark;
	enum drive_mark mark;
	uint32_t length; /* of the data, or the number of marks */
};

struct fault {
	struct drive base;
	struct drive *inner;
	struct rule rules[FAULT_RULES];
	size_t rule_count;
	uint64_t counts[OPS];
	uint64_t buffer_size;
	struct buffer queue;
	struct drive_position ahead;	/* with what is queued */
	uint64_t remaining, early_size; /* when the queue was last empty */
	bool off, gone, early, eom, changed;
};

static struct fault *fault_of(struct drive *d)
{
	return (struct fault *)d;
}

/* ---- rules ---- */

static int index_of(const char *const *names, int count, const char *text,
		    size_t length)
{
	for (int n = 0; n < count; n++) {
		if (strlen(names[n]) == length &&
		    !memcmp(names[n], text, length))
			return n;
	}
	return -1;
}

static int parse_rule(struct fault *f, const char *text, size_t length)
{
	const char *at = memchr(text, '@', length);
	const char *equal = memchr(text, '=', length);
	struct rule r = {0};
	int op, kind;
	char *end;

	if (equal && equal - text == 6 && !memcmp(text, "buffer", 6))
		return image_size_parse(text + 7, length - 7, &f->buffer_size);
	if (!at || !equal || at > equal || f->rule_count == FAULT_RULES)
		return REEL_EINVAL;
	op = index_of(op_names, OPS, text, (size_t)(at - text));
	kind = index_of(kind_names, FAULTS, equal + 1,
			length - (size_t)(equal + 1 - text));
	r.from = strtoull(at + 1, &end, 10);
	r.onward = *end == '+';
	if (op < 0 || kind <= 0 || !r.from || end + r.onward != equal)
		return REEL_EINVAL;
	r.op = (enum fault_op)op;
	r.kind = (enum fault_kind)kind;
	f->rules[f->rule_count++] = r;
	return 0;
}

static int parse_rules(struct fault *f, const char *text, size_t length)
{
	size_t at = 0;

	while (at < length) {
		const char *comma = memchr(text + at, ',', length - at);
		size_t one = comma ? (size_t)(comma - text) - at : length - at;

		if (parse_rule(f, text + at, one))
			return drive_fail(&f->base, REEL_EINVAL,
					  "not a fault: %.*s", (int)one,
					  text + at);
		at += one + 1;
	}
	return 0;
}

static enum fault_kind due(struct fault *f, enum fault_op op)
{
	enum fault_kind kind = FAULT_NONE;

	f->counts[op]++;
	f->counts[OP_ANY]++;
	for (size_t n = 0; n < f->rule_count; n++) {
		const struct rule *r = &f->rules[n];

		if (r->op != op && r->op != OP_ANY)
			continue;
		if (f->counts[r->op] == r->from ||
		    (r->onward && f->counts[r->op] > r->from))
			kind = r->kind;
	}
	return kind;
}

static void lose(struct fault *f)
{
	f->queue.length = 0;
}

static int power_off(struct fault *f)
{
	f->off = true;
	lose(f);
	return drive_fail(&f->base, REEL_EIO, "the power is off");
}

static int reset(struct fault *f)
{
	lose(f);
	f->changed = true;
	drive_rewind(f->inner, false);
	return drive_fail(&f->base, REEL_ERESET, "the drive was reset");
}

/* What is due before a command; *kind is what the command itself must do. */
static int strike(struct fault *f, enum fault_op op, enum fault_kind *kind)
{
	*kind = f->off ? FAULT_CUT : due(f, op);
	switch (*kind) {
	case FAULT_ERROR:
		return drive_fail(&f->base, REEL_EIO, "failed on purpose");
	case FAULT_LATE:
		lose(f);
		return drive_fail(&f->base, REEL_EIO,
				  "what was written before is lost");
	case FAULT_RESET:
		return reset(f);
	case FAULT_GONE:
		f->gone = true;
		lose(f);
		break;
	case FAULT_CUT:
		return power_off(f);
	case FAULT_KILL:
		kill(getpid(), SIGKILL);
		break;
	case FAULT_EARLY:
		f->early = true;
		break;
	case FAULT_EOM:
		f->eom = f->early = true;
		break;
	default:
		break;
	}
	if (f->gone && op != OP_PREPARE && op != OP_STATUS)
		return drive_fail(&f->base, REEL_EMEDIUM,
				  "no cartridge is loaded");
	return 0;
}

/* ---- the buffer ---- */

static void look_ahead(struct fault *f)
{
	struct drive_parameters p;

	f->remaining = f->early_size = DRIVE_UNKNOWN;
	if (!f->inner->lost)
		drive_tell(f->inner, &f->ahead);
	if (drive_parameters(f->inner, &p) || p.capacity == DRIVE_UNKNOWN)
		return;
	f->remaining = p.remaining;
	f->early_size = p.early_size;
}

static int push(struct fault *f)
{
	size_t at = 0;
	int error = 0;

	while (!error && at < f->queue.length) {
		struct queued q;
		bool early;

		memcpy(&q, f->queue.data + at, sizeof(q));
		at += sizeof(q);
		if (q.is_mark) {
			error = drive_mark(f->inner, q.mark, q.length, true,
					   &early);
			continue;
		}
		error = drive_write(f->inner, f->queue.data + at, q.length,
				    &early);
		at += q.length;
	}
	lose(f);
	look_ahead(f);
	/* what had been taken does not fit: that is no end, it is a loss */
	return error == REEL_ENOSPC ? REEL_EIO : error;
}

static int enqueue(struct fault *f, struct queued q, const void *data)
{
	int error = buffer_append(&f->queue, &q, sizeof(q));

	if (!error && !q.is_mark)
		error = buffer_append(&f->queue, data, q.length);
	if (error)
		return error;
	if (q.is_mark) {
		f->ahead.object += q.length;
		f->ahead.file += q.mark == DRIVE_MARK_FILE ? q.length : 0;
		f->ahead.block = q.mark == DRIVE_MARK_FILE
					 ? 0
					 : f->ahead.block + q.length;
	} else {
		f->ahead.object++;
		f->ahead.block++;
	}
	return 0;
}

static bool near_end(const struct fault *f, size_t length)
{
	uint64_t wanted = f->queue.length + length + SLACK;

	return f->remaining != DRIVE_UNKNOWN && wanted > f->remaining;
}

static bool is_early(const struct fault *f)
{
	if (f->early)
		return true;
	return f->early_size != DRIVE_UNKNOWN &&
	       f->queue.length + f->early_size >= f->remaining;
}

/* ---- commands ---- */

static int fault_close(struct drive *d)
{
	struct fault *f = fault_of(d);
	int error = 0;

	if (!f->off && !f->gone)
		error = push(f);
	if (!error)
		error = drive_close(f->inner);
	else
		drive_close(f->inner);
	buffer_release(&f->queue);
	free(f);
	return error;
}

static int fault_status(struct drive *d, struct drive_status *s)
{
	struct fault *f = fault_of(d);
	enum fault_kind kind;
	int error = strike(f, OP_STATUS, &kind);

	if (error && !f->changed)
		return error;
	error = drive_status(f->inner, s);
	s->changed |= f->changed;
	f->changed = false;
	if (f->gone)
		s->state = DRIVE_EMPTY;
	s->early |= f->early;
	return error;
}

static int fault_parameters(struct drive *d, struct drive_parameters *p)
{
	return drive_parameters(fault_of(d)->inner, p);
}

static int fault_read(struct drive *d, void *to, size_t room,
		      struct drive_read *r)
{
	struct fault *f = fault_of(d);
	enum fault_kind kind;
	int error = strike(f, OP_READ, &kind);

	if (!error)
		error = push(f);
	if (!error)
		error = drive_read(f->inner, to, room, r);
	if (error || r->found != DRIVE_BLOCK)
		return error;
	if (kind == FAULT_SHORT)
		r->length /= 2;
	if (kind == FAULT_DAMAGED)
		return drive_fail(d, REEL_EDAMAGED, "unreadable on purpose");
	return 0;
}

static int refused_end(struct fault *f, bool *early)
{
	*early = true;
	return f->eom ? REEL_ENOSPC : 0;
}

static int fault_write(struct drive *d, const void *data, size_t length,
		       bool *early)
{
	struct fault *f = fault_of(d);
	struct queued q = {.length = (uint32_t)length};
	enum fault_kind kind;
	int error = strike(f, OP_WRITE, &kind);

	if (error)
		return error;
	if (f->eom)
		return refused_end(f, early);
	if (near_end(f, length) || length > f->buffer_size) {
		error = push(f);
		if (!error)
			error = drive_write(f->inner, data, length, early);
		look_ahead(f);
		*early |= f->early;
		return error;
	}
	if (f->queue.length + length > f->buffer_size)
		error = push(f);
	if (!error)
		error = enqueue(f, q, data);
	*early = is_early(f);
	return error;
}

static int fault_flush(struct drive *d)
{
	struct fault *f = fault_of(d);
	enum fault_kind kind;
	int error = strike(f, OP_FLUSH, &kind);

	if (!error)
		error = push(f);
	return error ? error : drive_flush(f->inner);
}

static int fault_mark(struct drive *d, enum drive_mark mark, uint32_t count,
		      bool immediate, bool *early)
{
	struct fault *f = fault_of(d);
	struct queued q = {.is_mark = true, .mark = mark, .length = count};
	enum fault_kind kind;
	int error = strike(f, OP_MARK, &kind);

	if (error)
		return error;
	if (kind == FAULT_EOM)
		return refused_end(f, early);
	if (immediate && !near_end(f, sizeof(q))) {
		error = enqueue(f, q, NULL);
		*early = is_early(f);
		return error;
	}
	error = push(f);
	if (!error)
		error = drive_mark(f->inner, mark, count, immediate, early);
	look_ahead(f);
	*early |= f->early;
	return error;
}

/* Before a command that moves. */
static int settle(struct fault *f, enum fault_op op)
{
	enum fault_kind kind;
	int error = strike(f, op, &kind);

	if (error)
		return error;
	f->eom = f->early = false;
	return push(f);
}

static int moved(struct fault *f, int error)
{
	look_ahead(f);
	return error;
}

static int fault_space(struct drive *d, enum drive_unit unit, int64_t count,
		       struct drive_moved *m)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_SPACE);

	return error ? error : moved(f, drive_space(f->inner, unit, count, m));
}

static int fault_rewind(struct drive *d, bool immediate)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_REWIND);

	return error ? error : moved(f, drive_rewind(f->inner, immediate));
}

static int fault_locate(struct drive *d, uint32_t partition, uint64_t object)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_SEEK);

	if (error)
		return error;
	return moved(f, f->inner->op->locate(f->inner, partition, object));
}

static int fault_select(struct drive *d, uint32_t partition)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_SEEK);

	return error ? error : moved(f, drive_select(f->inner, partition));
}

static int fault_tell(struct drive *d, struct drive_position *p)
{
	struct fault *f = fault_of(d);

	if (!f->queue.length && !f->inner->lost)
		return drive_tell(f->inner, p);
	*p = f->ahead;
	return 0;
}

static int fault_prepare(struct drive *d, enum drive_preparation what,
			 bool immediate)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_PREPARE);

	if (!error && what == DRIVE_LOAD)
		f->gone = false;
	return error ? error
		     : moved(f, drive_prepare(f->inner, what, immediate));
}

static int fault_erase(struct drive *d, enum drive_erasure how, bool immediate)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_SPACE);

	return error ? error : moved(f, drive_erase(f->inner, how, immediate));
}

static int fault_partition(struct drive *d, const struct drive_partitioning *p)
{
	struct fault *f = fault_of(d);
	int error = settle(f, OP_SPACE);

	return error ? error : moved(f, drive_partition(f->inner, p));
}

static int fault_set(struct drive *d, enum drive_parameter what, uint64_t value)
{
	return drive_set(fault_of(d)->inner, what, value);
}

static int fault_attribute(struct drive *d, uint16_t id, void *to,
			   size_t *length)
{
	return drive_attribute(fault_of(d)->inner, id, to, length);
}

static int fault_set_attribute(struct drive *d, uint16_t id, const void *data,
			       size_t length)
{
	return drive_set_attribute(fault_of(d)->inner, id, data, length);
}

#define COMMON                                                                 \
	.kind = "drive that fails on purpose", .close = fault_close,           \
	.status = fault_status, .parameters = fault_parameters,                \
	.read = fault_read, .write = fault_write, .mark = fault_mark,          \
	.space = fault_space, .rewind = fault_rewind, .flush = fault_flush,    \
	.select = fault_select, .prepare = fault_prepare,                      \
	.erase = fault_erase, .partition = fault_partition, .set = fault_set,  \
	.attribute = fault_attribute, .set_attribute = fault_set_attribute,    \
	.tell = fault_tell

static const struct drive_operations fault_operations = {
	COMMON, .locate = fault_locate};
static const struct drive_operations fault_walking = {COMMON};

int drive_fault_open(const char *name, const struct drive_options *o,
		     struct drive **d)
{
	struct fault *f = calloc(1, sizeof(*f));
	const char *rules = name + strlen("fault:");
	const char *colon = strchr(rules, ':');
	int error;

	if (!f)
		return REEL_ENOMEM;
	f->base.name = (char *)(uintptr_t)name;
	f->base.op = &fault_operations;
	f->buffer_size = BUFFER_SIZE;
	error = colon ? parse_rules(f, rules, (size_t)(colon - rules))
		      : drive_fail(&f->base, REEL_EINVAL,
				   "fault:RULES:DEVICE is meant");
	if (!error)
		error = drive_open(colon + 1, o, &f->inner);
	if (error) {
		free(f);
		return error;
	}
	if (!f->inner->op->locate)
		f->base.op = &fault_walking;
	look_ahead(f);
	*d = &f->base;
	return 0;
}
