/* Contents of files that will be asked for next, put into the kernel's page
 * cache before they are: a read of them then costs no request.
 *
 * Files are read in the order of the archive by whatever walks a tree, and
 * inodes are numbered in that order. After some reads in that order the
 * contents of the following small files are stored, ahead of the reader by
 * PUSH_SEGMENTS segments. Each segment ends with a file that is left out, the
 * marker: the request for it tells how far the reader has come.
 *
 * H1 One thread stores, and no worker waits for it: a store may wait for a
 *    page that a READ in flight holds, until a worker has answered that READ.
 * H2 Only whole contents of immutable nodes are stored. */
#ifndef REEL_FS_PUSH_H
#define REEL_FS_PUSH_H

#include "fs/content.h"

#define PUSH_LARGEST (128u << 10) /* bytes of a file that is pushed */

struct push;

/* Gives the kernel a node's whole content: 0, or REEL_ENOENT when it does not
 * know the node (length 0 only asks that). */
typedef int (*push_store)(void *context, uint64_t id, const void *data,
			  size_t length);

int push_new(struct set *set, struct recall *recall, push_store store,
	     void *context, struct push **out);
/* Ends the thread. */
void push_free(struct push *p);
/* A READ of this inode was answered. Never waits for the thread. */
void push_hint(struct push *p, uint64_t inode);

#endif
