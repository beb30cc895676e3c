/* What a test can do that a program on hardware cannot: say which devices there are, put a frame in and see what comes out,
 * move the clock, set limits, and make things fail. Programs that use only the doca_*.h headers run unchanged; they take
 * their devices from the environment variable DOCA_EMULATOR.
 *
 * A topology is lines, separated by newlines or semicolons:
 *   dev 0000:03:00.0 p0 [LINUX-INTERFACE]                      a physical function; its port is the wire
 *   rep 0000:03:00.0 pf0vf0 VUID [LINUX-INTERFACE]             a representor of a virtual function of that device
 * With a Linux interface, frames are taken from it and put on it while a port on the device is started; without one they
 * come from doca_emulator_inject only. */
#ifndef DOCA_EMULATOR_H_
#define DOCA_EMULATOR_H_

#include <stdbool.h>
#include <stdint.h>

enum doca_emulator_fate {
    DOCA_EMULATOR_DROPPED = 0,
    DOCA_EMULATOR_TO_PORT = 1,
    DOCA_EMULATOR_TO_QUEUE = 2,
    DOCA_EMULATOR_TO_KERNEL = 3,
    /* Nobody holds the port: what the bridge underneath does with it. */
    DOCA_EMULATOR_TO_BRIDGE = 4,
};

#define DOCA_EMULATOR_FRAME_MAX 9216

struct doca_emulator_result {
    uint32_t fate;
    uint16_t port_id;	/* where it leaves, for TO_PORT; where it came in, for TO_KERNEL */
    uint16_t queue;		/* for TO_QUEUE */
    uint32_t pkt_meta;	/* host order, for TO_QUEUE */
    uint32_t length;
    uint8_t frame[DOCA_EMULATOR_FRAME_MAX];
};

enum doca_emulator_limit {
    DOCA_EMULATOR_LIMIT_KEY_OCTETS = 0,	/* longest key of a pipe; 64 */
    DOCA_EMULATOR_LIMIT_PIPES = 1,		/* pipes of a port; 4096 */
    DOCA_EMULATOR_LIMIT_ENTRIES = 2,	/* entries of all pipes; 4 million */
    DOCA_EMULATOR_LIMIT_LPM_IPV6 = 3,	/* 0 refuses IPv6 in LPM pipes; 1 */
    DOCA_EMULATOR_LIMIT_ACL_IPV6 = 4,	/* the same for ACL pipes; 1 */
    DOCA_EMULATOR_LIMIT_CT = 5,		/* 0 says that the device has no connection tracking; 1 */
};

enum doca_emulator_fault {
    DOCA_EMULATOR_FAULT_ENTRY = 0,		/* the n-th operation from now completes with ERROR */
    DOCA_EMULATOR_FAULT_LATE = 1,		/* the next n calls of entries_process complete nothing */
    DOCA_EMULATOR_FAULT_RESET = 2,		/* now: every entry is gone, operations fail with DRIVER */
    DOCA_EMULATOR_FAULT_PIPE_CREATE = 3,	/* the n-th pipe from now cannot be created: DRIVER */
};

struct doca_emulator_state {
    uint64_t pipes;
    uint64_t entries;
    uint64_t pending;		/* operations that have not completed */
    uint64_t counters_used;
    /* What would go unnoticed on hardware, or hang it: packets forwarded to a pipe that is gone, loops, keys given twice. */
    uint64_t violations;
};

/* 0, or -1 with nothing changed: the text cannot be read, or the library is initialised. Replaces the environment's. */
int doca_emulator_topology(const char *text);
/* One frame as if it came in at the port. 0, or -1: no such port is started, or the frame is too long. */
int doca_emulator_inject(uint16_t port_id, const uint8_t *frame, uint32_t length, struct doca_emulator_result *out);
/* Moves the emulator's clock forward: counters refresh and entries age by it. */
void doca_emulator_advance(uint64_t milliseconds);
uint64_t doca_emulator_limit_of(enum doca_emulator_limit limit);
void doca_emulator_limit(enum doca_emulator_limit limit, uint64_t value);
void doca_emulator_fault(enum doca_emulator_fault fault, uint64_t n);
void doca_emulator_state(struct doca_emulator_state *out);
/* Whether the bridge underneath lets pass what no process fences. The emulator's default is that it does, as on a card as
 * it is delivered. */
void doca_emulator_bridge(bool permits);

#endif
