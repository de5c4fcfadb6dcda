#include "catalog/member_row.h"

#include <string.h>
#include <sys/stat.h>

#define NS 1000000000

static uint32_t flags_of(const struct member *m)
{
	const char *at =
		m->comment ? memmem(m->comment, m->comment_length, "flags=", 6)
			   : NULL;
	uint32_t flags = 0;

	if (!at)
		return 0;
	for (at += 6; at < m->comment + m->comment_length; at++) {
		if (*at == 'i')
			flags |= INODE_IMMUTABLE;
		else if (*at == 'a')
			flags |= INODE_APPEND;
		else if (*at == 'n')
			flags |= INODE_NODUMP;
		else
			break;
	}
	return flags;
}

static int64_t ns(struct timespec t)
{
	if (t.tv_sec > INT64_MAX / NS - 1 || t.tv_sec < INT64_MIN / NS + 1)
		return 0;
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static int note_owner(struct builder *b, bool group, uint32_t id,
		      const char *name)
{
	return name && *name ? builder_owner(b, group, id, name) : 0;
}

int member_row(struct builder *b, const struct member *m, struct inode_row *row)
{
	int err = 0;

	*row = (struct inode_row){
		.mode = member_format(m->type) | (m->mode & 07777),
		.uid = m->uid,
		.gid = m->gid,
		.size = m->type == MEMBER_SYMLINK ? m->link_length : m->size,
		.mtime = ns(m->mtime),
		.atime = ns(m->has_atime ? m->atime : m->mtime),
		.has_atime = m->has_atime,
		.ctime = ns(m->mtime),
		.nlink = 1,
		.flags = flags_of(m),
	};
	row->blocks = (row->size + 4095) / 4096 * 8;
	if (m->type == MEMBER_CHARACTER || m->type == MEMBER_BLOCK_DEVICE) {
		row->major = m->major;
		row->minor = m->minor;
	}
	if (m->type == MEMBER_SYMLINK) {
		row->target = m->link;
		row->target_length = m->link_length;
	}
	if (m->xattrs_length)
		err = builder_xattrs(b, m->xattrs, m->xattrs_length,
				     &row->xattrs);
	if (!err)
		err = note_owner(b, false, m->uid, m->owner);
	return err ? err : note_owner(b, true, m->gid, m->group);
}
