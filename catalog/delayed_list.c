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
	else if (!error && !delayed_path_valid((char *)path.data))
		error = complain(m, (char *)windows.data,
				 "this is where the journal lies");
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
	int error = 0;

	for (size_t n = 0; n < j->list_count; n++)
		if (j->lists[n].number >= m->number)
			m->number = j->lists[n].number + 1;
	delayed_list_name(m->number, name);
	if (j->list_count >= DELAYED_LIST_LIMIT)
		return REEL_ERANGE;
	if (m->d->lock_fd >= 0)
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
		m->d->altered = true;
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

int delayed_preview(struct delayed *d)
{
	return delayed_order(&d->journal, &d->fresh);
}
