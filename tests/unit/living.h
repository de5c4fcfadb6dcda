/* A set in a temporary directory, and current/ of it without FUSE. */
#ifndef REEL_TESTS_LIVING_H
#define REEL_TESTS_LIVING_H

#include "fs/commit.h"
#include "fs/live.h"

struct living {
	char path[64]; /* of the set */
	struct set *set;
	struct library *library;
	struct live *live;
	struct commit_result last; /* of the last commit */
};

extern const struct live_user living_user;

void living_begin(struct living *v, const char *rules);
void living_end(struct living *v);
/* Another mount: all that was in memory goes. */
void living_again(struct living *v);
/* The new snapshot, 0 when there was nothing to commit. */
uint32_t living_commit(struct living *v, const struct commit_options *o);

/* 0: there is no such name. */
uint64_t living_find(struct living *v, uint64_t parent, const char *name);
struct stat living_stat(struct living *v, uint64_t id);
uint64_t living_directory(struct living *v, uint64_t parent, const char *name);
/* A file with these bytes, opened, written and closed. */
uint64_t living_file(struct living *v, uint64_t parent, const char *name,
		     const void *bytes, size_t length);
int living_write(struct living *v, uint64_t id, uint64_t offset,
		 const void *bytes, size_t length);
/* Whether these are all bytes that a file has. */
bool living_has(struct living *v, uint64_t id, const void *bytes,
		size_t length);
/* All names, a space in front of each. */
void living_list(struct living *v, uint64_t id, char *to, size_t room);
/* Files that the spool has on the disk. */
int living_spooled(struct living *v);
uint64_t living_dirty(struct living *v);
/* Bytes that look like nothing and never twice the same, of a seed. */
void living_bytes(unsigned seed, uint8_t *to, size_t length);

#endif
