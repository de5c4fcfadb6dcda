#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_list.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

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
		    delayed_has_status(r))
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

static int answer_at(const struct delayed *d, int up, const char *name)
{
	struct buffer data = {0}, news = {0};
	int error = delayed_read(up, name, SRDELAYED_LIMIT, &data);

	if (!error)
		error = delayed_answer(d, data.data, data.length, &news);
	if (error == 1)
		error = delayed_replace(up, name, news.data, news.length);
	buffer_release(&data);
	buffer_release(&news);
	return error;
}

static void say_unanswered(const char *path, int error)
{
	char *name = text_name(path, strlen(path));

	log_warning("%s: the status of its records is not written: %s",
		    name ? name : "?",
		    error == REEL_ENOENT
			    ? "it is not the list that was imported"
			    : error_text(error));
	free(name);
}

int delayed_answer_file(const struct delayed *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *above =
		slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
	int up = above ? open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = up < 0 ? error_from_errno(errno) : 0;

	if (!error)
		error = answer_at(d, up, slash ? slash + 1 : path);
	if (error)
		say_unanswered(path, error);
	if (up >= 0)
		close(up);
	free(above);
	return error;
}

/* What another try cannot mend is given up: a list that is gone, is another
 * now, or is none any more. */
static bool hopeless(int error)
{
	return error == REEL_ENOENT || error == REEL_ENOTDIR ||
	       error == REEL_EDAMAGED || error == REEL_EINVAL;
}

int delayed_lists_update(struct delayed *d)
{
	int first = 0;

	for (size_t n = 0; n < d->journal.list_count; n++) {
		const char *name, *path = d->journal.lists[n].path;
		int up, error;

		if (!*path)
			continue;
		up = beneath_parent(d->root, path, &name);
		error = up < 0 ? up : answer_at(d, up, name);
		if (up >= 0)
			close(up);
		if (error)
			say_unanswered(path, error);
		if (error && !hopeless(error) && !first)
			first = error;
	}
	return first;
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
