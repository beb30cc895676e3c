/*
 * Live flows: lists conntrack entries of given local addresses and deletes chosen ones, over ctnetlink. The judging is done
 * by the caller. An entry is deleted by tuple, zone and id together: a flow that was opened anew on the same tuple in the
 * meantime is another flow, and stays.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    const uint8_t *locals;
    uint32_t local_count;
    struct sluice_flow *flows;
    uint32_t capacity;
    uint32_t total;
    uint8_t family;
};

struct attributes {
    const struct nlattr *by_type[64];
};

static int collect(const struct nlattr *attribute, void *context)
{
    struct attributes *found = context;
    uint16_t type = mnl_attr_get_type(attribute);
    if (type < 64)
        found->by_type[type] = attribute;
    return MNL_CB_OK;
}

static struct attributes nested(const struct nlattr *attribute)
{
    struct attributes found;
    memset(&found, 0, sizeof found);
    if (attribute != NULL)
        mnl_attr_parse_nested(attribute, collect, &found);
    return found;
}

static void take(const struct nlattr *attribute, void *out, size_t length)
{
    if (attribute != NULL && mnl_attr_get_payload_len(attribute) == length)
        memcpy(out, mnl_attr_get_payload(attribute), length);
}

static uint16_t port_of(const struct nlattr *attribute)
{
    uint16_t value = 0;
    take(attribute, &value, sizeof value);
    return ntohs(value);
}

static int compare_address(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static int is_local(const struct listing *list, const uint8_t address[16])
{
    return bsearch(address, list->locals, list->local_count, 16, compare_address) != NULL;
}

static void addresses_of(struct attributes tuple, uint8_t source[16], uint8_t destination[16])
{
    struct attributes ip = nested(tuple.by_type[CTA_TUPLE_IP]);
    take(ip.by_type[CTA_IP_V4_SRC], source, 4);
    take(ip.by_type[CTA_IP_V4_DST], destination, 4);
    take(ip.by_type[CTA_IP_V6_SRC], source, 16);
    take(ip.by_type[CTA_IP_V6_DST], destination, 16);
}

static int on_entry(const struct nlmsghdr *message, void *context)
{
    struct listing *list = context;
    struct attributes top, tuple, reply, proto, reply_proto;
    struct sluice_flow flow;
    uint8_t reply_destination[16] = { 0 };

    memset(&top, 0, sizeof top);
    memset(&flow, 0, sizeof flow);
    mnl_attr_parse(message, sizeof(struct nfgenmsg), collect, &top);
    tuple = nested(top.by_type[CTA_TUPLE_ORIG]);
    reply = nested(top.by_type[CTA_TUPLE_REPLY]);
    proto = nested(tuple.by_type[CTA_TUPLE_PROTO]);
    reply_proto = nested(reply.by_type[CTA_TUPLE_PROTO]);
    flow.family = list->family;
    addresses_of(tuple, flow.source, flow.destination);
    addresses_of(reply, flow.answering, reply_destination);
    /* Behind a translation of the node the workspace stands in the reply tuple alone. */
    if (!is_local(list, flow.source) && !is_local(list, flow.destination) && !is_local(list, flow.answering))
        return MNL_CB_OK;
    take(proto.by_type[CTA_PROTO_NUM], &flow.protocol, 1);
    if (flow.protocol == IPPROTO_ICMP) {
        flow.source_port = flow.destination_port = port_of(proto.by_type[CTA_PROTO_ICMP_ID]);
        flow.answering_port = flow.source_port;
        take(proto.by_type[CTA_PROTO_ICMP_TYPE], &flow.icmp_type, 1);
        take(proto.by_type[CTA_PROTO_ICMP_CODE], &flow.icmp_code, 1);
    } else if (flow.protocol == IPPROTO_ICMPV6) {
        flow.source_port = flow.destination_port = port_of(proto.by_type[CTA_PROTO_ICMPV6_ID]);
        flow.answering_port = flow.source_port;
        take(proto.by_type[CTA_PROTO_ICMPV6_TYPE], &flow.icmp_type, 1);
        take(proto.by_type[CTA_PROTO_ICMPV6_CODE], &flow.icmp_code, 1);
    } else {
        flow.source_port = port_of(proto.by_type[CTA_PROTO_SRC_PORT]);
        flow.destination_port = port_of(proto.by_type[CTA_PROTO_DST_PORT]);
        flow.answering_port = port_of(reply_proto.by_type[CTA_PROTO_SRC_PORT]);
    }
    take(top.by_type[CTA_MARK], &flow.mark, sizeof flow.mark);
    flow.mark = ntohl(flow.mark);
    take(top.by_type[CTA_ID], &flow.id, sizeof flow.id);
    flow.zone = port_of(top.by_type[CTA_ZONE]);
    if (list->total < list->capacity)
        list->flows[list->total] = flow;
    list->total++;
    return MNL_CB_OK;
}

static struct nlmsghdr *begin(char *buffer, uint16_t type, uint16_t flags, uint8_t family, uint32_t seq)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
    message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    message->nlmsg_seq = seq;
    struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
    header->nfgen_family = family;
    header->version = NFNETLINK_V0;
    header->res_id = 0;
    return message;
}

static struct mnl_socket *open_socket(void)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (socket != NULL && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        mnl_socket_close(socket);
        return NULL;
    }
    return socket;
}

static int dump(struct mnl_socket *socket, struct listing *list, uint8_t family, uint32_t seq)
{
    char buffer[32768];
    struct nlmsghdr *message = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, seq);
    int state = MNL_CB_OK;

    list->family = family == AF_INET ? 4 : 6;
    if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
        return -errno;
    while (state > MNL_CB_STOP) {
        ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        if (got < 0)
            return -errno;
        state = mnl_cb_run(buffer, (size_t)got, seq, mnl_socket_get_portid(socket), on_entry, list);
        if (state < 0)
            return -errno;
    }
    return 0;
}

int sluice_flows_list(const uint8_t *locals, uint32_t local_count, struct sluice_flow *flows, uint32_t capacity,
                      uint32_t *total)
{
    struct listing list = { .locals = locals, .local_count = local_count, .flows = flows, .capacity = capacity };
    struct mnl_socket *socket = open_socket();
    if (socket == NULL)
        return -errno;
    int failed = dump(socket, &list, AF_INET, 1);
    if (failed == 0)
        failed = dump(socket, &list, AF_INET6, 2);
    mnl_socket_close(socket);
    if (failed != 0)
        return failed;
    *total = list.total;
    return (int)(list.total < capacity ? list.total : capacity);
}

static void put_tuple(struct nlmsghdr *message, const struct sluice_flow *flow)
{
    struct nlattr *tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    struct nlattr *ip = mnl_attr_nest_start(message, CTA_TUPLE_IP);
    if (flow->family == 4) {
        mnl_attr_put(message, CTA_IP_V4_SRC, 4, flow->source);
        mnl_attr_put(message, CTA_IP_V4_DST, 4, flow->destination);
    } else {
        mnl_attr_put(message, CTA_IP_V6_SRC, 16, flow->source);
        mnl_attr_put(message, CTA_IP_V6_DST, 16, flow->destination);
    }
    mnl_attr_nest_end(message, ip);
    struct nlattr *proto = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(message, CTA_PROTO_NUM, flow->protocol);
    if (flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6) {
        int six = flow->protocol == IPPROTO_ICMPV6;
        mnl_attr_put_u16(message, six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, htons(flow->source_port));
        mnl_attr_put_u8(message, six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, flow->icmp_type);
        mnl_attr_put_u8(message, six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, flow->icmp_code);
    } else {
        mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(flow->source_port));
        mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(flow->destination_port));
    }
    mnl_attr_nest_end(message, proto);
    mnl_attr_nest_end(message, tuple);
    if (flow->zone != 0)
        mnl_attr_put_u16(message, CTA_ZONE, htons(flow->zone));
    mnl_attr_put(message, CTA_ID, sizeof flow->id, &flow->id);
}

static int delete_one(struct mnl_socket *socket, const struct sluice_flow *flow, uint32_t seq)
{
    char buffer[32768];
    struct nlmsghdr *message =
        begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow->family == 4 ? AF_INET : AF_INET6, seq);
    put_tuple(message, flow);
    if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
        return -errno;
    ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
    if (got < 0)
        return -errno;
    if (mnl_cb_run(buffer, (size_t)got, seq, mnl_socket_get_portid(socket), NULL, NULL) < 0)
        return errno == ENOENT ? 0 : -errno;
    return 1;
}

int sluice_flows_delete(const struct sluice_flow *flows, uint32_t count)
{
    int deleted = 0;
    struct mnl_socket *socket = open_socket();
    if (socket == NULL)
        return -errno;
    for (uint32_t i = 0; i < count; i++) {
        int done = delete_one(socket, &flows[i], i + 1);
        if (done < 0) {
            mnl_socket_close(socket);
            return done;
        }
        deleted += done;
    }
    mnl_socket_close(socket);
    return deleted;
}
