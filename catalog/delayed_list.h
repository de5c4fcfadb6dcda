/* Lists of srdelayed in the journal: taken in, given out, answered. */
#ifndef REEL_CATALOG_DELAYED_LIST_H
#define REEL_CATALOG_DELAYED_LIST_H

#include "catalog/srdelayed.h"

/* Takes a list's records in, behind all others; not committed. `path`: where
 * the list lies below the target, to be answered there after the run; NULL:
 * elsewhere. A list with the same records replaces the earlier one. `shown`
 * is its name for messages. Logs what is wrong, with the record's number.
 * Of a journal that was opened to read nothing is written, and
 * delayed_preview() shows what it would be. */
int delayed_import(struct delayed *d, const void *data, size_t length,
		   const char *path, const struct srdelayed_maps *maps,
		   const char *shown);
int delayed_preview(struct delayed *d);

struct delayed_export {
	const struct srdelayed_maps *maps; /* for records of our own */
	const char *prefix;		   /* likewise */
	bool mark;			   /* begin with FF FE */
};

/* What waits, as a list. Imported records are given out as they came, with
 * their present status. *left_out counts our records that Windows could not
 * carry out (said). */
int delayed_export(const struct delayed *d, const struct delayed_export *how,
		   struct buffer *out, size_t *left_out);
/* The list `data` with the states of `records`; 0 or 1 (it is that list, and
 * *out is changed or not), REEL_ENOENT: none of them is of this list. */
int delayed_answer(const struct delayed *d, const void *data, size_t length,
		   struct buffer *out);

/* The same to a file anywhere, before delayed_finish(). Logs. */
int delayed_answer_file(const struct delayed *d, const char *path);

#endif
