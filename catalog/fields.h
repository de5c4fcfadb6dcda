/* Lines of fields parted by TABs, as the files of delayed operations have
 * them. What is not what it must be marks the line as bad; values are 0 or
 * NULL then. */
#ifndef REEL_CATALOG_FIELDS_H
#define REEL_CATALOG_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "catalog/delayed.h"
#include "tape/buffer.h"

#define FIELDS_LIMIT 20

struct fields {
	const char *at[FIELDS_LIMIT]; /* into the line */
	size_t length[FIELDS_LIMIT];
	int count;
	bool bad;
};

void fields_split(struct fields *l, const char *text, size_t length);
/* The first field is `word`, and there are so many. */
bool fields_are(const struct fields *l, const char *word, int count);
uint64_t fields_number(struct fields *l, int n, unsigned base, uint64_t limit);
int64_t fields_signed(struct fields *l, int n);
/* False, and not bad, when there is none. */
bool fields_digest(struct fields *l, int n, struct digest *out);
/* Which of `names`. */
int fields_choice(struct fields *l, int n, const char *const *names, int count);
/* Heap; NULL when bad or out of memory. */
char *fields_text(struct fields *l, int n);
/* Likewise, and a path below the target; not NULL when only that is wrong. */
char *fields_path(struct fields *l, int n, bool may_be_empty);
/* Six fields: size, digest, inode, time and two flags. */
void fields_witness(struct fields *l, int n, struct delayed_record *r);

void fields_put_digest(const struct digest *d, char text[33]);
int fields_put_name(struct buffer *out, const char *name, char end);
int fields_put_witness(struct buffer *out, const struct delayed_record *r);

#endif
