/* What the commands `reel delayed ...` share. */
#ifndef REEL_TOOLS_DELAYS_H
#define REEL_TOOLS_DELAYS_H

#include <stdbool.h>
#include "catalog/delayed.h"
#include "catalog/srdelayed.h"
#include "tools/options.h"

/* `--root`, `--journal` */
struct delays_where {
	const char *root;
	const char *journal;
};

#define DELAYS_ROOT(w)                                                         \
	{                                                                      \
		"root", 0, OPTION_TEXT, &(w).root, "DIR",                      \
			"the target (default: /)"                              \
	}
#define DELAYS_JOURNAL(w)                                                      \
	{                                                                      \
		"journal", 0, OPTION_TEXT, &(w).journal, "DIR",                \
			"where its journal lies when not in the usual place"   \
	}
#define DELAYS_MAP(list)                                                       \
	{                                                                      \
		"map", 0, OPTION_LIST, &(list), "VOLUME=DIR",                  \
			"where C: or Volume{GUID} is below the target"         \
	}

int delays_open(const struct delays_where *w, enum delayed_access access,
		struct delayed **out);
/* "move", "delete", "short-name"; "waiting", "done" … */
const char *delays_kind(const struct delayed_record *r);
const char *delays_state(const struct delayed_record *r);
/* A table, or an object for each. 0 or REEL_ENOMEM. */
int delays_print(const struct delayed_record *const *records, size_t count,
		 bool json);
int delays_print_all(const struct delayed *d, bool json);

/* `--map`s, heap; says what is wrong. */
struct delays_maps {
	struct srdelayed_maps maps;
	char *texts[OPTION_LIST_LIMIT];
};
int delays_maps_read(const struct option_list *list, struct delays_maps *out);
void delays_maps_release(struct delays_maps *m);

#endif
