/* Inside delay.c: which names of a journal the target takes for others. */
#ifndef REEL_FS_DELAY_TWINS_H
#define REEL_FS_DELAY_TWINS_H

#include "fs/delay.h"

/* After a commit. What cannot be found out is not told: it is refused at the
 * boot all the same. */
void delay_foresee(struct delayed *journal, delay_refused refused,
		   void *context);

#endif
