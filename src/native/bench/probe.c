/*
 * One look at whether something passes: a TCP connection, or a datagram that the server echoes. Prints "open", "refused" (an error at
 * once) or "silent" (nothing until the time is over).
 */
#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static const char *judged(int fd, int tcp, int milliseconds)
{
    char octet;
    struct pollfd look = { .fd = fd, .events = tcp ? POLLOUT : POLLIN };
    if (poll(&look, 1, milliseconds) == 0)
        return "silent";
    int why = 0;
    socklen_t length = sizeof why;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &length);
    if (why != 0 || (!tcp && recv(fd, &octet, 1, 0) < 0))
        return "refused";
    return "open";
}

int load_probe(const char *protocol, const struct load_end *end, int milliseconds)
{
    int tcp = strcmp(protocol, "tcp") == 0;
    int fd = socket(end->family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 1;
    int begun = connect(fd, (const struct sockaddr *)&end->at, end->length);
    if (begun < 0 && errno != EINPROGRESS) {
        puts("refused");
        return 0;
    }
    if (!tcp && send(fd, "q", 1, MSG_NOSIGNAL) < 0) {
        puts("refused");
        return 0;
    }
    puts(judged(fd, tcp, milliseconds));
    return 0;
}
