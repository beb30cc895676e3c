/*
 * Talking with nf_tables by netlink, for elements.c and ruleset.c: a message of its kind, and one exchange to its end.
 */
#ifndef SLUICE_NFT_NETLINK_H
#define SLUICE_NFT_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdint.h>
#include <stdlib.h>

/* A message with the header of nfnetlink, at `at`, without attributes; its number is 1. */
struct nlmsghdr *sluice_nft_message(void *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource);

/* Sends what is prepared and hands every answer to `each`, to the end of the dump, the acknowledgement or a refusal. 0 or -errno;
 * -EINTR: somebody changed what is being listed. */
int sluice_nft_converse(const void *bytes, size_t length, mnl_cb_t each, void *context);

#endif
