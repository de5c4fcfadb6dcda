/* Inside the image drives: drive_image.c opens, reads and writes,
 * drive_image_move.c finds places, drive_image_medium.c does the rest. */
#ifndef REEL_TAPE_DRIVE_IMAGE_H
#define REEL_TAPE_DRIVE_IMAGE_H

#include "tape/drive_kind.h"
#include "tape/image_conf.h"
#include "tape/tap.h"

struct image {
	struct drive base;
	struct image_conf conf;	 /* with the options behind the name */
	struct image_conf saved; /* without */
	char *path;		 /* of the first partition */
	char *conf_path;
	int lock;	/* the first partition, flocked */
	bool writable;	/* the files are open for writing */
	bool tab;	/* the system does not let us write them */
	bool present;	/* a cartridge is loaded: tap is open */
	struct tap tap; /* of the partition */
	uint32_t partition;
	struct tap_place at;
};

static inline struct image *image_of(struct drive *d)
{
	return (struct image *)d;
}

/* Heap; NULL when out of memory. */
char *image_partition_path(const struct image *i, uint32_t partition);
int image_cannot(struct image *i, const char *what, int err);
/* Opens a partition in place of the present one, at its beginning. */
int image_insert(struct image *i, uint32_t partition);
void image_eject(struct image *i);
/* These say what is wrong: REEL_EMEDIUM; and REEL_EROFS. */
int image_needs_cartridge(struct image *i);
int image_may_write(struct image *i);
bool image_write_protected(const struct image *i);
/* Of the present partition; 0: no limit. */
uint64_t image_capacity(const struct image *i);
uint64_t image_early_size(const struct image *i);
bool image_is_early(const struct image *i);
/* Says what is wrong with a write. */
int image_wrote(struct image *i, int error, bool *early);
int image_sync(struct image *i);

int image_rewind(struct drive *d, bool immediate);
int image_select(struct drive *d, uint32_t partition);
int image_locate(struct drive *d, uint32_t partition, uint64_t object);
int image_tell(struct drive *d, struct drive_position *p);
int image_space(struct drive *d, enum drive_unit unit, int64_t count,
		struct drive_moved *m);

int image_status(struct drive *d, struct drive_status *s);
int image_parameters(struct drive *d, struct drive_parameters *p);
int image_set(struct drive *d, enum drive_parameter what, uint64_t value);
int image_attribute(struct drive *d, uint16_t id, void *to, size_t *length);
int image_set_attribute(struct drive *d, uint16_t id, const void *data,
			size_t length);
int image_partition(struct drive *d, const struct drive_partitioning *p);
int image_prepare(struct drive *d, enum drive_preparation what, bool immediate);
int image_erase(struct drive *d, enum drive_erasure how, bool immediate);

#endif
