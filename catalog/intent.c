#include "catalog/intent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

#define INTENT	     "spool/intent"
#define INTENT_NEW   "spool/intent.new"
#define INTENT_VOID  "spool/intent.void"
#define INTENT_LIMIT (64u << 20)

static int sync_spool(const struct set *s)
{
	int fd = openat(s->directory, "spool",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) ? error_from_errno(errno) : 0;

	if (fd >= 0)
		close(fd);
	return error;
}

static int read_all(const struct set *s, const char *name, struct buffer *b)
{
	int fd = openat(s->directory, name, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 ? error_from_errno(errno) : 0;
	ssize_t n = 1;

	while (!error && n > 0 && b->length < INTENT_LIMIT) {
		error = buffer_reserve(b, 65536);
		n = error ? 0 : read(fd, b->data + b->length, 65536);
		if (n < 0)
			error = error_from_errno(errno);
		b->length += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

int intent_read(const struct set *s, bool voided, struct cartridge_table *out)
{
	const char *name = voided ? INTENT_VOID : INTENT;
	struct buffer b = {0};
	int error = read_all(s, name, &b);

	if (!error) {
		error = cartridge_table_decode(b.data, b.length, out);
		if (error == REEL_ENOENT)
			error = REEL_EDAMAGED;
		if (!error && !out->place_count) {
			cartridge_table_release(out);
			error = REEL_EDAMAGED;
		}
		if (error)
			log_error("%s/%s: %s", s->path, name,
				  error_text(error));
	}
	buffer_release(&b);
	return error;
}

static int write_new(struct set *s, const struct buffer *b)
{
	int fd = openat(s->directory, INTENT_NEW,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t at = 0;
	int error = fd < 0 ? error_from_errno(errno) : 0;

	while (!error && at < b->length) {
		ssize_t n = write(fd, b->data + at, b->length - at);

		if (n < 0 && errno != EINTR)
			error = error_from_errno(errno);
		at += n > 0 ? (size_t)n : 0;
	}
	if (!error && fsync(fd))
		error = error_from_errno(errno);
	if (fd >= 0)
		close(fd);
	if (!error && renameat(s->directory, INTENT_NEW, s->directory, INTENT))
		error = error_from_errno(errno);
	return error ? error : sync_spool(s);
}

static int by_number(const void *a, const void *b)
{
	const struct cartridge_label *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* *t with one more cartridge and place; what *t had is borrowed. */
static int with(const struct cartridge_table *t,
		const struct cartridge_label *l, const struct place *p,
		struct buffer *out)
{
	struct cartridge_table more = {.cartridge_count =
					       t->cartridge_count + 1,
				       .place_count = t->place_count + 1};
	int error = REEL_ENOMEM;

	more.cartridges = malloc(more.cartridge_count * sizeof(*l));
	more.places = malloc(more.place_count * sizeof(*p));
	if (more.cartridges && more.places) {
		if (t->cartridge_count)
			memcpy(more.cartridges, t->cartridges,
			       t->cartridge_count * sizeof(*l));
		if (t->place_count)
			memcpy(more.places, t->places,
			       t->place_count * sizeof(*p));
		more.cartridges[t->cartridge_count] = *l;
		more.places[t->place_count] = *p;
		more.places[t->place_count].cartridge = l->number;
		qsort(more.cartridges, more.cartridge_count, sizeof(*l),
		      by_number);
		qsort(more.places, more.place_count, sizeof(*p), place_compare);
		error = cartridge_table_encode(&more, out);
	}
	free(more.cartridges);
	free(more.places);
	return error;
}

int intent_add(struct set *s, const struct cartridge_label *l,
	       const struct place *session)
{
	struct cartridge_table t = {0};
	struct buffer b = {0};
	int error = intent_read(s, false, &t);
	bool there = false;

	if (!error && (t.places[0].session != session->session ||
		       t.places[0].session_time != session->session_time))
		cartridge_table_release(&t);
	if (error == REEL_ENOENT || error == REEL_EDAMAGED)
		error = 0;
	for (size_t n = 0; n < t.cartridge_count; n++)
		there |= t.cartridges[n].number == l->number;
	if (!error && !there) {
		error = with(&t, l, session, &b);
		if (!error)
			error = write_new(s, &b);
		if (error)
			log_error("%s/" INTENT ": %s", s->path,
				  error_text(error));
	}
	cartridge_table_release(&t);
	buffer_release(&b);
	return error;
}

int intent_void(struct set *s)
{
	int error = renameat(s->directory, INTENT, s->directory, INTENT_VOID)
			    ? error_from_errno(errno)
			    : sync_spool(s);

	if (error)
		log_error("%s/" INTENT ": %s", s->path, error_text(error));
	return error;
}

int intent_remove(struct set *s)
{
	unlinkat(s->directory, INTENT_VOID, 0);
	unlinkat(s->directory, INTENT, 0);
	return sync_spool(s);
}
