/* Delayed operations: what could not or must not be changed now and waits for
 * the next boot. A move (a staged file to its destination), a delete, a DOS
 * short name: the records of Windows' srdelayed, in a journal on the target.
 *
 * All paths are relative to the target and valid for delayed_path_valid().
 *
 * To delay a file: delayed_stage() says where to write it, on the filesystem
 * of its destination; write it there with everything that belongs to it but
 * its inode flags; delayed_move() makes the record. Nothing is promised until
 * delayed_commit(), which makes files and records durable together; what was
 * staged and not committed is cleared away by the next who opens the journal
 * for writing.
 *
 * Order: the caller's does not matter. At commit, deletes come first, what is
 * in a directory before the directory; then moves, directories before what is
 * in them; then short names. A path has one record: a later one replaces the
 * earlier (and its staged file); a short name is a record beside it. Lists
 * that were imported keep their own order and come behind.
 *
 * Adding may be done by several threads at once. Errors are logged once. */
#ifndef REEL_CATALOG_DELAYED_H
#define REEL_CATALOG_DELAYED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/digest.h"

/* Where the journal is, below the target. */
#define DELAYED_DIRECTORY "var/lib/reel/delayed"
/* Beside it, on each further filesystem: at the top of that filesystem. */
#define DELAYED_AREA  ".reel-delayed"
#define DELAYED_SEED  0		 /* of the digests of staged contents */
#define DELAYED_LIMIT (4u << 20) /* records */

enum delayed_kind {
	DELAYED_DELETE,
	DELAYED_MOVE,
	DELAYED_SHORT_NAME,
};

enum delayed_state {
	DELAYED_WAITING,
	DELAYED_STARTED, /* a run began with it: done or not, see witness */
	DELAYED_DONE,
	DELAYED_FAILED,
};

/* What is to be at the destination: of regular files the bytes, of symlinks
 * the target; of others only the type counts. */
struct delayed_content {
	uint64_t size;
	struct digest digest; /* seed DELAYED_SEED */
};

/* Noted before a record is carried out, so that after a power cut the next
 * run can tell whether it was, and can put back what was set aside. */
struct delayed_witness {
	uint64_t inode;	       /* of the source */
	int64_t parent_time;   /* mtime of the destination's directory, ns */
	uint32_t parent_flags; /* its inode flags, if they were in the way */
	uint32_t flags;	       /* the destination's, likewise */
};

struct delayed_record {
	uint64_t number; /* unlike any other's of this journal; from 1 */
	enum delayed_kind kind;
	enum delayed_state state;
	uint32_t status; /* NTSTATUS, once done or failed */
	char *source;	 /* moves: path; short names: the name; else NULL */
	char *path;	 /* the destination, or what is acted upon */
	char *place;	 /* top of the path's filesystem; "": the target's */
	bool checked;	 /* moves: content is known */
	struct delayed_content content;
	uint32_t flags; /* inode flags (FS_IOC_SETFLAGS) to set after a move */
	uint32_t list;	/* an imported list's number; 0: none */
	uint32_t index; /* the record's place in it, from 0 */
	struct delayed_witness witness;
};

/* A list that was imported, see srdelayed.h. */
struct delayed_list {
	uint32_t number;      /* from 1 */
	char *path;	      /* below the target; "" when it lies outside */
	struct digest fields; /* of its records without their status */
};

enum delayed_access {
	DELAYED_READ,  /* no lock; nothing is written */
	DELAYED_WRITE, /* the lock; the journal's directory is made */
	DELAYED_RUN,   /* the lock; REEL_ENOENT, not logged, without journal */
};

struct delayed;

/* The journal of the target `root`. `directory`: where it lies when not at
 * DELAYED_DIRECTORY below the target; NULL otherwise. A journal that is not
 * there yet is empty. REEL_ELOCKED when another has it, REEL_EDAMAGED,
 * REEL_EPERM when others than root and ourselves could have written it. */
int delayed_open(const char *root, const char *directory,
		 enum delayed_access access, struct delayed **out);
/* Clears away what was staged and not committed; accepts NULL. */
void delayed_close(struct delayed *d);

/* The target's descriptor; borrowed. */
int delayed_root(const struct delayed *d);
/* Records in the order in which they are carried out; valid until the next
 * change. */
size_t delayed_count(const struct delayed *d);
const struct delayed_record *delayed_at(const struct delayed *d, size_t n);

/* A path that may be acted upon: valid, and not the journal's own. */
bool delayed_path_valid(const char *path);
/* The content of an open regular file, from where it stands. */
int delayed_content_read(int fd, struct delayed_content *out);
/* The content of a name; not *known when it is neither a regular file nor a
 * symlink. Errors are not logged. */
int delayed_content_at(int directory, const char *name, bool *known,
		       struct delayed_content *out);

/* ---- adding ---- */

/* A name to be made in `directory` (borrowed until delayed_close). */
struct delayed_stage {
	int directory;
	uint64_t number;
	char name[17];
	char *place; /* delayed_move() and delayed_unstage() free it */
};

/* A place for a file that will go to `path`. The directory that will hold it
 * need not exist yet. */
int delayed_stage(struct delayed *d, const char *path,
		  struct delayed_stage *out);
/* Removes what was made there and lets go of the place. */
void delayed_unstage(struct delayed *d, struct delayed_stage *s);
/* The staged file goes to `path`. `content`: what the caller wrote; NULL: it
 * is read here. `flags`: inode flags, set once it is there. A directory must
 * be empty; where one stands already it gets the staged one's metadata.
 * Takes over *s, on error too. */
int delayed_move(struct delayed *d, struct delayed_stage *s, const char *path,
		 const struct delayed_content *content, uint32_t flags);
/* A file or a directory that is empty by then. What is gone by then is as
 * good as deleted. */
int delayed_delete(struct delayed *d, const char *path);
int delayed_short_name(struct delayed *d, const char *path, const char *name);
/* Takes a record back; when `number` is 0 all about a path, and all there are
 * when that is NULL, too; REEL_ENOENT
 * (not logged) when there is none. */
int delayed_cancel(struct delayed *d, uint64_t number, const char *path);
/* Makes all changes durable, then clears away what they left unneeded. */
int delayed_commit(struct delayed *d);

/* ---- carrying out: fs/delayed_run.c ---- */

/* The filesystem at `place` is there, and not the bare mount point. */
bool delayed_mounted(int root, const char *place);
/* The n-th record, for the run, which fills in witness and content. */
struct delayed_record *delayed_turn(struct delayed *d, size_t n);
/* Before anything is carried out. */
int delayed_begin(struct delayed *d);
/* Noted, to be made durable by the next delayed_sync(). */
int delayed_started(struct delayed *d, struct delayed_record *r);
int delayed_ended(struct delayed *d, struct delayed_record *r, uint32_t status);
int delayed_sync(struct delayed *d);

enum delayed_end {
	DELAYED_COMPLETE, /* went through */
	DELAYED_STOPPED,  /* at a record that failed */
	DELAYED_PENDING,  /* at one whose filesystem is not there yet */
};

/* The end of a run: writes states into the lists that lie on the target, and,
 * but for DELAYED_PENDING, the result, takes out what is done (of a complete
 * run also the names that failed) and removes what it left behind. */
int delayed_finish(struct delayed *d, enum delayed_end end);

/* What the last run did. */
struct delayed_outcome {
	uint32_t result;  /* RestoreStatusResult: the first failure's status */
	uint32_t details; /* RestoreStatusDetails: its place, from 1 */
	int64_t time;	  /* ns since 1970 */
	struct delayed_record *records; /* heap */
	size_t count;
};

/* REEL_ENOENT, not logged: there was none. */
int delayed_outcome(const struct delayed *d, struct delayed_outcome *out);
void delayed_outcome_release(struct delayed_outcome *o);

#endif
