/*
 * News of interfaces that come, change and go: a thread reads the kernel's messages and puts one octet into a pipe, which the
 * agent's event loop can wait for. What happened is found out by looking, so a message that is lost, or many that become one,
 * only make the look happen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sluice_ebpf.h"

struct watch {
    int news;
    int out;
};

/* Ends when the reader of the pipe is gone. */
static void *watch_links(void *argument)
{
    struct watch *watch = argument;
    char text[8192];

    for (;;) {
        struct pollfd on[2] = {{.fd = watch->news, .events = POLLIN}, {.fd = watch->out, .events = 0}};

        if (poll(on, 2, -1) < 0 && errno != EINTR)
            break;
        if (on[1].revents)
            break;
        if (!on[0].revents)
            continue;
        /* All that is there; ENOBUFS says that some was lost, which is news too. */
        while (recv(watch->news, text, sizeof(text), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
            errno = 0;
        /* A pipe that is full says it already. */
        if (write(watch->out, "", 1) < 0 && errno != EAGAIN)
            break;
    }
    close(watch->news);
    close(watch->out);
    free(watch);
    return NULL;
}

int sluice_ebpf_watch(int32_t *reader)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    struct watch *watch = calloc(1, sizeof(*watch));
    int ends[2] = {-1, -1}, error;
    pthread_t thread;

    if (!watch)
        return -ENOMEM;
    watch->news = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (watch->news < 0 || bind(watch->news, (struct sockaddr *)&address, sizeof(address)) ||
        pipe2(ends, O_CLOEXEC | O_NONBLOCK)) {
        error = -errno;
    } else {
        watch->out = ends[1];
        error = -pthread_create(&thread, NULL, watch_links, watch);
    }
    if (!error) {
        pthread_detach(thread);
        *reader = ends[0];
        return 0;
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (watch->news >= 0)
        close(watch->news);
    free(watch);
    return error;
}
