/*
 * Listens on sockets that lie in a file system: a stream at each path that is given, and datagrams at the same path with `-d` behind it.
 * Nothing is answered; whoever may connect or send has done what it wanted. Prints a line when all are there.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path, const char *suffix, int kind)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int ear = socket(AF_UNIX, kind, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%.100s%s", path, suffix);
    unlink(at.sun_path);
    if (bind(ear, (struct sockaddr *)&at, sizeof(at)) || chmod(at.sun_path, 0777))
        return -1;
    return kind == SOCK_STREAM ? listen(ear, 64) : 0;
}

int main(int count, char **words)
{
    for (int i = 1; i < count; i++)
        if (listen_at(words[i], "", SOCK_STREAM) || listen_at(words[i], "-d", SOCK_DGRAM))
            return 70;
    puts("listening");
    fflush(stdout);
    for (;;)
        pause();
}
