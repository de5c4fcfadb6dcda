/* A cartridge alone, with none of the others of its set: every block of the
 * volumes on it that no session of a catalogue made it known for. Of zstd each
 * frame has its checksum and each volume its seek table; of volumes without
 * compression only the headers of members can be wrong here, and only where a
 * session begins on this cartridge: behind another's end a header cannot be
 * told from what a file holds. */
#ifndef REEL_FS_VERIFY_CARTRIDGE_H
#define REEL_FS_VERIFY_CARTRIDGE_H

#include "catalog/catalog.h"
#include "fs/verify.h"
#include "tape/cartridge.h"

struct verify_cartridge_result {
	uint32_t volumes;	 /* on it, those that are known included */
	uint64_t bytes;		 /* of them */
	uint64_t frames;	 /* with a checksum */
	uint64_t members;	 /* whose headers were met */
	uint64_t bare;		 /* bytes of volumes without any checksum */
	uint64_t damaged_places; /* said */
};

struct verify_cartridge;

/* Reads label and tables, and says what is damaged of these. `o` is borrowed.
 * NULL and 0: it is none of reel's. */
int verify_cartridge_open(const char *device, const struct verify_options *o,
			  struct verify_cartridge **out);
void verify_cartridge_close(struct verify_cartridge *v); /* accepts NULL */
const char *verify_cartridge_name(const struct verify_cartridge *v);
/* Whether a session ends on it: its index tells of contents. */
bool verify_cartridge_has_end(const struct verify_cartridge *v);
/* The session's volumes here were read by verify_run. */
void verify_cartridge_known(struct verify_cartridge *v,
			    const struct session_row *s);
/* What is not known. REEL_EDAMAGED, also of label and tables. */
int verify_cartridge_run(struct verify_cartridge *v,
			 struct verify_cartridge_result *result);
/* What a session here needs beside this cartridge: appends names, separated by
 * ", "; nothing when all sessions are whole here. 0 or REEL_ENOMEM. */
int verify_cartridge_needs(const struct verify_cartridge *v,
			   struct buffer *out);

#endif
