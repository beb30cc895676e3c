/*
 * Requests of the agent, over a Unix socket of the state directory: one line, for `stage` followed by the table; one answer,
 * `ok LENGTH` or `error ERRNO WHY`, then the octets. Only root is answered, by the peer's credentials. A connection has its own
 * thread, so that a flag never waits behind a table.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vaultfs.h"

#define ANSWER_ROOM (4u << 20)
#define TABLE_MOST (1u << 30)

static bool send_all(int fd, const char *from, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, from, size, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        from += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool answer(int fd, int error, const char *why, const char *text, size_t size)
{
    char head[640];
    int length = error == 0 ? snprintf(head, sizeof(head), "ok %zu\n", size)
                            : snprintf(head, sizeof(head), "error %d %s\n", -error, why[0] != 0 ? why : strerror(-error));

    return send_all(fd, head, (size_t)length) && (error != 0 || send_all(fd, text, size));
}

/* `error`: the answer; a `stage` takes its table from the same stream. */
static bool stage(FILE *in, int fd, unsigned long size)
{
    char why[512] = "";
    void *block;

    if (size == 0 || size > TABLE_MOST)
        return answer(fd, -EINVAL, "a table of that size is none", NULL, 0) && false;
    block = aligned_alloc(8, (size + 7) & ~7ul);
    if (block == NULL || fread(block, 1, size, in) != size) {
        free(block);
        return false;
    }
    return answer(fd, serve_stage(block, size, why, sizeof(why)), why, "", 0);
}

static bool request(FILE *in, int fd, const char *line, char *text)
{
    char workspace[4096], why[512] = "", flag[32];
    unsigned long long number;
    unsigned on;
    uint64_t lost;
    size_t used;

    if (sscanf(line, "stage %llu", &number) == 1)
        return stage(in, fd, (unsigned long)number);
    if (sscanf(line, "commit %llu", &number) == 1)
        return answer(fd, serve_commit(number, why, sizeof(why)), why, "", 0);
    if (sscanf(line, "flag %4095s %31s %u", workspace, flag, &on) == 3) {
        uint32_t bit = strcmp(flag, "quarantined") == 0 ? VAULT_IS_QUARANTINED : VAULT_IS_SUSPENDED;

        return answer(fd, serve_flag(workspace, bit, on != 0), why, "", 0);
    }
    if (strcmp(line, "stop") == 0) {
        answer(fd, 0, "", "", 0);
        kill(getpid(), SIGTERM);
        /* The connection ends with the process, so that whoever asked knows when everything is unmounted. */
        for (;;)
            pause();
    }
    if (strcmp(line, "discard") == 0) {
        serve_discard();
        return answer(fd, 0, "", "", 0);
    }
    if (strcmp(line, "table") == 0) {
        void *table = serve_table(&used);
        bool said = answer(fd, table == NULL && used > 0 ? -ENOMEM : 0, why, table, used);

        free(table);
        return said;
    }
    if (strcmp(line, "observe") == 0) {
        used = serve_observe(text, ANSWER_ROOM);
        return answer(fd, 0, "", text, used);
    }
    if (strcmp(line, "events") == 0) {
        used = event_take(text, ANSWER_ROOM - 64, &lost);
        used += (size_t)sprintf(text + used, "lost %llu\n", (unsigned long long)lost);
        return answer(fd, 0, "", text, used);
    }
    return answer(fd, -EINVAL, "no such request", NULL, 0);
}

static void *converse(void *data)
{
    int fd = (int)(intptr_t)data;
    FILE *in = fdopen(fd, "r");
    char *line = NULL, *text = malloc(ANSWER_ROOM);
    size_t room = 0;
    ssize_t length;

    while (in != NULL && text != NULL && (length = getline(&line, &room, in)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = 0;
        if (!request(in, fd, line, text))
            break;
    }
    free(line);
    free(text);
    if (in != NULL)
        fclose(in);
    else
        close(fd);
    return NULL;
}

static bool is_root(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0;
}

/* Beside the requests: taking what is cached from the kernel waits for a stage or a commit, which no flag may wait for. */
static void *keep_deadline(void *data)
{
    for (;;) {
        int left = serve_deadline();

        /* A commit meanwhile may bring a nearer deadline. */
        poll(NULL, 0, left < 0 || left > 1000 ? 1000 : left);
    }
    return data;
}

int control_run(const char *path, int stop)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd wait[2];
    pthread_t thread;
    int listener, fd, error;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return -errno;
    unlink(path); /* of a daemon that was killed: the lock says that there is none */
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 64) != 0) {
        error = errno;
        close(listener);
        return -error;
    }
    error = pthread_create(&thread, NULL, keep_deadline, NULL);
    if (error != 0) {
        close(listener);
        return -error;
    }
    pthread_detach(thread);
    /* Whoever started the daemon waits for this line. */
    if (write(STDOUT_FILENO, "ready\n", 6) == 6)
        close(STDOUT_FILENO);
    wait[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    wait[1] = (struct pollfd){.fd = stop, .events = POLLIN};
    for (;;) {
        int found = poll(wait, 2, -1);

        if (found < 0 && errno != EINTR)
            break;
        if (found > 0 && (wait[1].revents & POLLIN) != 0)
            break;
        if (found <= 0 || (wait[0].revents & POLLIN) == 0)
            continue;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (!is_root(fd) || pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) != 0)
            close(fd);
        else
            pthread_detach(thread);
    }
    close(listener);
    unlink(path);
    return 0;
}
