/* A directory under way in a backup. It holds its own name, not its path: all
 * folders above a deep one are held, and their paths together would grow with
 * the square of its depth. */
#ifndef REEL_FS_FOLDER_H
#define REEL_FS_FOLDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "catalog/rules.h"
#include "catalog/tree.h"
#include "tape/buffer.h"

struct folder_pool;

/* Counted: held by its items and its children. */
struct folder {
	atomic_uint references;
	struct folder *parent; /* NULL: the root */
	int fd;		       /* -1: of no disk, or shut: folder_use */
	dev_t device;	       /* of what is open */
	ino_t inode;
	struct folder_pool *pool;     /* NULL: open while it is held */
	atomic_int users;	      /* see folder_pool.c */
	struct folder *newer, *older; /* in the pool, when open */
	bool whole;		  /* all its names are listed (not just some) */
	struct rules_place place; /* what rules say of all below it */
	size_t path_length;	  /* of its path, which for the root is "" */
	/* set by change */
	uint64_t old_node; /* in the newest snapshot; 0: none */
	/* set by archive */
	uint64_t node;
	bool in_archive; /* has a member in this session */
	bool in_meta;
	bool hands_on;	 /* had a default ACL before this session */
	bool sets_group; /* it or one above had set-group-ID before */
	bool unnamed;	 /* the root, when "." was not named: no member */
	bool noted;	 /* but its metadata, which no session before has */
	struct inode_row row;
	struct buffer xattrs;
	/* set by stale: every directory that ever stood here */
	bool past_known;
	uint64_t *past_nodes;
	size_t past_count;
	struct folder *next; /* in a list of archive's and stale's, from the
				top down */
	size_t name_length;
	char name[]; /* "" is the root; NUL-terminated */
};

/* Takes the descriptor (-1: none), and closes it when memory runs out. */
struct folder *folder_new(struct folder *parent, const char *name, int fd);
struct folder *folder_get(struct folder *f);
void folder_put(struct folder *f); /* accepts NULL */
/* The path of a name in a folder, or with "" its own, escaped for a message:
 * heap, or NULL. `f` may be NULL. */
char *folder_text(const struct folder *f, const char *name);

/* The path of one name after another: what the folders of two have in common
 * is not written again. Zero-initialised is valid. */
struct trail {
	struct folder *at;  /* held; NULL: none yet */
	struct buffer path; /* begins with that of `at` */
};

/* Makes the path that of a name in a folder, or with "" the folder's own. A
 * NUL stands behind it. Paths of folders above are its beginnings. */
int trail_go(struct trail *t, struct folder *f, const char *name,
	     size_t length);
void trail_release(struct trail *t);

#endif
