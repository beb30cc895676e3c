/*
 * Interfaces of this network namespace over rtnetlink: names, indexes, and whose port each is; and the removal of a clsact
 * qdisc on which nothing hangs any more.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

struct found {
    struct sluice_link *links;
    uint32_t capacity;
    uint32_t total;
};

static int on_link(const struct nlmsghdr *message, void *context)
{
    struct found *found = context;
    const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
    struct sluice_link link;
    const struct nlattr *attribute;

    memset(&link, 0, sizeof link);
    link.index = (uint32_t)header->ifi_index;
    mnl_attr_for_each(attribute, message, sizeof *header)
    {
        uint16_t type = mnl_attr_get_type(attribute);
        if (type == IFLA_IFNAME)
            strncpy(link.name, mnl_attr_get_str(attribute), sizeof link.name - 1);
        else if (type == IFLA_MASTER)
            link.master = mnl_attr_get_u32(attribute);
    }
    if (found->total < found->capacity)
        found->links[found->total] = link;
    found->total++;
    return MNL_CB_OK;
}

static int count_one(const struct nlmsghdr *message, void *context)
{
    (void)message;
    ++*(uint32_t *)context;
    return MNL_CB_OK;
}

/* Sends one request and hands every answer to `each`, to the end of the dump or the acknowledgement. */
static int ask(struct nlmsghdr *request, mnl_cb_t each, void *context)
{
    char buffer[32768];
    int state = MNL_CB_OK;
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (socket == NULL)
        return -errno;
    request->nlmsg_seq = 1;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 || mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
        state = -errno;
    while (state > MNL_CB_STOP) {
        ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        state = got < 0 ? -errno : mnl_cb_run(buffer, (size_t)got, 1, mnl_socket_get_portid(socket), each, context);
        if (got >= 0 && state < 0)
            state = -errno;
    }
    mnl_socket_close(socket);
    return state;
}

int sluice_links_list(struct sluice_link *links, uint32_t capacity, uint32_t *total)
{
    char buffer[512];
    struct found found = { .links = links, .capacity = capacity };
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
    int failed = ask(request, on_link, &found);
    if (failed < 0)
        return failed;
    *total = found.total;
    return (int)(found.total < capacity ? found.total : capacity);
}

static struct nlmsghdr *traffic_control(char *buffer, uint16_t type, uint16_t flags, uint32_t ifindex, uint32_t parent)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = type;
    request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    struct tcmsg *header = mnl_nlmsg_put_extra_header(request, sizeof *header);
    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = (int)ifindex;
    header->tcm_parent = parent;
    return request;
}

static int filters(uint32_t ifindex, uint32_t side, uint32_t *count)
{
    char buffer[512];
    return ask(traffic_control(buffer, RTM_GETTFILTER, NLM_F_DUMP, ifindex, TC_H_MAKE(TC_H_CLSACT, side)), count_one,
               count);
}

int sluice_links_tidy(uint32_t ifindex)
{
    char buffer[512];
    uint32_t count = 0;
    int failed = filters(ifindex, TC_H_MIN_INGRESS, &count);
    if (failed >= 0)
        failed = filters(ifindex, TC_H_MIN_EGRESS, &count);
    /* EINVAL: there is no clsact here. */
    if (failed < 0)
        return failed == -EINVAL || failed == -ENODEV ? 0 : failed;
    if (count > 0)
        return 0;
    struct nlmsghdr *request = traffic_control(buffer, RTM_DELQDISC, NLM_F_ACK, ifindex, TC_H_CLSACT);
    ((struct tcmsg *)mnl_nlmsg_get_payload(request))->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    failed = ask(request, count_one, &count);
    if (failed < 0)
        return failed == -EINVAL || failed == -ENOENT || failed == -ENODEV ? 0 : failed;
    return 1;
}
