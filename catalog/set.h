/* A set: a directory with set.conf, catalog.db, rules, volumes/, spool/.
 *
 * set.conf is text, `key = value` a line, `#` comments; mode 0600 because it
 * holds the digest seed. Keys: format (1), name, uuid, media (dir | tape),
 * compression (none | zstd:LEVEL), volume-size (bytes, 0 = unlimited),
 * seed (16 hex digits), digest (xxh3 | sha256); of tape sets drive and changer
 * (a name each, any number of them), block-size (bytes), first-cartridge (its
 * number, of a copy). Unknown keys are refused: a newer reel made the set. */
#ifndef REEL_CATALOG_SET_H
#define REEL_CATALOG_SET_H

#include <stdbool.h>
#include <stdint.h>
#include "tape/medium.h"

struct set_config {
	char *name;
	uint8_t uuid[16];
	enum compression compression;
	int level; /* zstd's; 0: what pays, see frame.h */
	uint64_t volume_size;
	uint64_t seed;
	bool sha256; /* of every content, beside the digest */
	bool tape;
	char **drives; /* names, as drive_open takes them */
	size_t drive_count;
	char **changers;
	size_t changer_count;
	char **copy_drives; /* of copies: only read from */
	size_t copy_drive_count;
	uint32_t block_size; /* bytes, of tape sets */
	uint32_t line;	     /* number of the first cartridge, 0: 1 */
};

struct set {
	char *path;    /* absolute */
	int directory; /* fd of SET */
	int volumes;   /* fd of SET/volumes; of a tape set of SET/spool */
	struct medium *medium; /* reads the volumes */
	struct tapes *tapes;   /* of a tape set, tapes.h */
	int lock;	       /* fd of SET/lock when held, else -1 */
	bool read_only;	       /* SET cannot be written */
	bool foreign; /* made of a foreign archive (foreign.h): contents
			 have no digest, uncompressed frames no checksum */
	struct set_config config;
	char reserved[16]; /* ".reel-XXXXXXXX": the reserved name */
};

enum set_access {
	SET_READ,  /* no lock; writes nothing */
	SET_WRITE, /* takes the lock: REEL_ELOCKED names pid, host, command */
};

void set_config_release(struct set_config *c);
/* One more drive or changer; the name is copied. */
int set_config_add(char ***names, size_t *count, const char *name);
/* Makes a new set; the directory must not exist or be empty. Logs. */
int set_create(const char *path, const struct set_config *config);
/* Logs what is wrong in one sentence. */
int set_open(const char *path, enum set_access access, bool wait,
	     struct set **out);
void set_close(struct set *s);
/* Calls `each` with the paths of all that the set is made of, until it returns
 * non-zero, and returns that: SET, its volumes (which may be linked from
 * elsewhere), cartridges that are images, also of its copies, and what stands
 * beside them. Not each of them need be there. */
int set_each_place(const struct set *s,
		   int (*each)(void *context, const char *path), void *context);
/* Whether somebody holds the lock. */
bool set_is_locked(const struct set *s);
/* 8-4-4-4-12 and a NUL. */
void set_uuid_text(const uint8_t uuid[16], char text[37]);
int set_uuid_parse(const char *text, uint8_t uuid[16]);
/* "none", "zstd" (level 0), "zstd:N"; REEL_EINVAL. */
int set_parse_compression(const char *text, enum compression *c, int *level);
/* "12", "64M", "1.5G", "1T" in bytes; REEL_EINVAL. */
int set_parse_size(const char *text, uint64_t *size);

#endif
