/*
 * News from the kernel that the fence must act on: interfaces that come and go, and nftables transactions by anybody outside
 * this process. Both are read without waiting; what they mean is found out by looking, so a lost message only makes the look
 * happen anyway.
 */
#define _GNU_SOURCE
#include "sluice_native.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sluice_news {
    int links;
    int ruleset;
};

static int subscribe(int protocol, int group)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
        int failed = -errno;
        close(fd);
        return failed;
    }
    return fd;
}

/*
 * Only the end of each transaction is let in: the kernel tells of every element by itself, and a load of a hundred thousand would
 * be read by the process that made it. Messages of elements share datagrams with their like; NFT_MSG_NEWGEN comes in its own.
 */
static int only_ends(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

int sluice_news_open(struct sluice_news **out)
{
    struct sluice_news *news = calloc(1, sizeof *news);
    if (news == NULL)
        return -ENOMEM;
    news->links = subscribe(NETLINK_ROUTE, RTNLGRP_LINK);
    news->ruleset = news->links < 0 ? -1 : subscribe(NETLINK_NETFILTER, NFNLGRP_NFTABLES);
    int filtered = news->ruleset < 0 ? news->ruleset : only_ends(news->ruleset);
    if (news->links < 0 || filtered < 0) {
        int failed = news->links < 0 ? news->links : filtered;
        if (news->links >= 0)
            close(news->links);
        if (news->ruleset >= 0)
            close(news->ruleset);
        free(news);
        return failed;
    }
    *out = news;
    return 0;
}

void sluice_news_close(struct sluice_news *news)
{
    close(news->links);
    close(news->ruleset);
    free(news);
}

/* The kernel names the thread that committed; ours are the threads of this process. */
static int is_ours(uint32_t thread)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%u", thread);
    return access(path, F_OK) == 0;
}

/* Every transaction ends with a NEWGEN message that names its author. */
static int is_foreign(const struct nlmsghdr *message)
{
    if (message->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN))
        return 0;
    int left = (int)message->nlmsg_len - (int)NLMSG_SPACE(sizeof(struct nfgenmsg));
    const struct nlattr *at =
        (const struct nlattr *)((const char *)NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
    while (left >= (int)sizeof *at && at->nla_len >= sizeof *at && at->nla_len <= left) {
        if ((at->nla_type & NLA_TYPE_MASK) == NFTA_GEN_PROC_PID) {
            uint32_t thread;
            memcpy(&thread, (const char *)at + NLA_HDRLEN, sizeof thread);
            return !is_ours(ntohl(thread));
        }
        left -= (int)NLA_ALIGN(at->nla_len);
        at = (const struct nlattr *)((const char *)at + NLA_ALIGN(at->nla_len));
    }
    return 1;
}

static int read_all(int fd, int bit, int (*counts)(const struct nlmsghdr *))
{
    static _Thread_local char buffer[32768];
    int seen = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return seen;
        if (got < 0 && errno == EINTR)
            continue;
        /* ENOBUFS: messages were lost, so anything may have happened. */
        if (got < 0) {
            if (errno != ENOBUFS)
                return -errno;
            seen |= bit;
            continue;
        }
        unsigned int left = (unsigned int)got;
        for (struct nlmsghdr *at = (struct nlmsghdr *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left))
            if (counts == NULL || counts(at))
                seen |= bit;
    }
}

int sluice_news_read(struct sluice_news *news)
{
    int links = read_all(news->links, SLUICE_NEWS_LINKS, NULL);
    int ruleset = read_all(news->ruleset, SLUICE_NEWS_RULESET, is_foreign);
    if (links < 0)
        return links;
    return ruleset < 0 ? ruleset : links | ruleset;
}
