/* A set in a temporary directory with three sessions, built row by row without
 * archives:
 *
 *     path        1             2             3
 *     a           content A     content B     content B
 *     b           link of a     -             -
 *     d           directory     file          directory (another)
 *     d/x         content X     -             content X
 *     d/sub/deep  empty         -             -
 *     dup         copy of A     copy of A     copy of A
 *     n00 … n19   content A     content A     odd ones gone
 *     thing       file          directory     file
 *     thing/in    -             content X     -
 *     to          symlink       symlink       symlink, another target
 */
#ifndef REEL_TESTS_SAMPLE_H
#define REEL_TESTS_SAMPLE_H

#include "catalog/builder.h"
#include "catalog/catalog.h"
#include "catalog/set.h"
#include "catalog/tree.h"

#define SAMPLE_TIME  INT64_C(1795342500000000000) /* 2026-11-22 10:15:00 UTC */
#define SAMPLE_SIZE  1000			  /* of A, B and X each */
#define SAMPLE_FRAME 4000 /* stream bytes in each frame but the last */

struct sample {
	char path[64]; /* of the set */
	struct set *set;
	struct catalog *catalog;
	uint64_t d, sub, thing, new_d; /* nodes */
	uint64_t a, b, x;	       /* contents */
	uint64_t xattrs;
};

/* For what is also called outside of tests, where CUnit asserts nothing. */
#define NEED(x)		   sample_need(!!(x), __FILE__, __LINE__)
#define NEED_EQ(got, want) sample_need((got) == (want), __FILE__, __LINE__)
void sample_need(bool fine, const char *file, int line);

/* An empty set, open for writing. */
void sample_begin(struct sample *s);
/* All three sessions. */
void sample_make(struct sample *s);
void sample_end(struct sample *s);

/* Pieces, for sessions of one's own. */
uint64_t sample_inode(struct builder *b, mode_t mode, uint64_t content);
void sample_entry(struct builder *b, uint64_t parent, const char *name,
		  uint64_t node, uint64_t inode);
/* A file of its own with this content (0: empty); its inode. */
uint64_t sample_file(struct builder *b, uint64_t parent, const char *name,
		     uint64_t content);
/* A new directory; its node. */
uint64_t sample_directory(struct builder *b, uint64_t parent, const char *name);
void sample_root(struct builder *b);
struct content_row sample_content(char letter);
/* Ends the session with `frames` frames, puts it into the catalogue, frees. */
void sample_finish(struct builder *b, int64_t time, const char *label,
		   unsigned frames);

#endif
