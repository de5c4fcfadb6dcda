/* What flows through a backup:
 *
 *     walk  ->  change  ->  archive
 *
 * walk (one thread) lists directories and stats names; change (one thread)
 * compares with the newest snapshot, drops what is unchanged, reads small
 * files; archive (the caller's thread) single-instances and writes. Items
 * travel in batches through bounded queues, in the order of the archive: a
 * directory, then its other names sorted, then its subdirectories. */
#ifndef REEL_FS_ITEM_H
#define REEL_FS_ITEM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "fs/folder.h"
#include "tape/buffer.h"

#define BATCH_ITEMS 128
#define BATCH_BYTES (1u << 20)
#define QUEUE_DEPTH 12
/* Files up to this size are read whole, ahead of the archive. */
#define ITEM_SMALL (256u << 10)

enum item_kind {
	ITEM_FOLDER,  /* item->folder itself begins */
	ITEM_NAME,    /* a name in item->folder that is no directory */
	ITEM_SUBDIR,  /* a directory's name in the listing; for change only */
	ITEM_END,     /* the listing of item->folder ends; for change only */
	ITEM_REMOVED, /* made by change: the name is gone */
};

struct item {
	enum item_kind kind;
	struct folder *folder; /* held */
	struct statx st;
	/* set by change: what the newest snapshot has under this name */
	bool had;	      /* it has something */
	bool unchanged;	      /* passed on for its hard links only */
	uint64_t old_node;    /* a directory then */
	struct inode_row old; /* target is not set */
	bool racy;
	bool again;   /* it had changed, and was read once more */
	bool changed; /* while it was read, twice */
	/* set by commit_walk */
	bool living;	  /* of current/: st.stx_ino is its number there */
	uint64_t live;	  /* its node there */
	uint64_t version; /* the inode version that it still is; 0: none */
	uint64_t content; /* its bytes are this content's; 0: see data, fd */
	uint64_t file;	  /* of the spool, that they are in */
	/* set by archive: what a name stands for now */
	uint64_t stored_inode, stored_content;
	struct buffer xattrs;
	int fd;	       /* open, a file to be read by archive; else -1 */
	uint8_t *data; /* small files' bytes (st.stx_size of them), symlinks'
			  targets; else NULL */
	size_t length; /* of data */
	struct digest digest; /* of data, files */
	/* set by walk: bytes at the end of the name that the file's has not */
	uint16_t escape;
	uint16_t name_length;
	char name[]; /* NUL-terminated */
};

struct item *item_new(enum item_kind kind, struct folder *folder,
		      const char *name, size_t length);
void item_close(struct item *i); /* its descriptor */
void item_free(struct item *i);

struct batch {
	struct item *items[BATCH_ITEMS];
	int count;
	size_t bytes;
	struct batch *next; /* of those given back */
};

/* A bounded queue of batches between two threads. A queue that was stopped
 * takes and gives nothing more. */
struct queue {
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct batch *batches[QUEUE_DEPTH];
	unsigned head, tail;
	struct batch *back; /* given back */
	bool ended;	    /* no more will come */
	bool stopped;	    /* nobody wants more */
};

int queue_init(struct queue *q);
void queue_release(struct queue *q); /* frees what is still in it */
/* Takes ownership of the batch; false (and frees it) when stopped. */
bool queue_put(struct queue *q, struct batch *b);
struct batch *queue_get(struct queue *q); /* NULL: ended or stopped */
/* Takes ownership of a batch that was got. Whoever puts the next one frees it:
 * the thread that made most of it does not share its memory's locks then. */
void queue_give_back(struct queue *q, struct batch *b);
void queue_end(struct queue *q);
void queue_stop(struct queue *q);

/* Collects items into batches for a queue. */
struct outlet {
	struct queue *queue;
	struct batch *batch;
};
/* Takes ownership of the item; false when the queue was stopped or memory ran
 * out (*error is set then). */
bool outlet_put(struct outlet *o, struct item *i, size_t bytes);
bool outlet_flush(struct outlet *o);

#endif
