#include <stdlib.h>
#include <string.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"

void delayed_record_release(struct delayed_record *r)
{
	free(r->source);
	free(r->path);
	free(r->place);
	memset(r, 0, sizeof(*r));
}

void delayed_journal_release(struct delayed_journal *j)
{
	for (size_t n = 0; n < j->count; n++)
		delayed_record_release(&j->records[n]);
	for (size_t n = 0; n < j->area_count; n++) {
		free(j->areas[n].place);
		free(j->areas[n].directory);
	}
	for (size_t n = 0; n < j->list_count; n++)
		free(j->lists[n].path);
	free(j->records);
	free(j->areas);
	free(j->lists);
	memset(j, 0, sizeof(*j));
}

struct delayed_record *delayed_journal_add(struct delayed_journal *j)
{
	if (j->count == j->room) {
		size_t room = j->room ? 2 * j->room : 16;
		struct delayed_record *more =
			realloc(j->records, room * sizeof(*more));

		if (!more)
			return NULL;
		j->records = more;
		j->room = room;
	}
	memset(&j->records[j->count], 0, sizeof(j->records[0]));
	return &j->records[j->count++];
}

int delayed_journal_add_area(struct delayed_journal *j, const char *place,
			     const char *directory)
{
	struct delayed_area *more =
		realloc(j->areas, (j->area_count + 1) * sizeof(*more));
	struct delayed_area area = {.fd = -1};

	if (!more)
		return REEL_ENOMEM;
	j->areas = more;
	area.place = strdup(place);
	area.directory = strdup(directory);
	if (!area.place || !area.directory) {
		free(area.place);
		free(area.directory);
		return REEL_ENOMEM;
	}
	j->areas[j->area_count++] = area;
	return 0;
}

struct delayed_list *delayed_journal_add_list(struct delayed_journal *j)
{
	struct delayed_list *more =
		realloc(j->lists, (j->list_count + 1) * sizeof(*more));

	if (!more)
		return NULL;
	j->lists = more;
	memset(&more[j->list_count], 0, sizeof(*more));
	return &more[j->list_count++];
}

bool delayed_has_status(const struct delayed_record *r)
{
	return r->state == DELAYED_DONE || r->state == DELAYED_FAILED;
}

bool delayed_path_valid(const char *path)
{
	size_t length = strlen(DELAYED_DIRECTORY);

	if (!beneath_path_valid(path, strlen(path)))
		return false;
	return strncmp(path, DELAYED_DIRECTORY, length) ||
	       (path[length] && path[length] != '/');
}
