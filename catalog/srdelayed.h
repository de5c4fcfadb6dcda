/* The list file of Windows' srdelayed.exe (Microsoft, "Delayed operations",
 * Backup API): UTF-16LE, records of four strings, each ended by a NUL, one
 * more NUL after the last record.
 *
 *     MoveFile          source      destination   NotExecuted
 *     DeleteFile        Unused      path          NotExecuted
 *     SetFileShortName  short name  path          NotExecuted
 *
 * The last string becomes `SC=` and a hexadecimal status. Paths carry a prefix
 * (`\??\`, `\\??\` or `\\?\`) and begin with a drive or `Volume{GUID}`. */
#ifndef REEL_CATALOG_SRDELAYED_H
#define REEL_CATALOG_SRDELAYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "catalog/delayed.h"
#include "tape/buffer.h"

#define SRDELAYED_LIMIT	 (64u << 20) /* bytes of a list */
#define SRDELAYED_PREFIX "\\??\\"

/* A string of the list: bytes from its beginning, without the NUL. */
struct srdelayed_text {
	size_t at, length;
};

struct srdelayed_record {
	enum delayed_kind kind;
	struct srdelayed_text fields[4];
	bool executed; /* the status is an SC=... */
	uint32_t status;
};

struct srdelayed_list {
	const uint8_t *data; /* borrowed */
	size_t length;
	bool mark;   /* begins with FF FE */
	size_t rest; /* where what follows the final NUL begins */
	struct srdelayed_record *records;
	size_t count;
};

/* REEL_EDAMAGED: *record is the number, from 1, of what is wrong, *trouble
 * says what. */
int srdelayed_parse(const void *data, size_t length, struct srdelayed_list *out,
		    size_t *record, const char **trouble);
void srdelayed_release(struct srdelayed_list *l);
/* Of the records without their status. */
int srdelayed_digest(const struct srdelayed_list *l, struct digest *out);
/* A string as UTF-8; lone surrogates as if they were characters. */
int srdelayed_utf8(const struct srdelayed_list *l,
		   const struct srdelayed_text *text, struct buffer *out);
/* UTF-8 (or what srdelayed_utf8 made) and a NUL, as UTF-16LE. REEL_EINVAL. */
int srdelayed_put(struct buffer *out, const char *text);
int srdelayed_put_status(struct buffer *out, uint32_t status);
/* A record as it is in the list, but for its status: NULL leaves that, too. */
int srdelayed_put_record(struct buffer *out, const struct srdelayed_list *l,
			 const struct srdelayed_record *r,
			 const uint32_t *status);

/* Where volumes are: `C:` or `Volume{GUID}` and a directory below the target,
 * "" the target itself. */
struct srdelayed_map {
	const char *volume;
	const char *directory;
};

struct srdelayed_maps {
	const struct srdelayed_map *all; /* the first that fits counts */
	size_t count;
};

/* "C:=DIR" or "Volume{GUID}=DIR" into two parts of `text`,
 * which is cut; DIR is made relative. REEL_EINVAL. */
int srdelayed_map_parse(char *text, struct srdelayed_map *out);
/* A Windows path as a path below the target; appended, with a NUL.
 * REEL_EINVAL: not such a path; REEL_ENOENT: its volume is not mapped.
 * Without maps every volume is the target. */
int srdelayed_path_in(const struct srdelayed_maps *maps, const char *windows,
		      struct buffer *out);
/* The other way, with a NUL; without maps the target is C:. REEL_ENOENT,
 * REEL_EINVAL. */
int srdelayed_path_out(const struct srdelayed_maps *maps, const char *prefix,
		       const char *path, struct buffer *out);
/* How many bytes of `windows` name its volume (`C:`), *at where they begin;
 * 0: none. */
size_t srdelayed_volume(const char *windows, const char **at);

#endif
