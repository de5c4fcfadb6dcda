#include <errno.h>
#include <stddef.h>
#include "tape/error.h"

struct entry {
	int error;
	int err; /* errno */
	int status;
	const char *text;
};

static const struct entry entries[] = {
#define X(name, value, err, status, text) {name, err, status, text},
	REEL_ERRORS(X)
#undef X
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

static const struct entry *find(int error)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		if (entries[i].error == error)
			return &entries[i];
	}
	return NULL;
}

const char *error_text(int error)
{
	const struct entry *e = find(error);

	if (e)
		return e->text;
	return error >= 0 ? "success" : "unknown error";
}

int error_errno(int error)
{
	const struct entry *e = find(error);

	if (e)
		return e->err;
	return error >= 0 ? 0 : EIO;
}

int error_exit(int error)
{
	const struct entry *e = find(error);

	if (e)
		return e->status;
	return error >= 0 ? 0 : 2;
}

int error_from_errno(int err)
{
	switch (err) {
	case 0:
		return 0;
	case EPERM:
		return REEL_EPERM;
	case EAGAIN:
		return REEL_ELOCKED;
	case ENOTSUP:
	case ENOSYS:
		return REEL_ENOTSUP;
	case EOVERFLOW:
		return REEL_ERANGE;
	}
	for (size_t i = 0; i < ENTRIES; i++) {
		if (entries[i].err == err)
			return entries[i].error;
	}
	return REEL_EIO;
}
