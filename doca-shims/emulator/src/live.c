/* Frames of real interfaces. A port's Linux interface is its cable: a thread takes what arrives there, walks the pipes, and
 * puts the frame on the cable of the port that it leaves by. Beside it stands a tap with the port's own name (pf0vf0, p0), the
 * netdevice that the Arm has for a representor: frames forwarded to the kernel appear there, and what the Arm sends there
 * leaves by the cable.
 *
 * The host's own stack must not see the cable's frames a second time: an nftables chain drops them behind the packet socket. It
 * stays when the process ends, so that a card whose agent died passes nothing, as one with a default-deny bridge. In switch
 * mode it stands on the cables of all representors as soon as the device is started, since their frames enter the switch
 * whether anybody asked for them or not. A tap that exists already, made to stay, is used and left. A device belongs to one
 * process of a network namespace; the socket that says so takes the word `reset` (emulator/tool/card.c). */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (sizeof(struct virtio_net_hdr) + 65536 + 64)

struct emu_live {
    struct doca_flow_port *port;
    int packets, tap, owner; /* -1: none */
    atomic_bool stop;
    pthread_t thread;
    struct doca_emulator_result result;
    struct emu_packet packet;
    uint8_t data[DOCA_EMULATOR_FRAME_MAX];
    uint8_t buffer[BUFFER];
};

static bool run(const char *const arguments[])
{
    extern char **environ;
    pid_t child;
    int status;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&child, arguments[0], &quiet, NULL, (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&quiet);
    return !failed && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Behind the packet sockets, before the stack. Adding what is there already changes nothing. */
static bool shield(const char *interface)
{
    char rules[256];
    snprintf(rules, sizeof rules,
             "table netdev doca_emulator_%u { chain cable { type filter hook ingress device \"%s\" priority -500; "
             "policy drop; }; }",
             if_nametoindex(interface), interface);
    const char *nft[] = { "nft", rules, NULL };
    return run(nft);
}

static void shield_representor(const char *interface)
{
    if (if_nametoindex(interface) && !shield(interface))
        emu_violation("the cable of a representor could not be closed to the stack");
}

static int open_cable(const char *interface)
{
    struct sockaddr_ll at = { .sll_family = AF_PACKET,
                              .sll_protocol = DOCA_HTOBE16(ETH_P_ALL),
                              .sll_ifindex = (int)if_nametoindex(interface) };
    struct packet_mreq promiscuous = { .mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC };
    int on = 1, room = 4 << 20;
    int fd = at.sll_ifindex ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room); /* more is better, less will do */
    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) == 0 &&
        bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
        return fd;
    close(fd);
    return -1;
}

static int open_tap(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The name of the device is taken while this is open; another process that asks for it is the second owner. */
static int own(const char *pci)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "doca-emulator-%s", pci);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&name,
                        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Frames that are too long for the cable, or that it has no room for, are lost, as on a wire. */
static void put_on_cable(struct doca_flow_port *port, const uint8_t *frame, uint32_t length)
{
    const struct virtio_net_hdr plain = { 0 };
    struct iovec parts[] = { { (void *)(uintptr_t)&plain, sizeof plain }, { (void *)(uintptr_t)frame, length } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    if (port && port->live && sendmsg(port->live->packets, &message, MSG_DONTWAIT) < 0 && errno == ENETDOWN)
        return; /* the far end is down */
}

/* The lock, unless the thread is told to stop meanwhile: who stops it holds the lock and waits. */
static bool lock_or_stop(struct emu_live *live)
{
    const struct timespec moment = { .tv_nsec = 50000 };
    while (!emu_try_lock()) {
        if (atomic_load(&live->stop))
            return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

static void walk(void *context, const uint8_t *frame, uint32_t length)
{
    struct emu_live *live = context;
    if (length > sizeof live->data - 8 || !lock_or_stop(live))
        return;
    memcpy(live->data, frame, length);
    live->packet.data = live->data;
    live->packet.length = length;
    live->packet.room = sizeof live->data;
    live->packet.port_id = live->port->id;
    emu_walk(live->port, &live->packet, &live->result);
    const struct doca_emulator_result *result = &live->result;
    if (result->fate == DOCA_EMULATOR_TO_PORT)
        put_on_cable(emu.ports[result->port_id], result->frame, result->length);
    else if (result->fate == DOCA_EMULATOR_TO_KERNEL && write(live->tap, result->frame, result->length) < 0)
        errno = 0; /* the tap is down: the Arm does not listen */
    emu_unlock();
}

/* Takes a tag that the kernel had set aside back into the frame. */
static uint32_t restore_tag(struct msghdr *message, uint8_t *frame, uint32_t length)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        struct tpacket_auxdata aux;
        if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA)
            continue;
        memcpy(&aux, CMSG_DATA(part), sizeof aux);
        if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || length < 12)
            continue;
        uint16_t type = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
        memmove(frame + 16, frame + 12, length - 12);
        const uint8_t tag[4] = { (uint8_t)(type >> 8), (uint8_t)type, (uint8_t)(aux.tp_vlan_tci >> 8),
                                 (uint8_t)aux.tp_vlan_tci };
        memcpy(frame + 12, tag, 4);
        return length + 4;
    }
    return length;
}

static void take_from_cable(struct emu_live *live)
{
    union {
        struct cmsghdr align;
        uint8_t octets[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    } control;
    struct virtio_net_hdr header;
    struct iovec parts[] = { { &header, sizeof header }, { live->buffer, 65536 } };
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got = recvmsg(live->packets, &message, MSG_DONTWAIT);
    if (got <= (ssize_t)sizeof header || (message.msg_flags & MSG_TRUNC))
        return;
    uint32_t length = restore_tag(&message, live->buffer, (uint32_t)got - (uint32_t)sizeof header);
    if (length != (uint32_t)got - (uint32_t)sizeof header)
        header.csum_start = (uint16_t)(header.csum_start + 4);
    emu_live_frames(&header, live->buffer, length, walk, live);
}

static void take_from_arm(struct emu_live *live)
{
    ssize_t got = read(live->tap, live->buffer, sizeof live->buffer);
    if (got > 0 && lock_or_stop(live)) {
        put_on_cable(live->port, live->buffer, (uint32_t)got);
        emu_unlock();
    }
}

static void take_order(struct emu_live *live)
{
    char word[16] = "";
    if (recv(live->owner, word, sizeof word - 1, MSG_DONTWAIT) > 0 && strcmp(word, "reset") == 0 && lock_or_stop(live)) {
        doca_emulator_fault(DOCA_EMULATOR_FAULT_RESET, 0);
        emu_unlock();
    }
}

static void *serve(void *context)
{
    struct emu_live *live = context;
    struct pollfd watched[] = { { live->packets, POLLIN, 0 }, { live->tap, POLLIN, 0 }, { live->owner, POLLIN, 0 } };
    while (!atomic_load(&live->stop)) {
        if (poll(watched, 3, 20) <= 0)
            continue;
        if (watched[2].revents & POLLIN)
            take_order(live);
        if (watched[0].revents & POLLIN)
            take_from_cable(live);
        if (watched[1].revents & POLLIN)
            take_from_arm(live);
    }
    return NULL;
}

static void close_all(struct emu_live *live)
{
    const int all[] = { live->packets, live->tap, live->owner };
    for (int i = 0; i < 3; i++)
        if (all[i] >= 0)
            close(all[i]);
    free(live);
}

doca_error_t emu_live_start(struct doca_flow_port *port, const char *interface)
{
    struct emu_live *live = calloc(1, sizeof *live);
    if (!live)
        return DOCA_ERROR_NO_MEMORY;
    live->port = port;
    live->packets = live->tap = live->owner = -1;
    if (port->dev && (live->owner = own(port->dev->info.pci)) < 0) {
        close_all(live);
        return DOCA_ERROR_ALREADY_EXIST;
    }
    if (!shield(interface) || (live->packets = open_cable(interface)) < 0 ||
        (live->tap = open_tap(port->rep ? port->rep->info.name : port->dev->info.name)) < 0) {
        close_all(live);
        return DOCA_ERROR_OPERATING_SYSTEM;
    }
    if (port->dev && emu.switch_mode)
        emu_rep_interfaces(port->dev, shield_representor);
    port->live = live;
    if (pthread_create(&live->thread, NULL, serve, live) != 0) {
        port->live = NULL;
        close_all(live);
        return DOCA_ERROR_OPERATING_SYSTEM;
    }
    return DOCA_SUCCESS;
}

void emu_live_stop(struct doca_flow_port *port)
{
    if (!port->live)
        return;
    atomic_store(&port->live->stop, true);
    pthread_join(port->live->thread, NULL);
    close_all(port->live);
    port->live = NULL;
}
