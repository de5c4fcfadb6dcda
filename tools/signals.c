#include "tools/signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "tape/stop.h"

/* A handler can reach nothing else. */
static volatile sig_atomic_t stop;
_Static_assert(sizeof(sig_atomic_t) == sizeof(int), "stop is handed as int");

static void end(int number)
{
	(void)number;
	_exit(EXIT_INTERRUPTED);
}

static void note(int number)
{
	(void)number;
	stop_set(&stop, 1);
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction a;

	memset(&a, 0, sizeof(a));
	a.sa_handler = handler;
	a.sa_flags = flags;
	sigemptyset(&a.sa_mask);
	sigaction(number, &a, NULL);
}

void signals_begin(void)
{
	handle(SIGINT, end, 0);
	handle(SIGTERM, end, 0);
	handle(SIGPIPE, SIG_DFL, 0);
}

static const volatile int *flag(int flags)
{
	handle(SIGINT, note, flags | (int)SA_RESETHAND);
	handle(SIGTERM, note, flags);
	handle(SIGPIPE, SIG_IGN, 0);
	return &stop;
}

const volatile int *signals_flag(void)
{
	return flag(SA_RESTART);
}

const volatile int *signals_flag_waking(void)
{
	return flag(0);
}

void signals_default(void)
{
	handle(SIGINT, SIG_DFL, 0);
	handle(SIGTERM, SIG_DFL, 0);
	handle(SIGPIPE, SIG_DFL, 0);
}
