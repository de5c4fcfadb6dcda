/* Inside the journal of delayed operations: what its files hold, as text and
 * in memory. */
#ifndef REEL_CATALOG_DELAYED_STATE_H
#define REEL_CATALOG_DELAYED_STATE_H

#include <pthread.h>
#include "catalog/delayed.h"
#include "tape/buffer.h"

#define DELAYED_JOURNAL	     "journal"
#define DELAYED_PROGRESS     "progress"
#define DELAYED_RESULT	     "result"
#define DELAYED_FILES	     "files"
#define DELAYED_AREA_LIMIT   4096
#define DELAYED_LIST_LIMIT   4096
#define DELAYED_NUMBER_LIMIT (UINT64_C(1) << 48)

/* Where files are staged. */
struct delayed_area {
	char *place;	 /* top of the filesystem, below the target */
	char *directory; /* below the target */
	int fd;		 /* -1: not opened yet */
	bool used;	 /* files were staged since the last commit */
};

/* What one file says: the journal's, or the result's. */
struct delayed_journal {
	uint64_t nonce;
	uint64_t next; /* number of the next record */
	struct delayed_record *records;
	size_t count, room;
	struct delayed_area *areas;
	size_t area_count;
	struct delayed_list *lists;
	size_t list_count;
	struct digest sum; /* of the file's text */
	bool finished;	   /* a result: the three below count */
	uint32_t result, details;
	int64_t time; /* ns since 1970 */
};

/* ---- delayed_memory.c, delayed_text.c, delayed_progress.c ---- */

void delayed_record_release(struct delayed_record *r);
/* It was carried out, well or not. */
bool delayed_has_status(const struct delayed_record *r);
void delayed_journal_release(struct delayed_journal *j);
/* Room for one more; its fields are zero. NULL: out of memory. */
struct delayed_record *delayed_journal_add(struct delayed_journal *j);
int delayed_journal_add_area(struct delayed_journal *j, const char *place,
			     const char *directory);
struct delayed_list *delayed_journal_add_list(struct delayed_journal *j);
/* Appends the file's text and sets j->sum. */
int delayed_journal_text(struct delayed_journal *j, struct buffer *out);
/* REEL_EDAMAGED, REEL_EVERSION; *out is empty then. */
int delayed_journal_parse(const void *text, size_t length,
			  struct delayed_journal *out);

/* Lines of a run's progress. */
int delayed_progress_begin(const struct delayed_journal *j, struct buffer *out);
int delayed_progress_started(const struct delayed_record *r,
			     struct buffer *out);
int delayed_progress_ended(const struct delayed_record *r, struct buffer *out);
/* Applies what the text says of this journal's records, and how many of its
 * bytes do: those before the first line that is torn or of another journal. */
int delayed_progress_apply(struct delayed_journal *j, const void *text,
			   size_t length, size_t *applied);

/* ---- delayed_order.c ---- */

/* Moves the records of `fresh` into `j`, in their order; of two about one
 * path the one with the higher number stays. */
int delayed_order(struct delayed_journal *j, struct delayed_journal *fresh);

/* ---- delayed.c, delayed_stage.c, delayed_sweep.c ---- */

struct delayed {
	pthread_mutex_t lock; /* of all below, while records are added */
	char *name;	      /* of the journal's directory, for messages */
	int root;	      /* the target */
	int directory;	      /* of the journal; -1: there is none (reading) */
	bool inside;	      /* it is DELAYED_DIRECTORY below the target */
	int lock_fd;	      /* -1: not held */
	bool altered;	      /* `journal` is not as in its file */
	int progress;	      /* -1: no run under way */
	struct buffer noted;  /* progress that is not written yet */
	struct delayed_journal journal;
	struct delayed_journal fresh; /* added, not committed */
};

/* Which filesystem, and by which mount. */
struct delayed_identity {
	uint64_t device, mount;
};
int delayed_identify(int fd, struct delayed_identity *out);
/* The top of the filesystem of a path, below the target; heap. */
int delayed_place(int root, const char *path, char **place);

/* Writes the journal's file as d->journal is now, durable on return, and what
 * a run had noted beside it goes. Nothing to say: no file. */
int delayed_write(struct delayed *d);
/* A file of a directory as a whole: replaced, durable on return; read, up to
 * `limit` bytes. REEL_ENOENT and REEL_ERANGE are not logged by either. */
int delayed_replace(int directory, const char *name, const void *data,
		    size_t length);
int delayed_read(int directory, const char *name, size_t limit,
		 struct buffer *out);
/* Removes staged files that no record waits for; areas that are empty then
 * are gone, from memory, too: *changed. */
int delayed_sweep(struct delayed *d, bool *changed);
void delayed_tidy(const struct delayed *d);

/* ---- delayed_list.c, delayed_answer.c ---- */

/* Of a list's copy. */
void delayed_list_name(uint32_t number, char name[24]);
/* Writes the states of imported records into the lists on the target. What
 * cannot be written is said; an error when it may be another time. */
int delayed_lists_update(struct delayed *d);
/* Forgets lists of which no record is left, and removes their copies. */
int delayed_lists_prune(struct delayed *d);

#endif
