/* Inside view: what its parts share. */
#ifndef REEL_FS_VIEW_STATE_H
#define REEL_FS_VIEW_STATE_H

#include "fs/view.h"
#include "tape/buffer.h"

#define VIEW_OFFSET_DOT	   1
#define VIEW_OFFSET_DOTDOT 2
#define VIEW_OFFSET_FIRST  3 /* behind the first name */

struct timespec view_time(int64_t ns);
void view_stat_of_row(const struct inode_row *row, uint64_t id,
		      struct stat *st);
/* A directory or link that the mount itself makes up. */
void view_make_up(const struct view *v, uint64_t id, mode_t mode,
		  struct timespec time, struct view_entry *out);

/* view_versions.c: the same for ids of versions/ as view.h has for all. */
int versions_view_stat(struct view *v, struct catalog *c, uint64_t id,
		       struct view_entry *out);
int versions_view_lookup(struct view *v, struct catalog *c, uint64_t parent,
			 const char *name, struct view_entry *out);
int versions_view_link(struct view *v, struct catalog *c, uint64_t id,
		       struct buffer *out);
int versions_view_list(struct view *v, struct catalog *c, uint64_t id,
		       uint64_t offset, view_each each, void *context);

#endif
