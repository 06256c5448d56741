/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting for something that has to be looked at, in the driver and in its program. */
#ifndef PLX_POLL_H
#define PLX_POLL_H

/**
 * PLX_POLL() - look again and again, until something holds or the time is up
 * @now_ns: expression for a time that never goes back
 * @limit_ns: how long to go on
 * @look: statement that looks
 * @over: expression for whether what it saw is enough
 * @rest: statement for what to do between two looks
 *
 * A guest may be paused anywhere, and its clock goes on. So the clock is read
 * before the look: one that came too late is followed by a last look, and time
 * alone never makes a failure of what is good by now.
 *
 * Return: whether @over held at the last look.
 */
#define PLX_POLL(now_ns, limit_ns, look, over, rest)			\
({									\
	const unsigned long long poll_limit_ = (limit_ns);		\
	const unsigned long long poll_began_ = (now_ns);		\
	bool poll_late_, poll_over_;					\
									\
	for (;;) {							\
		poll_late_ = (now_ns) - poll_began_ > poll_limit_;	\
		look;							\
		poll_over_ = (over);					\
		if (poll_over_ || poll_late_)				\
			break;						\
		rest;							\
	}								\
	poll_over_;							\
})

#endif /* PLX_POLL_H */
