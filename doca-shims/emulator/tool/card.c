/* The reset button of the software BlueField: `doca-card PCI-ADDRESS reset`, in the network namespace of the process that has
 * the device. Everything on the card is gone then, as after a firmware reset; what the process does about it is its own affair.
 * Exit 1: nobody has such a device here. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int count, char **words)
{
    if (count != 3 || strcmp(words[2], "reset") != 0) {
        fprintf(stderr, "usage: doca-card PCI-ADDRESS reset\n");
        return 64;
    }
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "doca-emulator-%s", words[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    if (fd < 0 || sendto(fd, words[2], strlen(words[2]), 0, (struct sockaddr *)&name, size) < 0) {
        perror("doca-card");
        return 1;
    }
    return 0;
}
