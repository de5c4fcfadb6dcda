/* SCSI over iSCSI, through libiscsi. A connection that breaks is not mended
 * behind the drive's back: the command that met it fails, the next one logs in
 * anew, and `generation` tells. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/scsi_transport.h"
#include "tape/stop.h"

#define INITIATOR	"iqn.2026-01.org.reel:"
#define CONNECT_SECONDS 20
#define SLICE		250 /* ms between looks at `stop` */

struct iscsi_link {
	struct scsi_transport base;
	char *url;
	struct iscsi_context *context; /* NULL: not connected */
	int lun;
	int lock; /* a socket with the unit's name; -1 */
};

/* Where a callback leaves what came. */
struct wait {
	bool done;
	int status;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void arrived(struct iscsi_context *context, int status, void *data,
		    void *private)
{
	struct wait *w = private;

	(void)context;
	(void)data;
	w->done = true;
	w->status = status;
}

/* libiscsi sends each header apart from its data, 8 KiB or what the target
 * takes: held together they go as segments of 64 KiB, not as two packets each.
 */
static void hold(int fd, int on)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

/* Once, for what there is. */
static int service(struct iscsi_link *l, int fd, int events)
{
	int result;

	if (events & POLLOUT)
		hold(fd, 1);
	result = iscsi_service(l->context, events);
	if (events & POLLOUT && result >= 0)
		hold(fd, 0);
	return result;
}

/* Lets libiscsi work until w->done. */
static int wait_for(struct iscsi_link *l, struct wait *w, unsigned seconds)
{
	int64_t limit = now_ms() + (int64_t)seconds * 1000;

	while (!w->done) {
		struct pollfd p = {
			.fd = iscsi_get_fd(l->context),
			.events = (short)iscsi_which_events(l->context)};
		int n = poll(&p, 1, SLICE);

		if (stop_is_set(l->base.stop))
			return REEL_ESTOPPED;
		if (n < 0 && errno != EINTR)
			return REEL_EIO;
		if (n > 0 && service(l, p.fd, p.revents) < 0)
			return REEL_EIO;
		if (now_ms() > limit)
			return REEL_EIO;
	}
	return 0;
}

static void disconnect(struct iscsi_link *l)
{
	if (l->context)
		iscsi_destroy_context(l->context);
	l->context = NULL;
}

static int broken(struct iscsi_link *l, int error, const char *what)
{
	const char *text = l->context ? iscsi_get_error(l->context) : NULL;

	/* what libiscsi says of a refused connection helps nobody */
	if (text && strstr(text, "reconnect"))
		text = "no iSCSI target answers there";
	if (!text || !*text)
		text = "no answer in time";
	if (error != REEL_ESTOPPED)
		log_error("%s: %s: %.*s", l->base.name, what,
			  (int)strcspn(text, "\r\n"), text);
	disconnect(l);
	return error;
}

static int log_in(struct iscsi_link *l, const char *portal)
{
	struct wait w = {0};
	int error;

	if (iscsi_connect_async(l->context, portal, arrived, &w))
		return broken(l, REEL_ENOENT, "cannot be reached");
	error = wait_for(l, &w, CONNECT_SECONDS);
	if (!error && w.status)
		error = REEL_EIO;
	if (error)
		return broken(l, error == REEL_EIO ? REEL_ENOENT : error,
			      "cannot be reached");
	w = (struct wait){0};
	if (iscsi_login_async(l->context, arrived, &w))
		return broken(l, REEL_EIO, "cannot log in");
	error = wait_for(l, &w, CONNECT_SECONDS);
	if (!error && w.status)
		error = REEL_ENOENT;
	return error ? broken(l, error, "cannot log in") : 0;
}

static int connect_link(struct iscsi_link *l)
{
	char initiator[128], host[64] = "";
	struct iscsi_url *url;
	int error;

	gethostname(host, sizeof(host) - 1);
	snprintf(initiator, sizeof(initiator), INITIATOR "%s", host);
	l->context = iscsi_create_context(initiator);
	if (!l->context)
		return REEL_ENOMEM;
	url = iscsi_parse_full_url(l->context, l->url);
	if (!url) {
		log_error("%s is meant to be iscsi://HOST[:PORT]/TARGET/LUN",
			  l->base.name);
		disconnect(l);
		return REEL_EINVAL;
	}
	l->lun = url->lun;
	iscsi_set_targetname(l->context, url->target);
	iscsi_set_session_type(l->context, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(l->context, ISCSI_HEADER_DIGEST_NONE_CRC32C);
	iscsi_set_noautoreconnect(l->context, 1);
	iscsi_set_timeout(l->context, 0);
	if (url->user[0])
		iscsi_set_initiator_username_pwd(l->context, url->user,
						 url->passwd);
	error = log_in(l, url->portal);
	iscsi_destroy_url(url);
	l->base.generation += !error;
	return error;
}

/* ---- commands ---- */

static struct scsi_task *make_task(struct scsi_command *c,
				   struct iscsi_data *out)
{
	int direction = SCSI_XFER_NONE;
	struct scsi_task *task;

	if (c->in)
		direction = SCSI_XFER_READ;
	else if (c->out)
		direction = SCSI_XFER_WRITE;
	task = scsi_create_task(c->cdb_length, c->cdb, direction,
				c->in || c->out ? (int)c->length : 0);
	if (!task)
		return NULL;
	if (c->in)
		scsi_task_add_data_in_buffer(task, (int)c->length, c->in);
	out->data = (unsigned char *)(uintptr_t)c->out;
	out->size = c->out ? c->length : 0;
	return task;
}

static void take_answer(struct scsi_command *c, const struct scsi_task *task)
{
	size_t length = 0;

	c->status = (uint8_t)task->status;
	c->transferred = c->in || c->out ? c->length : 0;
	if (task->residual_status == SCSI_RESIDUAL_UNDERFLOW &&
	    task->residual <= c->transferred)
		c->transferred -= task->residual;
	/* two bytes of length stand before the sense data */
	if (task->status == SCSI_STATUS_CHECK_CONDITION &&
	    task->datain.size > 2 && task->datain.data)
		length = (size_t)task->datain.size - 2;
	if (length > sizeof(c->sense))
		length = sizeof(c->sense);
	if (length)
		memcpy(c->sense, task->datain.data + 2, length);
	c->sense_length = length;
}

static int run(struct scsi_transport *t, struct scsi_command *c)
{
	struct iscsi_link *l = (struct iscsi_link *)t;
	struct iscsi_data out;
	struct scsi_task *task;
	struct wait w = {0};
	int error = l->context ? 0 : connect_link(l);

	if (error == REEL_ENOENT)
		error = REEL_EIO; /* it went; ENOENT is the end of the data */
	if (error)
		return error;
	task = make_task(c, &out);
	if (!task)
		return REEL_ENOMEM;
	if (iscsi_scsi_command_async(l->context, l->lun, task, arrived,
				     c->out ? &out : NULL, &w))
		error = REEL_EIO;
	else
		error = wait_for(l, &w, c->timeout);
	if (!error && (w.status < 0 || w.status > 0xff ||
		       w.status == (int)SCSI_STATUS_CANCELLED))
		error = REEL_EIO;
	if (!error)
		take_answer(c, task);
	else
		error = broken(l, error, "the connection broke");
	scsi_free_scsi_task(task);
	return error;
}

static void close_link(struct scsi_transport *t)
{
	struct iscsi_link *l = (struct iscsi_link *)t;
	struct wait w = {0};

	if (l->context && !iscsi_logout_async(l->context, arrived, &w))
		wait_for(l, &w, 2);
	disconnect(l);
	if (l->lock >= 0)
		close(l->lock);
	free(l->url);
	free(l);
}

/* One program of this machine at a time, as of a device of Linux: two would
 * move the tape under each other. */
static int lock_link(struct iscsi_link *l, bool quiet)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct digest x;
	int length;

	digest_bytes(0, l->url, strlen(l->url), &x);
	length = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1,
			  "reel-%02x%02x%02x%02x%02x%02x%02x%02x", x.b[0],
			  x.b[1], x.b[2], x.b[3], x.b[4], x.b[5], x.b[6],
			  x.b[7]);
	l->lock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (l->lock >= 0 &&
	    !bind(l->lock, (struct sockaddr *)(void *)&a,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			      (size_t)length)))
		return 0;
	if (!quiet)
		log_error("%s: another program uses it; try again when it is "
			  "done",
			  l->base.name);
	return REEL_EBUSY;
}

/* A password does not belong into messages: from after "//" to '@' it goes. */
static char *shown(char *url)
{
	char *user = strstr(url, "//");
	char *at = user ? strchr(user, '@') : NULL;
	char *slash = user ? strchr(user + 2, '/') : NULL;

	return at && slash && at < slash ? at + 1 : url;
}

int scsi_iscsi_open(const char *url, const volatile int *stop, bool quiet,
		    struct scsi_transport **t)
{
	struct iscsi_link *l = calloc(1, sizeof(*l));
	int error;

	if (!l)
		return REEL_ENOMEM;
	l->lock = -1;
	l->url = strdup(url);
	if (!l->url) {
		free(l);
		return REEL_ENOMEM;
	}
	l->base = (struct scsi_transport){.run = run,
					  .close = close_link,
					  .name = shown(l->url),
					  .stop = stop};
	error = lock_link(l, quiet);
	if (!error)
		error = connect_link(l);
	if (error) {
		close_link(&l->base);
		return error;
	}
	*t = &l->base;
	return 0;
}
