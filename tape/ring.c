#include "tape/ring.h"

#include <sys/mman.h>
#include <unistd.h>
#include "tape/error.h"

int ring_init(struct ring *r, size_t size)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("reel-ring", MFD_CLOEXEC);
	int flags = MAP_SHARED | MAP_FIXED, both = PROT_READ | PROT_WRITE;
	uint8_t *at = MAP_FAILED;

	size = (size + page - 1) / page * page;
	if (fd >= 0 && !ftruncate(fd, (off_t)size))
		at = mmap(NULL, 2 * size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at != MAP_FAILED &&
	    (mmap(at, size, both, flags, fd, 0) == MAP_FAILED ||
	     mmap(at + size, size, both, flags, fd, 0) == MAP_FAILED)) {
		munmap(at, 2 * size);
		at = MAP_FAILED;
	}
	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED)
		return REEL_ENOMEM;
	*r = (struct ring){at, size};
	return 0;
}

void ring_release(struct ring *r)
{
	if (r->data)
		munmap(r->data, 2 * r->size);
	*r = (struct ring){0};
}
