/*
 * The flat C interface between the agent and rtnetlink for filters of traffic control: requests that stand ready in a buffer are
 * sent, and what the kernel says of each comes back. The library knows no filters: it decides nothing and keeps nothing.
 *
 * Every function gives 0 or a count on success and -errno on failure; out-parameters are untouched on failure unless said
 * otherwise. All work happens in the network namespace of the calling thread.
 */
#ifndef SLUICE_RTNL_H
#define SLUICE_RTNL_H

#include <stdint.h>

/* Raised with every change of a signature; the binding refuses any other number. */
#define SLUICE_RTNL_ABI 1u

uint32_t sluice_rtnl_abi(void);

/*
 * Sends `count` requests that stand one after another in `messages`, each asking for an acknowledgement and numbered from 1 in
 * order, in one system call, and waits for every answer. All are carried out, whatever becomes of one. Gives 0 when all were
 * done; otherwise the first refusal, with *failed the position of that request from 0 and `why` the kernel's own words (empty
 * when it has none), both set on failure only. At most 512 requests at a time.
 */
int sluice_rtnl_change(const uint8_t *messages, uint32_t length, uint32_t count, uint32_t *failed, char *why,
                       uint32_t why_capacity);

/*
 * Sends one request for a listing and copies the messages of the answer. *total is how many octets they have; what does not fit
 * is left out. -EAGAIN when what was listed changed meanwhile. Gives the number of octets copied.
 */
int sluice_rtnl_list(const uint8_t *message, uint32_t length, uint8_t *out, uint32_t capacity, uint32_t *total);

/* The number of an interface, or 0 when there is none of that name. */
int sluice_rtnl_ifindex(const char *name);

#endif
