/* Contents of files that will be asked for next, put into the kernel's page
 * cache before they are: a read of them then costs no request.
 *
 * Whatever copies a tree lists a directory, then reads its files. So when a
 * listing has ended (and the kernel knows its files) the contents of the small
 * ones are stored, the first before the listing is answered (behind the answer
 * where there are few), the others behind it by a thread, while the first are
 * read, as long as that pays: each READ that does come for a small file earns
 * some more directories, each directory costs one, a large one more. A walk
 * that reads nothing earns nothing.
 *
 * Larger directories are read in the order of the archive, in which inodes are
 * numbered. After some reads in that order the thread stores the contents of
 * the following files, some segments ahead of the reader. Each segment ends
 * with a file that is left out, the marker: the request for it tells how far
 * the reader has come.
 *
 * H1 A store may wait for a page that a READ in flight holds, until a worker
 *    has answered that READ. So a worker that answers a READ never stores, and
 *    fewer than all workers store at a time, none while it leads (W1 in
 *    worker.c): the others answer.
 * H2 Only whole contents of immutable nodes are stored. */
#ifndef REEL_FS_PUSH_H
#define REEL_FS_PUSH_H

#include "fs/content.h"

#define PUSH_LARGEST (128u << 10) /* bytes of a file that is pushed */
#define PUSH_WORKERS 2		  /* that may store at a time */
#define PUSH_LISTED  128	  /* files of a directory */
#define PUSH_HEAD    8		  /* of them, that a worker pushes itself */

struct push;

struct push_file {
	uint64_t inode, content, size;
};

/* The small files of a directory, as many as are pushed. */
struct push_list {
	struct push_file files[PUSH_LISTED];
	int count;
	uint64_t bytes;
};

/* Gives the kernel a node's whole content: 0, or REEL_ENOENT when it does not
 * know the node (length 0 only asks that). */
typedef int (*push_store)(void *context, uint64_t id, const void *data,
			  size_t length);

int push_new(struct set *set, struct recall *recall, push_store store,
	     void *context, struct push **out);
/* Ends the thread. READs must go on being answered until it has ended (H1). */
void push_stop(struct push *p);
/* After push_stop, when nobody asks any more; accepts NULL. */
void push_free(struct push *p);
/* A READ of this inode, a small file, was answered. Never waits for the
 * thread. */
void push_hint(struct push *p, uint64_t inode);
void push_list_add(struct push_list *l, const struct push_file *f);
/* The listing of a directory with these files has ended and is not yet
 * answered; they are sorted. `c` is the calling worker's. True: push_rest is
 * due behind the answer, since a thread that wakes may take the place of the
 * one that wakes it. */
bool push_directory(struct push *p, struct catalog *c, struct push_list *l);
void push_rest(struct push *p, const struct push_list *l);

#endif
