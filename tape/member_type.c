#include <sys/stat.h>
#include "tape/member.h"

static const struct {
	enum member_type type;
	mode_t format;
} types[] = {
	{MEMBER_SYMLINK, S_IFLNK},	{MEMBER_CHARACTER, S_IFCHR},
	{MEMBER_BLOCK_DEVICE, S_IFBLK}, {MEMBER_DIRECTORY, S_IFDIR},
	{MEMBER_FIFO, S_IFIFO},
};

mode_t member_format(enum member_type type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (types[i].type == type)
			return types[i].format;
	}
	return S_IFREG;
}

enum member_type member_type_of(mode_t mode)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (types[i].format == (mode & S_IFMT))
			return types[i].type;
	}
	return MEMBER_FILE;
}
