/* What the programs beside this have in common: bringing ports up, frames, and saying what must come of them. A program is a
 * main that calls DOCA Flow by its public names only; the harness counts what was checked and prints it at the end. */
#ifndef HARNESS_H_
#define HARNESS_H_

#include <doca_bitfield.h>
#include <doca_dev.h>
#include <doca_emulator.h>
#include <doca_flow.h>
#include <string.h>

/* Fails the program with the place and the text. */
void harness_fail(const char *file, int line, const char *text);
void harness_count(void);
#define CHECK(condition) \
    do { \
        harness_count(); \
        if (!(condition)) \
            harness_fail(__FILE__, __LINE__, #condition); \
    } while (0)
#define OK(call) RESULT(call, DOCA_SUCCESS)
#define RESULT(call, wanted) \
    do { \
        doca_error_t got_ = (call); \
        harness_count(); \
        if (got_ != (wanted)) \
            harness_fail(__FILE__, __LINE__, harness_result(#call, got_)); \
    } while (0)
const char *harness_result(const char *call, doca_error_t got);
/* The last line of a program. */
int harness_done(void);

/* Switch mode: port 0 is the wire, ports 1..reps are representors. Gives the switch port. */
struct doca_flow_port *up_switch(int reps, uint32_t counters);
/* Two wires, paired, ports 0 and 1. */
void up_vnf(struct doca_flow_port *ports[2], uint32_t counters);
/* The pieces of it, for programs that do it in another order. */
void up_library(const char *mode, uint32_t counters);
struct doca_flow_port *up_port(uint16_t id, struct doca_dev *dev, struct doca_dev_rep *rep);
struct doca_dev *open_device(uint32_t index);
struct doca_dev_rep *open_rep(struct doca_dev *dev, uint32_t index);
void down(void);

/* Processes until `count` callbacks have come since the last call, every one of them SUCCESS. */
void settle(struct doca_flow_port *port, uint32_t count);
/* Callbacks so far, by status. */
uint32_t successes(void);
uint32_t errors(void);
uint32_t aged(void);

/* A pipe configuration with name, type and whether it is a root. */
struct doca_flow_pipe_cfg *pipe_cfg(struct doca_flow_port *port, const char *name, enum doca_flow_pipe_type type,
                    bool root);
/* Creates it and destroys the configuration. */
struct doca_flow_pipe *create(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
                  const struct doca_flow_fwd *miss);

#define TO_PORT(id) (&(struct doca_flow_fwd){ .type = DOCA_FLOW_FWD_PORT, .port_id = (id) })
#define TO_PIPE(p) (&(struct doca_flow_fwd){ .type = DOCA_FLOW_FWD_PIPE, .next_pipe = (p) })
#define TO_DROP (&(struct doca_flow_fwd){ .type = DOCA_FLOW_FWD_DROP })
#define EACH (&(struct doca_flow_fwd){ .type = DOCA_FLOW_FWD_CHANGEABLE })
#define COUNTED (&(struct doca_flow_monitor){ .counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED })

struct frame {
    uint32_t length;
    uint8_t octets[2048];
};
doca_be32_t ip4(const char *text);
void ip6(const char *text, doca_be32_t out[4]);
/* Whole frames with right checksums. */
struct frame tcp4(const char *source, const char *destination, uint16_t from, uint16_t to, uint8_t flags);
struct frame udp4(const char *source, const char *destination, uint16_t from, uint16_t to);
struct frame tcp6(const char *source, const char *destination, uint16_t from, uint16_t to);
struct frame icmp4(const char *source, const char *destination, uint8_t type);
struct frame arp(void);
struct frame tagged(struct frame frame, uint16_t tci);
/* Recomputes the IPv4 header checksum and the transport's. */
void reseal(struct frame *frame);

#define PORT(in, frame, out) expect(__FILE__, __LINE__, in, frame, DOCA_EMULATOR_TO_PORT, out)
#define DROPS(in, frame) expect(__FILE__, __LINE__, in, frame, DOCA_EMULATOR_DROPPED, 0)
#define QUEUE(in, frame, queue) expect(__FILE__, __LINE__, in, frame, DOCA_EMULATOR_TO_QUEUE, queue)
#define KERNEL(in, frame) expect(__FILE__, __LINE__, in, frame, DOCA_EMULATOR_TO_KERNEL, in)
#define BRIDGE(in, frame) expect(__FILE__, __LINE__, in, frame, DOCA_EMULATOR_TO_BRIDGE, in)
/* What came out last is there to be looked at. */
const struct doca_emulator_result *expect(const char *file, int line, uint16_t in, struct frame frame, uint32_t fate,
                      uint16_t where);
/* Where it goes, unchecked. */
const struct doca_emulator_result *probe(uint16_t in, struct frame frame);

#endif
