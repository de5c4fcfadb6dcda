/* Entries on stdout: a path a line, long lines, or JSON objects. */
#ifndef REEL_TOOLS_LISTING_H
#define REEL_TOOLS_LISTING_H

#include "catalog/tree.h"
#include "tools/json.h"
#include "tools/target.h"

#define LISTING_OWNERS 64

struct owner_name {
	bool known;
	uint32_t id;
	char *name; /* heap; NULL: has none */
};

struct listing {
	struct target *target;
	struct catalog *lookup; /* a connection of its own */
	uint32_t session;
	bool json;
	bool details;  /* lines like those of ls -l */
	bool media;    /* and what is needed to read it */
	bool zeros;    /* NUL behind each path, no newline */
	bool terminal; /* names are escaped */
	struct owner_name owners[2][LISTING_OWNERS];
};

int listing_init(struct listing *l, struct target *t, uint32_t session);
void listing_release(struct listing *l);
/* One entry, with its path. Only errors of the catalogue are returned. */
int listing_print(struct listing *l, const char *path,
		  const struct entry_row *e);
/* A path alone, with its line's end. */
void listing_path(const struct listing *l, const char *path);
/* "-> " and what a symlink points to. */
void listing_target(const struct listing *l, const struct inode_row *i);
/* The fields of an entry inside an object. */
int listing_fields(struct listing *l, struct json *j, const char *path,
		   const struct entry_row *e);
/* 1 and the digest of a regular file's content, 0 for all else. */
int listing_digest(struct listing *l, const struct inode_row *i,
		   struct digest *out);
/* The letter of find --type: f d l c b p, `?`. */
char listing_type(mode_t mode);

#endif
