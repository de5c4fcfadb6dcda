/* A flag that ends what takes long: NULL, or set to non-zero by a signal's
 * handler or by another thread. */
#ifndef REEL_TAPE_STOP_H
#define REEL_TAPE_STOP_H

#include <stdbool.h>
#include <stddef.h>

static inline bool stop_is_set(const volatile int *stop)
{
	return stop && __atomic_load_n(stop, __ATOMIC_RELAXED);
}

static inline void stop_set(volatile int *stop, int value)
{
	__atomic_store_n(stop, value, __ATOMIC_RELAXED);
}

#endif
