/* Backing up: filesystem -> archive. Walks the named paths, reads what
 * changed, single-instances, writes one session. */
#ifndef REEL_FS_CAPTURE_H
#define REEL_FS_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"
#include "catalog/rules.h"

struct capture_progress {
	uint64_t entries; /* looked at */
	uint64_t files;	  /* read */
	uint64_t bytes;	  /* read */
	uint64_t stored;  /* on volumes */
	const char *path; /* being looked at; may be NULL */
};

struct capture_options {
	const char *directory; /* -C; NULL: present directory */
	const char *const *paths;
	int path_count;
	const char *label;
	const char *overwrite; /* label of a cartridge to be begun anew */
	uint64_t buffer; /* bytes between reading and a tape; 0: default */
	bool full;
	bool reread;
	bool verify;
	bool atime;
	bool one_file_system;
	bool dry_run;
	const struct rules *rules; /* sealed; may be NULL */
	void (*progress)(void *context, const struct capture_progress *p);
	void *context;
	const volatile int *stop; /* non-zero: give up, REEL_ESTOPPED */
};

struct capture_result {
	struct session_row session; /* id 0: nothing was written; time 0: it
				     * is not in the catalogue yet */
	uint64_t added, changed, removed, unchanged; /* names */
	uint64_t problems; /* left out, or changed while read: exit 1 */
	uint64_t stored;   /* bytes on volumes */
	uint64_t stops;	   /* of a tape drive, since data were late */
	uint64_t excluded; /* names that rules left out, with all below */
};

/* Says on stderr what was left out and why. The result is filled also when
 * problems were met; the caller releases result->session. */
int capture_run(struct set *set, struct catalog *c,
		const struct capture_options *o, struct capture_result *result);

#endif
