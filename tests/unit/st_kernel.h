/* The tape driver of Linux as a program sees it, over a drive in memory
 * (scsi_tape.h): the linker sends open, read, write and ioctl through here, and
 * what concerns ST_KERNEL_NAME is answered as st does (drive_st.c, L1 to L4,
 * were tried on a 6.1 kernel with tgt: `simple`). One drive, one program. */
#ifndef REEL_TESTS_ST_KERNEL_H
#define REEL_TESTS_ST_KERNEL_H

#include "tests/unit/scsi_tape.h"

#define ST_KERNEL_NAME "/dev/nst-of-tests"

/* NULL: there is none. */
void st_kernel_attach(struct scsi_tape *t);

#endif
