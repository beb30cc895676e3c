/* Listens on a socket and gives whoever connects a descriptor of a file that is open for reading. Arguments: the socket, the file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char one = 'x', room[CMSG_SPACE(sizeof(int))] = "";
    struct iovec part = {&one, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int file = count == 3 ? open(words[2], O_RDONLY) : -1, ear = socket(AF_UNIX, SOCK_STREAM, 0);

    if (file < 0)
        return 70;
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", words[1]);
    if (bind(ear, (struct sockaddr *)&at, sizeof(at)) || chmod(words[1], 0777) || listen(ear, 4))
        return 71;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &file, sizeof(int));
    for (;;) {
        int peer = accept(ear, NULL, NULL);

        if (peer < 0 || sendmsg(peer, &message, 0) < 0)
            return 72;
        close(peer);
    }
}
