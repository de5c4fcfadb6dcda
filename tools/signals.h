/* What Ctrl-C does. At first it ends the program at once with status 130:
 * right for commands that only read. A command that writes asks for a flag
 * instead, and stops where its work stays whole; a second Ctrl-C ends it. */
#ifndef REEL_TOOLS_SIGNALS_H
#define REEL_TOOLS_SIGNALS_H

#define EXIT_INTERRUPTED 130

void signals_begin(void);
/* From now on SIGINT and SIGTERM set the flag, and a closed pipe is an error
 * of the write, not the end. */
const volatile int *signals_flag(void);
/* The same, and they wake what waits in read(2) or write(2). */
const volatile int *signals_flag_waking(void);
/* As the system sets them; for programs that bring handlers of their own. */
void signals_default(void);

#endif
