/* SCSI through Linux: the SG_IO call on /dev/sg, /dev/sch and /dev/nst. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <scsi/sg.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/scsi_transport.h"
#include "tape/stop.h"

static int run(struct scsi_transport *t, struct scsi_command *c)
{
	struct scsi_sg *g = (struct scsi_sg *)t;
	struct sg_io_hdr h = {.interface_id = 'S',
			      .cmd_len = c->cdb_length,
			      .cmdp = c->cdb,
			      .mx_sb_len = sizeof(c->sense),
			      .sbp = c->sense,
			      .dxfer_len = (unsigned)c->length};

	h.timeout = c->timeout < 1000000 ? c->timeout * 1000 : 1000000000;
	h.dxfer_direction = SG_DXFER_NONE;
	if (c->in) {
		h.dxfer_direction = SG_DXFER_FROM_DEV;
		h.dxferp = c->in;
	} else if (c->out) {
		h.dxfer_direction = SG_DXFER_TO_DEV;
		h.dxferp = (void *)(uintptr_t)c->out;
	} else {
		h.dxfer_len = 0;
	}
	while (ioctl(g->fd, SG_IO, &h) < 0) {
		if (errno == EINTR && !stop_is_set(t->stop))
			continue;
		if (errno == EINTR)
			return REEL_ESTOPPED;
		log_error("%s: a SCSI command cannot be given: %s", t->name,
			  strerror(errno));
		return errno == EPERM || errno == EACCES ? REEL_EPERM
							 : REEL_EIO;
	}
	if (h.host_status) {
		log_error("%s: the drive does not answer (host status %#x)",
			  t->name, h.host_status);
		return REEL_EIO;
	}
	c->status = h.status;
	c->sense_length = h.sb_len_wr;
	c->transferred = h.dxfer_len;
	if (h.resid > 0 && (unsigned)h.resid <= h.dxfer_len)
		c->transferred -= (unsigned)h.resid;
	return 0;
}

static void close_sg(struct scsi_transport *t)
{
	struct scsi_sg *g = (struct scsi_sg *)t;

	if (!g->owned)
		return;
	close(g->fd);
	free(g);
}

void scsi_sg_init(struct scsi_sg *g, int fd, const char *name)
{
	*g = (struct scsi_sg){
		.base = {.run = run, .close = close_sg, .name = name},
		.fd = fd};
}

int scsi_sg_open(const char *path, const volatile int *stop,
		 struct scsi_transport **t)
{
	struct scsi_sg *g;
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int version, error;

	if (fd < 0) {
		error = errno == EBUSY ? REEL_EBUSY : error_from_errno(errno);
		log_error("%s: cannot be opened: %s", path, strerror(errno));
		return error;
	}
	g = malloc(sizeof(*g));
	if (!g || ioctl(fd, SG_GET_VERSION_NUM, &version) < 0) {
		log_error("%s: no SCSI device", path);
		free(g);
		close(fd);
		return REEL_EINVAL;
	}
	scsi_sg_init(g, fd, path);
	g->base.stop = stop;
	g->owned = true;
	*t = &g->base;
	return 0;
}
