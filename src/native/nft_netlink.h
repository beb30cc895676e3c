/*
 * Talking with nf_tables by netlink, for elements.c and ruleset.c: a message of its kind, and one exchange to its end (line.c).
 */
#ifndef SLUICE_NFT_NETLINK_H
#define SLUICE_NFT_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdint.h>
#include <stdlib.h>

/* A message with the header of nfnetlink, at `at`, without attributes; its number is 1. */
struct nlmsghdr *sluice_nft_message(void *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource);

/* Sends what is prepared and hands every answer to `each`, to the end of the dump, the acknowledgement, a refusal, or where `each` stops.
 * 0 or -errno; -EINTR: somebody changed what is being listed. */
int sluice_nft_converse(const void *bytes, size_t length, mnl_cb_t each, void *context);

struct sluice_line;
/* The same over a line; NULL: over a socket of its own. */
int sluice_nft_converse_over(struct sluice_line *line, const void *bytes, size_t length, mnl_cb_t each, void *context);

#endif
