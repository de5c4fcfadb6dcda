#include "catalog/ntstatus.h"

#include <errno.h>
#include <stddef.h>

static const struct row {
	uint32_t status;
	int err;
	const char *text;
} rows[] = {
#define X(name, value, err, text) {value, err, text},
	NTSTATUSES(X)
#undef X
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* From behind: EIO is an input/output error. */
uint32_t ntstatus_from_errno(int err)
{
	if (!err)
		return 0;
	if (err == EPERM)
		err = EACCES;
	if (err == EDQUOT)
		err = ENOSPC;
	for (size_t n = ROWS; n; n--)
		if (rows[n - 1].err == err)
			return rows[n - 1].status;
	return (uint32_t)NTSTATUS_UNSUCCESSFUL;
}

const char *ntstatus_text(uint32_t status)
{
	if (!status)
		return "done";
	for (size_t n = 0; n < ROWS; n++)
		if (rows[n].status == status)
			return rows[n].text;
	return "an error of Windows";
}
