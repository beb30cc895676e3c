/* What the files of the shim share: the one open device, its pipes and entries, and the release that it is built for. */
#ifndef SHIM_H
#define SHIM_H

#include <doca_dev.h>
#include <doca_error.h>
#include <doca_flow.h>
#include <doca_version.h>
#include <stdbool.h>

#include "sluice_doca.h"

/* The three shapes of the calls in the 3.x line. */
#if DOCA_VERSION_MAJOR != 3
#error "this shim knows DOCA 3.x"
#elif DOCA_VERSION_MINOR <= 1
#define SHAPE 30
#elif DOCA_VERSION_MINOR == 2
#define SHAPE 32
#else
#define SHAPE 33
#endif

#define MAX_KEY 64
#define QUEUE 0
#define CT_QUEUE 1 /* queues of connection tracking follow those of pipes */

struct shim_pipe {
    bool live;
    uint32_t serial;
    struct doca_flow_pipe *pipe;
    uint32_t kind, counted, miss_counted, sets_meta, transport, l3;
    uint8_t fields[16]; /* that each entry says, in order */
    uint8_t nr_fields;
    uint32_t key_octets;
    uint32_t first_entry; /* list, by index + 1 */
    uint32_t count, room; /* entries there are or will be, and the most */
};

struct shim_entry {
    struct doca_flow_pipe_entry *entry;
    uint32_t serial, pipe, next, previous; /* by index + 1; next is also the list of free ones */
    uint8_t state;                         /* as sluice_doca_entries_state gives it */
    bool used, removing, aged;
};

struct shim {
    bool library, wire_started, tracking;
    struct doca_dev *dev;
    struct doca_flow_port *wire;
    struct doca_dev_rep **reps; /* all of the device, opened */
    uint32_t nr_reps;
    struct doca_flow_port **ports; /* by representor; NULL: not started */
    uint32_t depth;
    uint32_t outstanding, completed, failed;
    bool updated;
    struct shim_pipe *pipes;
    uint32_t nr_pipes;
    struct shim_entry **chunks;
    uint32_t nr_entries, free_entry;
    uint32_t serial;
};
extern struct shim shim;

/* A DOCA result as a code of this ABI. */
static inline int32_t code_of(doca_error_t result)
{
    return -(int32_t)result;
}

/* table.c */
struct shim_pipe *shim_pipe_new(uint64_t *handle);
struct shim_pipe *shim_pipe_of(uint64_t handle);
struct shim_entry *shim_entry_new(struct shim_pipe *pipe, uint64_t *handle);
struct shim_entry *shim_entry_of(uint64_t handle);
void shim_entry_free(struct shim_entry *entry);
void shim_pipe_free(struct shim_pipe *pipe);
void shim_tables_free(void);
struct doca_flow_pipe *shim_pipe_behind(const struct shim_entry *entry);

/* fields.c */
uint32_t shim_field_octets(uint8_t field);
/* Writes the octets of a field into a match, and the selectors that it needs. False: no such field for this transport. */
bool shim_field_put(struct doca_flow_match *match, uint8_t field, uint32_t transport, const uint8_t *octets);
void shim_select(struct doca_flow_match *match, uint32_t l3, uint32_t transport);
uint32_t shim_field_l3(uint8_t field);

uint64_t shim_entry_handle(const struct shim_entry *entry);

/* queues.c */
void shim_queues_close(void);

/* track.c */
bool shim_can_track(void);
int32_t shim_tracking_open(const struct sluice_doca_device *device);
void shim_tracking_close(void);
int32_t shim_tracking_process(void);
void shim_on_aged(struct shim_entry *entry);

/* forward.c */
int32_t shim_forward(uint32_t forward, uint32_t port, uint64_t pipe, struct doca_flow_fwd *out);

/* entry.c */
void shim_on_entry(struct doca_flow_pipe_entry *entry, uint16_t queue, enum doca_flow_entry_status status,
                   enum doca_flow_entry_op op, void *context);

#endif
