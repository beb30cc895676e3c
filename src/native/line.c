/*
 * Exchanges with nf_tables: over a socket of their own, or over a line, which is one socket for many. When a socket of netfilter is
 * closed the kernel takes the lock of all transactions, and waits out what a removal left to be freed after a grace period of RCU
 * (nft_rcv_nl_event): ten milliseconds after each lift of a flag, and as long as somebody else's load. A line is not closed in between.
 */
#define _GNU_SOURCE
#include "nft_netlink.h"
#include "sluice_native.h"

#include <errno.h>
#include <sys/socket.h>

struct sluice_line {
    struct mnl_socket *socket;
};

static struct mnl_socket *open_socket(void)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (socket != NULL && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int failed = errno;
        mnl_socket_close(socket);
        errno = failed;
        return NULL;
    }
    return socket;
}

int sluice_line_open(struct sluice_line **out)
{
    struct sluice_line *line = malloc(sizeof *line);
    if (line == NULL)
        return -ENOMEM;
    line->socket = open_socket();
    if (line->socket == NULL) {
        int failed = -errno;
        free(line);
        return failed;
    }
    *out = line;
    return 0;
}

void sluice_line_close(struct sluice_line *line)
{
    mnl_socket_close(line->socket);
    free(line);
}

/* A refused transaction is answered once for each message that was refused: nothing of it may be taken for the answer to the next.
 * The kernel answers before sendto(2) returns, so that all of it is here. */
static void forget(struct mnl_socket *socket)
{
    char octet;
    while (recv(mnl_socket_get_fd(socket), &octet, sizeof octet, MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR)
        ;
}

static int exchange(struct mnl_socket *socket, const void *bytes, size_t length, mnl_cb_t each, void *context)
{
    char buffer[32768];
    int failed = 0;
    /* A transaction is one datagram. */
    if (length > 65536) {
        int room = (int)length * 2;
        setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    }
    if (mnl_socket_sendto(socket, bytes, length) < 0)
        return -errno;
    for (int state = MNL_CB_OK; failed == 0 && state > MNL_CB_STOP;) {
        ssize_t got = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        state = got < 0 ? MNL_CB_ERROR : mnl_cb_run(buffer, (size_t)got, 1, mnl_socket_get_portid(socket), each, context);
        if (state < 0)
            failed = -errno;
    }
    return failed;
}

int sluice_nft_converse(const void *bytes, size_t length, mnl_cb_t each, void *context)
{
    return sluice_nft_converse_over(NULL, bytes, length, each, context);
}

int sluice_nft_converse_over(struct sluice_line *line, const void *bytes, size_t length, mnl_cb_t each, void *context)
{
    if (line != NULL) {
        forget(line->socket);
        return exchange(line->socket, bytes, length, each, context);
    }
    struct mnl_socket *socket = open_socket();
    if (socket == NULL)
        return -errno;
    int failed = exchange(socket, bytes, length, each, context);
    mnl_socket_close(socket);
    return failed;
}
