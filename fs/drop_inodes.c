/* Open addressing; what is forgotten leaves no hole behind. */
#include "fs/drop_state.h"

#include <stdlib.h>

#define FIRST_ROOM 256

static size_t home(const struct drop_inodes *s, dev_t device, ino_t inode)
{
	uint64_t key = (uint64_t)inode * UINT64_C(0x9e3779b97f4a7c15) + device;

	return (size_t)(key ^ key >> 31) & (s->room - 1);
}

static size_t find(const struct drop_inodes *s, dev_t device, ino_t inode)
{
	size_t at = home(s, device, inode);

	while (s->table[at].number &&
	       (s->table[at].device != device || s->table[at].inode != inode))
		at = (at + 1) & (s->room - 1);
	return at;
}

unsigned drop_inodes_get(const struct drop_inodes *s, const struct stat *st)
{
	return s->room ? s->table[find(s, st->st_dev, st->st_ino)].number : 0;
}

static void close_gap(struct drop_inodes *s, size_t gap)
{
	size_t at = gap;

	for (;;) {
		size_t wanted;

		at = (at + 1) & (s->room - 1);
		if (!s->table[at].number)
			break;
		wanted = home(s, s->table[at].device, s->table[at].inode);
		if (((at - wanted) & (s->room - 1)) <
		    ((at - gap) & (s->room - 1)))
			continue;
		s->table[gap] = s->table[at];
		gap = at;
	}
	s->table[gap].number = 0;
}

static bool grow(struct drop_inodes *s)
{
	struct drop_inodes new = {.room = s->room ? 2 * s->room : FIRST_ROOM};

	new.table = calloc(new.room, sizeof(*new.table));
	if (!new.table)
		return false;
	new.count = s->count;
	for (size_t n = 0; n < s->room; n++) {
		const struct drop_inode *i = &s->table[n];

		if (i->number)
			new.table[find(&new, i->device, i->inode)] = *i;
	}
	free(s->table);
	*s = new;
	return true;
}

void drop_inodes_set(struct drop_inodes *s, const struct stat *st,
		     unsigned number)
{
	struct drop_inode *i;
	size_t at;

	if (!number && !s->room)
		return;
	if (2 * (s->count + 1) > s->room && !grow(s))
		return;
	at = find(s, st->st_dev, st->st_ino);
	i = &s->table[at];
	if (number) {
		s->count += !i->number;
		*i = (struct drop_inode){st->st_dev, st->st_ino, number};
	} else if (i->number) {
		s->count--;
		close_gap(s, at);
	}
}
