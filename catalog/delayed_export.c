#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_list.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

/* One of the journal's lists, read. */
struct copy {
	struct buffer data;
	struct srdelayed_list list;
};

static void copy_release(struct copy *c)
{
	srdelayed_release(&c->list);
	buffer_release(&c->data);
}

static int copy_read(const struct delayed *d, uint32_t number, struct copy *out)
{
	const char *trouble;
	size_t record;
	char name[24];
	int error;

	memset(out, 0, sizeof(*out));
	delayed_list_name(number, name);
	error = delayed_read(d->directory, name, SRDELAYED_LIMIT, &out->data);
	if (!error)
		error = srdelayed_parse(out->data.data, out->data.length,
					&out->list, &record, &trouble);
	if (error) {
		log_error("%s/%s: the imported list cannot be read: %s",
			  d->name, name, error_text(error));
		buffer_release(&out->data);
	}
	return error;
}

static int put_imported(const struct copy *c, const struct delayed_record *r,
			struct buffer *out)
{
	if (r->index >= c->list.count)
		return REEL_EDAMAGED;
	return srdelayed_put_record(out, &c->list, &c->list.records[r->index],
				    delayed_has_status(r) ? &r->status : NULL);
}

static int put_path(const struct delayed_export *how, const char *path,
		    struct buffer *out)
{
	struct buffer windows = {0};
	int error = srdelayed_path_out(how->maps, how->prefix, path, &windows);

	if (!error)
		error = srdelayed_put(out, (char *)windows.data);
	buffer_release(&windows);
	return error;
}

/* srdelayed moves files only. */
static bool is_file(const struct delayed *d, const char *path)
{
	const char *name;
	struct stat st;
	int up = beneath_parent(d->root, path, &name);
	bool file = up >= 0 && !fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISREG(st.st_mode);

	if (up >= 0)
		close(up);
	return file;
}

static int put_own(const struct delayed *d, const struct delayed_export *how,
		   const struct delayed_record *r, struct buffer *out)
{
	static const char *const operations[] = {"DeleteFile", "MoveFile",
						 "SetFileShortName"};
	int error;

	if (r->kind == DELAYED_MOVE && !is_file(d, r->source))
		return REEL_EINVAL;
	error = srdelayed_put(out, operations[r->kind]);
	if (!error && r->kind == DELAYED_MOVE)
		error = put_path(how, r->source, out);
	else if (!error)
		error = srdelayed_put(out, r->source ? r->source : "Unused");
	if (!error)
		error = put_path(how, r->path, out);
	if (!error && delayed_has_status(r))
		error = srdelayed_put_status(out, r->status);
	else if (!error)
		error = srdelayed_put(out, "NotExecuted");
	return error;
}

static int put_own_or_say(const struct delayed *d,
			  const struct delayed_export *how,
			  const struct delayed_record *r, struct buffer *out,
			  size_t *left_out)
{
	size_t begin = out->length;
	int error = put_own(d, how, r, out);
	char *name;

	if (error != REEL_EINVAL && error != REEL_ENOENT)
		return error;
	out->length = begin;
	name = text_name(r->path, strlen(r->path));
	log_warning("%s: left out: %s", name ? name : "?",
		    error == REEL_ENOENT
			    ? "it lies on no volume that is mapped"
			    : "Windows moves files only, under names that "
			      "Windows knows");
	free(name);
	(*left_out)++;
	return 0;
}

/* Marks and what follows the end are those of the only list. */
static int begin_export(const struct copy *c, bool mark, struct buffer *out)
{
	return mark || (c && c->list.mark) ? buffer_append(out, "\xff\xfe", 2)
					   : 0;
}

static int end_export(const struct delayed *d, const struct copy *c,
		      struct buffer *out)
{
	int error = 0;

	/* a list without anything may lack even the NUL */
	if (!c || c->list.count || c->list.rest > (c->list.mark ? 2u : 0u))
		error = buffer_append_zeros(out, 2);
	if (!error && c && d->journal.list_count == 1)
		error = buffer_append(out, c->data.data + c->list.rest,
				      c->data.length - c->list.rest);
	return error;
}

int delayed_export(const struct delayed *d, const struct delayed_export *how,
		   struct buffer *out, size_t *left_out)
{
	const struct delayed_journal *j = &d->journal;
	struct copy copy = {0};
	uint32_t have = 0;
	int error = 0;

	*left_out = 0;
	if (j->list_count) {
		have = j->lists[0].number;
		error = copy_read(d, have, &copy);
	}
	if (!error)
		error = begin_export(have ? &copy : NULL, how->mark, out);
	for (size_t n = 0; !error && n < j->count; n++) {
		const struct delayed_record *r = &j->records[n];

		if (r->list && r->list != have) {
			copy_release(&copy);
			have = r->list;
			error = copy_read(d, have, &copy);
		}
		if (!error && r->list)
			error = put_imported(&copy, r, out);
		else if (!error)
			error = put_own_or_say(d, how, r, out, left_out);
	}
	if (!error)
		error = end_export(d, have ? &copy : NULL, out);
	if (have)
		copy_release(&copy);
	return error;
}
