/* Imported lists.
 *
 * The journal has a line and records for each, and `list-N` is the list as it
 * was, so that it can be given out again byte for byte.
 *
 * L1 list-N is durable before the journal names it, and removed after the
 *    journal has ceased to.
 * L2 Only the status of a record is ever changed in a list, and only in one
 *    whose other fields have the digest that was noted at import. */
#include "catalog/delayed_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "catalog/fold.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define SPELL_LIMIT 10000 /* records that are looked back at */

void delayed_list_name(uint32_t number, char name[24])
{
	snprintf(name, 24, "list-%u", number);
}

/* ---- import ---- */

struct import {
	struct delayed *d;
	const struct srdelayed_list *list;
	const struct srdelayed_maps *maps;
	const char *shown;
	uint32_t number;
	size_t at; /* the record */
};

static int complain(const struct import *m, const char *name, const char *what)
{
	char *shown = text_name(name, strlen(name));

	log_error("%s: record %zu: %s: %s", m->shown, m->at + 1,
		  shown ? shown : "?", what);
	free(shown);
	return REEL_EINVAL;
}

static int text_of(const struct import *m, int field, struct buffer *out)
{
	int error = srdelayed_utf8(m->list,
				   &m->list->records[m->at].fields[field], out);

	return error ? error : buffer_append(out, "", 1);
}

/* Heap: the path below the target, spelled as it is there. */
static int path_of(const struct import *m, int field, char **out)
{
	struct buffer windows = {0}, path = {0};
	int error = text_of(m, field, &windows);

	if (!error)
		error = srdelayed_path_in(m->maps, (char *)windows.data, &path);
	if (error == REEL_ENOENT)
		error = complain(m, (char *)windows.data,
				 "this volume is not mapped; --map says where "
				 "it is");
	else if (error == REEL_EINVAL)
		error = complain(m, (char *)windows.data,
				 "this is no path of a drive or a volume");
	else if (!error)
		fold_path(m->d->root, (char *)path.data);
	buffer_release(&windows);
	if (error) {
		buffer_release(&path);
		return error;
	}
	*out = (char *)path.data;
	return 0;
}

static int short_name(const struct import *m, char **out)
{
	struct buffer name = {0};
	int error = text_of(m, 1, &name);

	if (!error && !beneath_name_valid((char *)name.data, name.length - 1))
		error = complain(m, (char *)name.data, "this is no name");
	if (error)
		buffer_release(&name);
	else
		*out = (char *)name.data;
	return error;
}

/* Names that an earlier move of the list makes are spelled as it does. */
static void spell_as_made(const struct import *m, char *path)
{
	struct delayed_journal *fresh = &m->d->fresh;
	struct stat st;
	const char *name;
	int up = beneath_parent(m->d->root, path, &name);
	bool there = up >= 0 && !fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW);

	if (up >= 0)
		close(up);
	for (size_t n = fresh->count, all = n;
	     !there && n && all - n < SPELL_LIMIT; n--) {
		const struct delayed_record *r = &fresh->records[n - 1];

		if (r->list != m->number || r->kind != DELAYED_MOVE ||
		    !r->path || strlen(r->path) != strlen(path) ||
		    !fold_equal(r->path, path))
			continue;
		strcpy(path, r->path);
		return;
	}
}

static int import_record(struct import *m)
{
	const struct srdelayed_record *from = &m->list->records[m->at];
	struct delayed_record r = {.kind = from->kind, .list = m->number};
	struct delayed_record *into;
	int error = path_of(m, 2, &r.path);

	if (!error)
		spell_as_made(m, r.path);
	if (!error && r.kind == DELAYED_MOVE) {
		error = path_of(m, 1, &r.source);
		if (!error)
			spell_as_made(m, r.source);
	} else if (!error && r.kind == DELAYED_SHORT_NAME) {
		error = short_name(m, &r.source);
	}
	if (!error)
		error = delayed_place(m->d->root, r.path, &r.place);
	into = error ? NULL : delayed_journal_add(&m->d->fresh);
	if (!into) {
		delayed_record_release(&r);
		return error ? error : REEL_ENOMEM;
	}
	r.index = (uint32_t)m->at;
	r.number = m->d->journal.next++;
	if (from->executed && !from->status)
		r.state = DELAYED_DONE;
	*into = r;
	return 0;
}

/* An earlier import of the same list goes. */
static void replace_list(struct delayed *d, const struct digest *fields)
{
	struct delayed_journal *j = &d->journal;

	for (size_t n = 0; n < j->list_count; n++) {
		size_t kept = 0;

		if (memcmp(&j->lists[n].fields, fields, sizeof(*fields)))
			continue;
		for (size_t i = 0; i < j->count; i++) {
			if (j->records[i].list == j->lists[n].number)
				delayed_record_release(&j->records[i]);
			else
				j->records[kept++] = j->records[i];
		}
		j->count = kept;
	}
}

static int add_list(struct import *m, const char *path, const void *data,
		    size_t length)
{
	struct delayed_journal *j = &m->d->journal;
	struct delayed_list *list;
	char name[24];
	int error;

	for (size_t n = 0; n < j->list_count; n++)
		if (j->lists[n].number >= m->number)
			m->number = j->lists[n].number + 1;
	delayed_list_name(m->number, name);
	if (j->list_count >= DELAYED_LIST_LIMIT)
		return REEL_ERANGE;
	error = delayed_replace(m->d->directory, name, data, length);
	list = error ? NULL : delayed_journal_add_list(j);
	if (!list)
		return error ? error : REEL_ENOMEM;
	list->number = m->number;
	list->path = strdup(path ? path : "");
	return list->path ? srdelayed_digest(m->list, &list->fields)
			  : REEL_ENOMEM;
}

static int import_all(struct import *m, const char *path, const void *data,
		      size_t length)
{
	struct digest fields;
	int error = srdelayed_digest(m->list, &fields);

	if (!error) {
		replace_list(m->d, &fields);
		error = add_list(m, path, data, length);
	}
	for (m->at = 0; !error && m->at < m->list->count; m->at++)
		error = import_record(m);
	return error;
}

int delayed_import(struct delayed *d, const void *data, size_t length,
		   const char *path, const struct srdelayed_maps *maps,
		   const char *shown)
{
	struct srdelayed_list list;
	struct import m = {d, &list, maps, shown, 1, 0};
	const char *trouble = "";
	size_t record = 0;
	int error = srdelayed_parse(data, length, &list, &record, &trouble);

	if (error == REEL_EDAMAGED) {
		log_error("%s: record %zu: %s", shown, record, trouble);
		return REEL_EINVAL;
	}
	if (!error) {
		error = import_all(&m, path, data, length);
		srdelayed_release(&list);
	}
	if (error && error != REEL_EINVAL)
		log_error("%s: cannot be imported: %s", shown,
			  error_text(error));
	return error;
}

/* ---- giving out ---- */

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

static bool has_status(const struct delayed_record *r)
{
	return r->state == DELAYED_DONE || r->state == DELAYED_FAILED;
}

static int put_imported(const struct copy *c, const struct delayed_record *r,
			struct buffer *out)
{
	if (r->index >= c->list.count)
		return REEL_EDAMAGED;
	return srdelayed_put_record(out, &c->list, &c->list.records[r->index],
				    has_status(r) ? &r->status : NULL);
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
	if (!error && has_status(r))
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

/* ---- answering ---- */

static const struct delayed_list *list_with(const struct delayed *d,
					    const struct digest *fields)
{
	for (size_t n = 0; n < d->journal.list_count; n++)
		if (!memcmp(&d->journal.lists[n].fields, fields,
			    sizeof(*fields)))
			return &d->journal.lists[n];
	return NULL;
}

static int answer(const struct delayed *d, const struct srdelayed_list *list,
		  uint32_t number, struct buffer *out)
{
	const uint32_t **status = calloc(list->count + 1, sizeof(*status));
	int error = status ? 0 : REEL_ENOMEM;

	for (size_t n = 0; !error && n < d->journal.count; n++) {
		const struct delayed_record *r = &d->journal.records[n];

		if (r->list == number && r->index < list->count &&
		    has_status(r))
			status[r->index] = &r->status;
	}
	if (!error && list->mark)
		error = buffer_append(out, "\xff\xfe", 2);
	for (size_t n = 0; !error && n < list->count; n++)
		error = srdelayed_put_record(out, list, &list->records[n],
					     status[n]);
	if (!error && list->count)
		error = buffer_append_zeros(out, 2);
	if (!error && list->count)
		error = buffer_append(out, list->data + list->rest,
				      list->length - list->rest);
	free(status);
	return error;
}

int delayed_answer(const struct delayed *d, const void *data, size_t length,
		   struct buffer *out)
{
	struct srdelayed_list list;
	const struct delayed_list *known;
	struct digest fields;
	const char *trouble;
	size_t record;
	int error = srdelayed_parse(data, length, &list, &record, &trouble);

	if (error)
		return error;
	error = srdelayed_digest(&list, &fields);
	known = error ? NULL : list_with(d, &fields);
	if (!error && !known)
		error = REEL_ENOENT;
	if (!error)
		error = answer(d, &list, known->number, out);
	if (!error)
		error = out->length != length ||
			memcmp(out->data, data, length) != 0;
	srdelayed_release(&list);
	return error;
}

static int update(struct delayed *d, const struct delayed_list *l)
{
	struct buffer data = {0}, news = {0};
	const char *name;
	int up = beneath_parent(d->root, l->path, &name);
	int error = up < 0 ? up : 0;

	if (!error)
		error = delayed_read(up, name, SRDELAYED_LIMIT, &data);
	if (!error)
		error = delayed_answer(d, data.data, data.length, &news);
	if (error == 1)
		error = delayed_replace(up, name, news.data, news.length);
	if (up >= 0)
		close(up);
	buffer_release(&data);
	buffer_release(&news);
	return error;
}

void delayed_lists_update(struct delayed *d)
{
	for (size_t n = 0; n < d->journal.list_count; n++) {
		const struct delayed_list *l = &d->journal.lists[n];
		int error = *l->path ? update(d, l) : 0;
		char *name;

		if (!error)
			continue;
		name = text_name(l->path, strlen(l->path));
		log_warning("%s: the status of its records is not written: %s",
			    name ? name : "?",
			    error == REEL_ENOENT
				    ? "it is not the list that was imported"
				    : error_text(error));
		free(name);
	}
}

static bool list_used(const struct delayed_journal *j, uint32_t number)
{
	for (size_t n = 0; n < j->count; n++)
		if (j->records[n].list == number)
			return true;
	return false;
}

int delayed_lists_prune(struct delayed *d)
{
	struct delayed_journal *j = &d->journal;
	struct buffer gone = {0};
	size_t kept = 0;
	int error = 0;

	for (size_t n = 0; !error && n < j->list_count; n++) {
		struct delayed_list *l = &j->lists[n];

		if (list_used(j, l->number)) {
			j->lists[kept++] = *l;
			continue;
		}
		error = buffer_append(&gone, &l->number, sizeof(l->number));
		free(l->path);
	}
	if (!error) {
		bool some = j->list_count != kept;

		j->list_count = kept;
		if (some)
			error = delayed_write(d);
	}
	for (size_t n = 0; !error && n < gone.length / sizeof(uint32_t); n++) {
		char name[24];
		uint32_t number;

		memcpy(&number, gone.data + n * sizeof(number), sizeof(number));
		delayed_list_name(number, name);
		if (unlinkat(d->directory, name, 0) && errno != ENOENT)
			error = error_from_errno(errno);
	}
	buffer_release(&gone);
	return error;
}
