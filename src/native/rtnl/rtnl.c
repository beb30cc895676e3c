/*
 * rtnetlink by itself: a socket for each call, so that nothing is shared between callers. Buffers are made large enough for the
 * answers of a whole batch, because an answer that finds no room is lost and would be waited for in vain.
 */
#define _GNU_SOURCE
#include "sluice_rtnl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST = 512, ROOM = 8 << 20, PIECE = 1 << 18, WAIT_S = 10 };

uint32_t sluice_rtnl_abi(void)
{
    return SLUICE_RTNL_ABI;
}

int sluice_rtnl_ifindex(const char *name)
{
    return (int)if_nametoindex(name);
}

static void set(int fd, int level, int option, int value)
{
    /* An option that this kernel does not know leaves the default, which is enough for small batches. */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

static int open_socket(void)
{
    struct timeval wait = { .tv_sec = WAIT_S };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, ROOM);
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, ROOM);
    set(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0) {
        int failed = -errno;
        close(fd);
        return failed;
    }
    return fd;
}

static int send_all(int fd, const uint8_t *messages, uint32_t length)
{
    struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
    ssize_t sent = sendto(fd, messages, length, 0, (struct sockaddr *)&kernel, sizeof kernel);
    if (sent < 0)
        return -errno;
    return (uint32_t)sent == length ? 0 : -EMSGSIZE;
}

/* The text that the kernel adds to a refusal; the request itself is left out of answers (NETLINK_CAP_ACK). */
static void words(const struct nlmsghdr *message, char *why, uint32_t capacity)
{
    uint32_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nlmsgerr));
    const struct nlmsgerr *error = NLMSG_DATA(message);
    if (capacity == 0)
        return;
    why[0] = '\0';
    if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
        return;
    if (!(message->nlmsg_flags & NLM_F_CAPPED))
        at += NLMSG_ALIGN(error->msg.nlmsg_len) - NLMSG_HDRLEN;
    while (at + NLA_HDRLEN <= message->nlmsg_len) {
        const struct nlattr *attribute = (const struct nlattr *)((const char *)message + at);
        if (attribute->nla_len < NLA_HDRLEN || at + attribute->nla_len > message->nlmsg_len)
            return;
        if (attribute->nla_type == NLMSGERR_ATTR_MSG) {
            uint32_t length = attribute->nla_len - NLA_HDRLEN;
            if (length >= capacity)
                length = capacity - 1;
            memcpy(why, (const char *)attribute + NLA_HDRLEN, length);
            why[length] = '\0';
            return;
        }
        at += NLA_ALIGN(attribute->nla_len);
    }
}

int sluice_rtnl_change(const uint8_t *messages, uint32_t length, uint32_t count, uint32_t *failed, char *why,
                       uint32_t why_capacity)
{
    _Alignas(struct nlmsghdr) char buffer[32768];
    int result = 0;
    uint32_t first = 0;
    if (count > MOST)
        return -E2BIG;
    int fd = open_socket();
    if (fd < 0)
        return fd;
    result = send_all(fd, messages, length);
    for (uint32_t left = result == 0 ? count : 0; left > 0;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            result = errno == EAGAIN ? -ETIMEDOUT : -errno;
            break;
        }
        int rest = (int)got;
        for (struct nlmsghdr *message = (struct nlmsghdr *)buffer; NLMSG_OK(message, (uint32_t)rest);
             message = NLMSG_NEXT(message, rest)) {
            if (message->nlmsg_type != NLMSG_ERROR)
                continue;
            const struct nlmsgerr *error = NLMSG_DATA(message);
            if (error->error != 0 && result == 0) {
                result = error->error;
                first = message->nlmsg_seq > 0 ? message->nlmsg_seq - 1 : 0;
                words(message, why, why_capacity);
            }
            left--;
        }
    }
    close(fd);
    if (result < 0)
        *failed = first;
    return result;
}

int sluice_rtnl_list(const uint8_t *message, uint32_t length, uint8_t *out, uint32_t capacity, uint32_t *total)
{
    static _Thread_local _Alignas(struct nlmsghdr) char buffer[PIECE];
    uint32_t copied = 0, needed = 0;
    int done = 0, result = 0, changed = 0;
    int fd = open_socket();
    if (fd < 0)
        return fd;
    result = send_all(fd, message, length);
    while (!done && result == 0) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            result = errno == EAGAIN ? -ETIMEDOUT : -errno;
            break;
        }
        int rest = (int)got;
        for (struct nlmsghdr *one = (struct nlmsghdr *)buffer; NLMSG_OK(one, (uint32_t)rest); one = NLMSG_NEXT(one, rest)) {
            if (one->nlmsg_flags & NLM_F_DUMP_INTR)
                changed = 1;
            if (one->nlmsg_type == NLMSG_DONE) {
                done = 1;
                break;
            }
            if (one->nlmsg_type == NLMSG_ERROR) {
                result = ((struct nlmsgerr *)NLMSG_DATA(one))->error;
                done = 1;
                break;
            }
            uint32_t size = NLMSG_ALIGN(one->nlmsg_len);
            if (copied + size <= capacity && copied == needed) {
                memcpy(out + copied, one, one->nlmsg_len);
                memset(out + copied + one->nlmsg_len, 0, size - one->nlmsg_len);
                copied += size;
            }
            needed += size;
        }
    }
    close(fd);
    if (result < 0)
        return result;
    if (changed)
        return -EAGAIN;
    *total = needed;
    return (int)copied;
}
