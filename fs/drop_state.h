/* Inside restore/ (drop.h): nodes, and what its files share. */
#ifndef REEL_FS_DROP_STATE_H
#define REEL_FS_DROP_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "catalog/catalog.h"
#include "fs/busy.h"
#include "fs/drop.h"

#define DROP_PEERS 4096

enum drop_state { DROP_PLAIN, DROP_HIDDEN, DROP_OBJECT };

struct drop_file {
	struct drop_node *node;
	struct drop_file *next; /* of the node */
	int fd; /* dup3(2) leads it elsewhere when the bytes move */
	bool writes;
	bool lazy; /* the target's, read-only, until the first write */
};

/* A name. It stays while the kernel knows it, a program has it open, there are
 * nodes below, or it has a shadow. */
struct drop_node {
	struct drop_node *up;	 /* NULL: the root, or gone from the tree */
	struct drop_node *chain; /* in the table */
	struct drop_node *first, *next, **link; /* below; siblings */
	struct drop_node *peer, **peer_link;	/* drop_peers.c; NULL: none */
	char *name;
	uint64_t lookups;
	uint64_t mark; /* the last listing that showed it */
	struct drop_file *files;
	unsigned writers;
	enum drop_state state;
	bool over;
	bool shared; /* plain: it had other names when it was looked up */
	unsigned written, settled; /* changes of bytes; how many are safe */
	bool held;		   /* the set has the content, when all are */
	bool owed;   /* delayed and changed since it was handed over */
	bool handed; /* the journal has something about it */
	struct plan_verdict verdict;
	struct stat *last; /* a directory that was removed; heap */
	/* plain: what it was when it was looked up */
	dev_t device;
	ino_t inode;
	/* when it was opened last */
	struct timespec changed;
	off_t size;
};

/* The target, or a filesystem within it. */
struct drop_root {
	char *path; /* below the target; "": itself */
	int fd;
};

/* Where nothing is restored, nor below it. */
struct drop_border {
	char *path;
	const char *why;
};

/* A set of files, by device and inode, with a number each. */
struct drop_inode {
	dev_t device;
	ino_t inode;
	unsigned number;
};
struct drop_inodes {
	struct drop_inode *table; /* number 0: free */
	size_t room, count;
};

struct drop {
	struct set *set;
	struct library *library;
	char *target; /* as it was given, absolute */
	bool strict, merges;
	bool system; /* a directory of the operating system may have changed */
	struct rules rules;
	struct plan plan;
	struct busy *busy;
	const struct rule *busy_rule;
	struct drop_root *roots; /* the target's first */
	size_t root_count;
	struct drop_border *borders;
	size_t border_count;
	int area;	/* SET/kept/TIME */
	char stamp[40]; /* TIME */
	int note;	/* SET/kept/.TIME */
	pthread_mutex_t turn, lock, catalogue;
	struct catalog *catalog; /* under `catalogue` */
	struct drop_node root;
	struct drop_node *gone; /* without a name, but known to the kernel */
	struct drop_node **table;
	size_t room, count;
	uint64_t marks;
	struct drop_inodes made;	     /* D6; number 1 */
	struct drop_inodes linked;	     /* D5; names that were made here */
	struct drop_node *peers[DROP_PEERS]; /* shared ones, by inode */
	unsigned serial;		     /* of temporary names */
	size_t note_length;		     /* without a temporary name */
	time_t altered; /* when something delayed changed last */
	bool owes;
	struct buffer names; /* what DROP_NAMES. gives part by part */
};

enum drop_side { DROP_TARGET, DROP_AREA_SIDE };

/* errno, after a call that failed, as an error. */
int drop_failed(void);

/* ---- drop_nodes.c: all with `lock` held ---- */

struct drop_node *drop_node_of(struct drop *d, uint64_t id);
uint64_t drop_id(const struct drop *d, const struct drop_node *n);
struct drop_node *drop_find(struct drop *d, const struct drop_node *up,
			    const char *name);
struct drop_node *drop_add(struct drop *d, struct drop_node *up,
			   const char *name);
/* Takes it out of the tree: it has no name any more. */
void drop_detach(struct drop *d, struct drop_node *n);
/* A node that has a shadow in its place, or none: NULL. It takes over what
 * has shadows below; the old one has no name any more. */
struct drop_node *drop_renew(struct drop *d, struct drop_node *n);
/* Shadows below one come below the other. */
void drop_adopt(struct drop *d, struct drop_node *from, struct drop_node *to);
/* Gives it another name, which must be free. */
int drop_move(struct drop *d, struct drop_node *n, struct drop_node *up,
	      const char *name);
/* Frees it, and what is above, when nothing needs it. */
void drop_settle_node(struct drop *d, struct drop_node *n);
/* The path (NUL behind it, not counted) of a node, or of a name below it;
 * REEL_ESTALE when it has none. */
int drop_path(struct drop *d, const struct drop_node *n, const char *name,
	      struct buffer *out);
/* Whether something below has a shadow. */
bool drop_is_shadowed(const struct drop_node *directory);
/* Whether the target's names show in a directory. */
bool drop_shows(const struct drop_node *directory);

/* ---- drop_inodes.c ---- */

unsigned drop_inodes_get(const struct drop_inodes *s, const struct stat *st);
/* number 0 forgets it. */
void drop_inodes_set(struct drop_inodes *s, const struct stat *st,
		     unsigned number);

/* ---- drop_place.c: paths ---- */

/* A descriptor (O_PATH) of what stands there, or an error. */
int drop_pin(struct drop *d, enum drop_side side, const char *path);
int drop_look(struct drop *d, enum drop_side side, const char *path,
	      struct stat *st);
/* The directory that holds it (O_PATH) and its name there, "." for the top of
 * a filesystem. */
int drop_parent(struct drop *d, enum drop_side side, const char *path,
		const char **name);
/* The same in the area, whose directories are made. */
int drop_area_parent(struct drop *d, const char *path, const char **name);
/* A regular file or a directory, opened; reading changes no atime. */
int drop_open_at(int directory, const char *name, int flags);
/* Numbers of files unlike those on other filesystems and of shadows. */
void drop_number(const struct drop *d, enum drop_side side, const char *path,
		 struct stat *st);

/* ---- drop_judge.c ---- */

struct drop_question {
	const struct drop_node *up; /* the directory */
	const char *path;
	mode_t wanted;		  /* type; 0: it is to be removed */
	const struct stat *lower; /* what the target has; NULL: nothing */
	bool same;		  /* only metadata change */
	bool idle;		  /* it is ours that have it open */
};
int drop_judge(struct drop *d, const struct drop_question *q,
	       struct plan_verdict *out);
/* Whether the target may be changed. */
static inline bool drop_passes(const struct plan_verdict *v)
{
	return v->action != PLAN_KEPT && v->action != PLAN_DELAYED &&
	       v->action != PLAN_EXCLUDED;
}
/* 0 when a directory of the target may be renamed as a whole, REEL_EXDEV when
 * rules, borders or what is in use are below either name. */
int drop_judge_tree(struct drop *d, const char *from, const char *to);

/* ---- drop_copy.c ---- */

/* Makes `to` what `from` is, with all its metadata; `bytes`: and its bytes,
 * else it is an empty file. `to` must not be there; what is made and cannot be
 * finished is removed. */
int drop_copy(int from_directory, const char *from, int to_directory,
	      const char *to, bool bytes);
/* The bytes of one open file to another. */
int drop_copy_bytes(int from, int to);
bool drop_same_bytes(int a, int b);
/* Of pinned files. */
int drop_copy_metadata(int from, int to, const struct stat *st);
int drop_copy_times(int fd, const struct stat *st);

/* ---- drop_shadow.c: with `turn` held ---- */

/* A shadow of a plain node: its metadata, over what the target has; of a file
 * `emptied` without its bytes. */
int drop_overlay(struct drop *d, struct drop_node *n, bool emptied,
		 const struct plan_verdict *v);
/* The bytes of a file that is `over` come into the area. */
int drop_complete(struct drop *d, struct drop_node *n);
/* Makes a node that says that a name is gone. */
int drop_hide(struct drop *d, struct drop_node *up, const char *name,
	      const struct plan_verdict *v);
/* D5: whether a file has names that were not made here. */
bool drop_is_shared(const struct drop *d, const struct stat *st);
/* What has is replaced; `emptied`: without its bytes. */
int drop_unshare(struct drop *d, struct drop_node *n, const char *path,
		 bool emptied);
/* One more name for a regular file of the target, over another that is `old`
 * now and of which it is a copy. */
int drop_link_over(struct drop *d, const char *from, const char *to,
		   const struct stat *old);
/* A name less was, or was not, made here. */
void drop_forget_name(struct drop *d, const struct stat *st);
/* What stands at one place comes to another, with all that belongs to it:
 * renamed, or, when it has to stay or lies on another filesystem, copied. */
struct drop_end {
	enum drop_side side;
	const char *path;
};
int drop_bring(struct drop *d, struct drop_end from, struct drop_end to,
	       bool stays, bool replaces);
/* Removes empty directories of the area at a path, and below. */
void drop_area_clear(struct drop *d, const char *path);
/* Leads the open files of a node to where its bytes are now. */
void drop_redirect(struct drop *d, struct drop_node *n);
void drop_owe(struct drop *d, struct drop_node *n);

/* ---- drop_peers.c ---- */

/* With `lock` held: a shared file was looked up; a node is freed. */
void drop_peer_add(struct drop *d, struct drop_node *n);
void drop_peer_remove(struct drop_node *n);
/* drop_unshare, and the other names that programs have looked up, which the
 * rules let be replaced, become names of the copy. */
int drop_unshare_peers(struct drop *d, struct drop_node *n, const char *path);

/* ---- drop_settle.c: D2 and D3 ---- */

/* Of an object: the set holds its content, or it is durable. */
int drop_settle(struct drop *d, struct drop_node *n);
/* Whether the set holds what stands at a path of the area. */
bool drop_is_held(struct drop *d, int directory, const char *name,
		  const char *path);
/* Makes a file of the area durable, and the directories above it. */
int drop_area_sync(struct drop *d, const char *path);

/* ---- drop_area.c ---- */

int drop_area_open(struct drop *d);
/* Removes what need not be kept, and says what is. */
void drop_area_close(struct drop *d);
/* Before a temporary name is made in the target, and after. */
int drop_area_note(struct drop *d, const char *path);

/* ---- drop_delay.c ---- */

/* Hands over all that is owed; with `turn` held. */
int drop_hand_over(struct drop *d);

/* ---- drop_survey.c ---- */

/* All about a name, before something is done with it; `turn` is held. */
struct drop_survey {
	struct drop_node *up, *node; /* node: NULL when it has none */
	const char *name;
	struct buffer path;
	bool below; /* the target has it: */
	struct stat below_st;
	bool there; /* the view has it: */
	enum drop_side side;
	struct stat st;
};
int drop_survey(struct drop *d, uint64_t parent, const char *name,
		struct drop_survey *out);
void drop_survey_release(struct drop_survey *s);
/* What is to happen with it: the shadow's verdict, where it has one. */
int drop_survey_judge(struct drop *d, const struct drop_survey *s,
		      mode_t wanted, bool same, struct plan_verdict *out);
static inline bool drop_is_shadow(const struct drop_node *n)
{
	return n && n->state != DROP_PLAIN;
}
/* The same of a node that is there, by its number; s->up is its directory,
 * NULL of the root. REEL_ESTALE when it has no name. */
int drop_survey_node(struct drop *d, uint64_t id, struct drop_survey *out);

/* What the view shows of it; with `lock` held. */
void drop_fill(struct drop *d, const struct drop_survey *s,
	       struct drop_entry *out);
/* The node that the name is to have, and an entry that counts as looked up. */
int drop_known(struct drop *d, struct drop_survey *s, struct drop_entry *out);
/* A mount point that was not named, as it shows. */
void drop_border_stat(struct stat *st);

/* ---- drop_names.c ---- */

/* A directory of the area, if the view has nothing in it: its files go. */
int drop_remove_directory(struct drop *d, const struct drop_survey *s);

/* ---- drop_make.c ---- */

/* Makes something that is not there, for `user`. *fd: of a regular file. */
int drop_create(int directory, const struct drop_make *what, const char *name,
		const struct drop_user *user, int *fd);

/* ---- drop_bytes.c ---- */

/* With `turn` held; takes over fd. */
int drop_attach(struct drop *d, struct drop_node *n, int fd, bool writes,
		struct drop_file **out);

/* The same for ftruncate(2); file may be NULL. */
int drop_truncate(struct drop *d, struct drop_survey *s, struct drop_file *file,
		  off_t size, const struct drop_user *user);

/* ---- drop_status.c ---- */

/* Every name that has a shadow, in order of the paths. */
typedef void (*drop_told)(void *context, const char *path,
			  const struct drop_node *n);
void drop_tell(struct drop *d, drop_told told, void *context);
/* "preserve /etc/passwd (line 3)", or why; appended. */
int drop_reason(const struct drop_node *n, struct buffer *out);

#endif
