/*
 * One question to nf_tables: is this element in this set? Asked by netlink, for the read-back of learned grants, which must
 * cost tens of microseconds whatever else the ruleset holds.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

static struct nlmsghdr *question(char *buffer, const char *table, const char *set, const uint8_t *key, uint32_t length)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETSETELEM;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message->nlmsg_seq = 1;
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->nfgen_family = NFPROTO_INET;
    header->version = NFNETLINK_V0;
    header->res_id = 0;
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set);
    struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
    struct nlattr *field = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
    mnl_attr_put(message, NFTA_DATA_VALUE, length, key);
    mnl_attr_nest_end(message, field);
    mnl_attr_nest_end(message, element);
    mnl_attr_nest_end(message, list);
    return message;
}

static int found(const struct nlmsghdr *message, void *context)
{
    (void)message;
    *(int *)context = 1;
    return MNL_CB_OK;
}

int sluice_element_has(const char *table, const char *set, const uint8_t *key, uint32_t key_length)
{
    char buffer[8192];
    int there = 0, state = MNL_CB_OK;
    if (key_length > 64)
        return -EINVAL;
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (socket == NULL)
        return -errno;
    struct nlmsghdr *message = question(buffer, table, set, key, key_length);
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
        state = -errno;
    while (state > MNL_CB_STOP) {
        ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        state = got < 0 ? -errno : mnl_cb_run(buffer, (size_t)got, 1, mnl_socket_get_portid(socket), found, &there);
        if (got >= 0 && state < 0)
            state = -errno;
    }
    mnl_socket_close(socket);
    if (state == -ENOENT)
        return 0;
    return state < 0 ? state : there;
}
