/* Inside the drives of Linux: drive_st.c opens, reads, writes and prepares,
 * drive_st_move.c calls the driver and finds places. */
#ifndef REEL_TAPE_DRIVE_ST_H
#define REEL_TAPE_DRIVE_ST_H

#include <sys/types.h>
#include <sys/mtio.h>
#include "tape/drive_scsi.h"

/* Newer than some headers; the kernel knows them since 2.6.36, or ever. */
#ifndef MTWEOFI
#define MTWEOFI 35
#endif
#ifndef MT_ST_SYSV
#define MT_ST_SYSV 0x1000
#endif
#ifndef MT_ST_NOWAIT
#define MT_ST_NOWAIT 0x2000
#endif
#ifndef MT_ST_SILI
#define MT_ST_SILI 0x4000
#endif
#ifndef MT_ST_NOWAIT_EOF
#define MT_ST_NOWAIT_EOF 0x8000
#endif

struct st_drive {
	struct scsi_drive scsi; /* its transport is `sg` */
	struct scsi_sg sg;
	int fd;
	bool writing; /* L4 */
	bool writable;
};

static inline struct st_drive *st_of(struct drive *d)
{
	return (struct st_drive *)d;
}

/* One MTIOCTOP; an errno value, 0 for success. */
int st_operate(struct st_drive *d, short what, int count);
/* The same, and what failed is said. */
int st_operate_or_say(struct st_drive *d, short what, int count,
		      const char *name);
/* GMT_ flags. */
long st_state(const struct st_drive *d);
int st_error(int err);
/* Says that the drive cannot `what`, because of an errno value. */
int st_failed(struct st_drive *d, int err, const char *what);

int st_read(struct drive *d, void *to, size_t room, struct drive_read *r);
int st_rewind(struct drive *d, bool immediate);
int st_select(struct drive *d, uint32_t partition);
int st_locate(struct drive *d, uint32_t partition, uint64_t object);
int st_tell(struct drive *d, struct drive_position *p);
int st_space(struct drive *d, enum drive_unit unit, int64_t count,
	     struct drive_moved *m);

#endif
