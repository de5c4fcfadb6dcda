#include "tests/unit/st_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mtio.h>
#include <unistd.h>
#include <scsi/sg.h>
#include "tape/drive_st.h"

/* bytes of a block, as tgt has it */
#define LARGEST (1u << 20)

int __real_open64(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *to, size_t length);
ssize_t __real_write(int fd, const void *data, size_t length);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __wrap_read(int fd, void *to, size_t length);
ssize_t __wrap_write(int fd, const void *data, size_t length);
int __wrap_ioctl(int fd, unsigned long request, ...);

static struct {
	struct scsi_tape *tape;
	int fd; /* 0: not open */
	enum { NOTHING, MARK, END_OF_MEDIUM, END_OF_DATA } state;
	bool written; /* L4 */
	bool warned;  /* L1: the next write fails, though the drive took it */
	bool blank;   /* the end of the data was told once */
} kernel;

void st_kernel_attach(struct scsi_tape *t)
{
	memset(&kernel, 0, sizeof(kernel));
	kernel.tape = t;
}

/* ---- commands ---- */

static bool command(uint8_t code, uint8_t bits, uint32_t count,
		    struct scsi_command *c, struct scsi_sense *s)
{
	scsi_begin(c, code, 10);
	c->cdb[1] = bits;
	scsi_put24(c->cdb + 2, count);
	*s = (struct scsi_sense){0};
	if (kernel.tape->base.run(&kernel.tape->base, c))
		return false;
	if (c->status == SCSI_CHECK)
		scsi_sense_parse(c->sense, c->sense_length, s);
	return c->status == SCSI_GOOD;
}

static bool simple(uint8_t code, uint8_t bits, int count)
{
	struct scsi_command c;
	struct scsi_sense s;

	return command(code, bits, (uint32_t)count, &c, &s);
}

static int mark(int count)
{
	struct scsi_command c;
	struct scsi_sense s;

	kernel.written = false;
	kernel.state = MARK;
	if (command(SCSI_WRITE_FILEMARKS, 0, (uint32_t)count, &c, &s) || s.eom)
		return s.key == SCSI_VOLUME_OVERFLOW ? ENOSPC : 0;
	return s.key == SCSI_DATA_PROTECT ? EACCES : EIO;
}

static int space(uint8_t code, int count)
{
	struct scsi_command c;
	struct scsi_sense s;
	bool good;

	if (kernel.written)
		mark(1);
	good = command(SCSI_SPACE, code, (uint32_t)count & 0xffffff, &c, &s);
	kernel.state = !good	   ? NOTHING
		       : code == 3 ? END_OF_DATA
		       : code == 1 ? MARK
				   : NOTHING;
	/* tgt says too little for st to know why */
	if (!good && !kernel.tape->simple && s.key == SCSI_BLANK_CHECK)
		kernel.state = END_OF_DATA;
	if (!good && !kernel.tape->simple && s.filemark)
		kernel.state = MARK;
	return good ? 0 : EIO;
}

static int operate(const struct mtop *op)
{
	switch (op->mt_op) {
	case MTFSF:
		return space(1, op->mt_count);
	case MTBSF:
		return space(1, -op->mt_count);
	case MTFSR:
		return space(0, op->mt_count);
	case MTBSR:
		return space(0, -op->mt_count);
	case MTEOM:
		return space(3, 0);
	case MTWEOF:
	case MTWEOFI:
		return mark(op->mt_count);
	case MTREW:
		if (kernel.written)
			mark(1);
		kernel.state = NOTHING;
		return simple(SCSI_REWIND, 0, 0) ? 0 : EIO;
	case MTSETBLK:
	case MTSETDRVBUFFER:
	case MTNOP:
		return 0;
	default:
		return EIO;
	}
}

static void tell_state(struct mtget *g)
{
	bool begin = !kernel.tape->at;

	*g = (struct mtget){.mt_type = MT_ISSCSI2};
	g->mt_gstat = 0x01000000L | (begin ? 0x40000000L : 0);
	if (kernel.state == MARK)
		g->mt_gstat |= 0x80000000L;
	else if (kernel.state == END_OF_MEDIUM)
		g->mt_gstat |= 0x20000000L;
	else if (kernel.state == END_OF_DATA)
		g->mt_gstat |= 0x08000000L;
}

static int scsi(struct sg_io_hdr *h)
{
	struct scsi_command c = {.cdb_length = h->cmd_len,
				 .length = h->dxfer_len};

	memcpy(c.cdb, h->cmdp, h->cmd_len);
	if (h->dxfer_direction == SG_DXFER_FROM_DEV)
		c.in = h->dxferp;
	else
		c.out = h->dxferp;
	kernel.tape->base.run(&kernel.tape->base, &c);
	h->status = (uint8_t)c.status;
	h->sb_len_wr = (uint8_t)c.sense_length;
	memcpy(h->sbp, c.sense, c.sense_length);
	h->resid = (int)(h->dxfer_len - c.transferred);
	return 0;
}

/* ---- blocks ---- */

static ssize_t at_end(size_t asked)
{
	bool again = kernel.blank;

	kernel.blank = true;
	if (kernel.tape->simple) { /* L3 */
		kernel.state = kernel.state == MARK || again ? END_OF_DATA
							     : END_OF_MEDIUM;
		return (ssize_t)asked;
	}
	kernel.state = END_OF_DATA;
	errno = EIO;
	return again ? -1 : 0;
}

static ssize_t get(void *to, size_t asked)
{
	struct scsi_command c;
	struct scsi_sense s = {0};

	scsi_begin(&c, SCSI_READ, 10);
	scsi_put24(c.cdb + 2, (uint32_t)asked);
	c.in = to;
	c.length = asked;
	errno = EIO;
	if (asked > LARGEST) {
		errno = EINVAL;
		return -1;
	}
	if (kernel.tape->base.run(&kernel.tape->base, &c))
		return -1;
	if (c.status == SCSI_CHECK)
		scsi_sense_parse(c.sense, c.sense_length, &s);
	if (s.key == SCSI_BLANK_CHECK)
		return at_end(asked);
	kernel.blank = false;
	kernel.state = s.filemark ? MARK : s.eom ? END_OF_MEDIUM : NOTHING;
	if (s.filemark)
		return 0;
	if (s.ili && s.information < 0) { /* L2 */
		errno = ENOMEM;
		return -1;
	}
	return c.status == SCSI_GOOD || s.ili || s.eom
		       ? (ssize_t)asked - s.information
		       : -1;
}

static ssize_t put(const void *data, size_t length)
{
	struct scsi_command c;
	struct scsi_sense s = {0};
	bool refuse = kernel.warned;

	kernel.warned = false;
	errno = ENOSPC;
	if (refuse) /* L1 */
		return -1;
	scsi_begin(&c, SCSI_WRITE, 10);
	c.out = data;
	c.length = length;
	errno = EIO;
	if (kernel.tape->base.run(&kernel.tape->base, &c))
		return -1;
	if (c.status == SCSI_CHECK)
		scsi_sense_parse(c.sense, c.sense_length, &s);
	errno = s.key == SCSI_VOLUME_OVERFLOW ? ENOSPC
		: s.key == SCSI_DATA_PROTECT  ? EACCES
					      : EIO;
	if (c.status != SCSI_GOOD && (s.key || !s.eom))
		return -1;
	kernel.warned = s.eom;
	kernel.written = true;
	kernel.state = NOTHING;
	return (ssize_t)length;
}

/* ---- the calls ---- */

int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (!kernel.tape || strcmp(path, ST_KERNEL_NAME))
		return __real_open64(path, flags, mode);
	kernel.fd = __real_open64("/dev/null", O_RDWR | O_CLOEXEC, 0);
	return kernel.fd;
}

static bool is_ours(int fd)
{
	return kernel.tape && kernel.fd && fd == kernel.fd;
}

ssize_t __wrap_read(int fd, void *to, size_t length)
{
	return is_ours(fd) ? get(to, length) : __real_read(fd, to, length);
}

ssize_t __wrap_write(int fd, const void *data, size_t length)
{
	return is_ours(fd) ? put(data, length) : __real_write(fd, data, length);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *with;
	int err = 0;

	va_start(args, request);
	with = va_arg(args, void *);
	va_end(args);
	if (!is_ours(fd))
		return __real_ioctl(fd, request, with);
	if (request == MTIOCGET)
		tell_state(with);
	else if (request == MTIOCTOP)
		err = operate(with);
	else if (request == SG_IO)
		err = scsi(with);
	else
		err = ENOTTY;
	errno = err;
	return err ? -1 : 0;
}
