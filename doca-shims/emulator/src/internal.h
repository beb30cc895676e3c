/* The emulator's own structures. One lock guards everything (emu_lock): control calls, the frame walk and the live data plane
 * exclude one another, so that no file but lock.c knows about threads. Objects that the API hands out are taken from pools
 * that never give memory back before doca_flow_destroy (pool.c): a stale handle is recognised, not followed. */
#ifndef EMULATOR_INTERNAL_H_
#define EMULATOR_INTERNAL_H_

#include <net/if.h>
#include <stdatomic.h>

#include "../include/doca_bitfield.h"
#include "../include/doca_dev.h"
#include "../include/doca_emulator.h"
#include "../include/doca_flow.h"
#include "../include/doca_flow_ct.h"

#define EMU_KEY_MAX 64
#define EMU_QUEUES_MAX 64
#define EMU_RSS_MAX 16
#define EMU_ACTIONS_MAX 16
#define EMU_HOPS_MAX 64
#define EMU_PORTS_MAX 4096
#define EMU_DEVICES_MAX 8
#define EMU_REPS_MAX 512
#define EMU_DOMAINS 4
#define EMU_NAME_MAX 128

/* ---- topology (dev.c) ---- */
struct doca_devinfo {
    char pci[DOCA_DEVINFO_PCI_ADDR_SIZE];
    char name[IF_NAMESIZE];
    char linux_interface[IF_NAMESIZE]; /* "" : none */
};
struct doca_devinfo_rep {
    const struct doca_devinfo *parent;
    char name[IF_NAMESIZE];
    char vuid[DOCA_DEVINFO_REP_VUID_SIZE];
    char linux_interface[IF_NAMESIZE];
};
struct doca_dev {
    struct doca_devinfo info;
    bool open;
};
struct doca_dev_rep {
    struct doca_devinfo_rep info;
    bool open;
};

/* ---- where a packet goes next ---- */
enum emu_route_kind {
    EMU_ROUTE_NONE,
    EMU_ROUTE_DROP,
    EMU_ROUTE_PORT,
    EMU_ROUTE_PIPE,
    EMU_ROUTE_QUEUE,
    EMU_ROUTE_KERNEL,
    EMU_ROUTE_CHANGEABLE,	   /* each entry says */
    EMU_ROUTE_PORT_CHANGEABLE, /* each entry says which port */
    EMU_ROUTE_QUEUE_CHANGEABLE,
};
struct emu_route {
    uint8_t kind;
    uint8_t nr_queues;
    uint16_t port_id;
    uint16_t queues[EMU_RSS_MAX];
    struct doca_flow_pipe *pipe;
    uint64_t serial; /* of the pipe when the route was made */
};

/* ---- counters (counter.c) ---- */
struct emu_counter {
    uint64_t packets, bytes;
    uint64_t shown_packets, shown_bytes; /* what a query sees: the values at the last refresh */
    uint64_t epoch;
    bool present; /* asked for */
    bool counts;  /* and one was free */
};

/* ---- matching (match.c) ---- */
struct emu_probe {
    uint16_t at; /* octet of struct doca_flow_match */
    uint8_t mask, value;
};
struct emu_selector {
    uint8_t l3, l4;
};

/* ---- packets (packet.c) ---- */
struct emu_packet {
    uint8_t *data;
    uint32_t length, room;
    uint16_t port_id;
    doca_be32_t pkt_meta, u32[DOCA_FLOW_META_SCRATCH_PAD_MAX];
    /* Found by the parser. */
    uint16_t l3_at, l4_at; /* 0: none */
    uint8_t vlans, l3, l4, protocol;
    uint16_t ether_type;
    bool fragmented, later_fragment, l3_ok, l4_ok, checksum3_ok, checksum4_ok;
    /* Views by selector, made when first asked for. */
    uint64_t views_made;
    struct doca_flow_match views[3 * 7];
};

/* ---- actions (action.c) ---- */
struct emu_setter {
    uint16_t at; /* octet of struct doca_flow_actions */
    uint8_t mask, value;
};
struct emu_action {
    uint8_t l3, l4;
    bool pop_vlan, push_vlan;
    doca_be16_t push_type, push_tci;
    uint16_t nr, nr_changeable;
    struct emu_setter *constant;	/* owned */
    struct emu_setter *changeable;	/* owned; value comes from the entry */
};

/* ---- entries ---- */
enum emu_entry_state {
    EMU_ENTRY_FREE,
    EMU_ENTRY_PREPARED, /* CT: prepared, not added */
    EMU_ENTRY_ADDING,
    EMU_ENTRY_LIVE,
    EMU_ENTRY_REMOVING,
    EMU_ENTRY_FAILED,
};
struct doca_flow_pipe_entry {
    struct doca_flow_pipe_entry *next_in_bucket; /* or in the list of its pipe; or of the pool */
    struct doca_flow_pipe *pipe;
    uint64_t serial;
    void *usr_ctx;
    uint8_t state, status, action_index, key_length;
    uint16_t queue;
    uint32_t priority;
    uint32_t hash;
    uint8_t key[EMU_KEY_MAX];
    struct emu_route route;
    struct emu_route replacing; /* an update whose old rule is still in the hardware */
    bool lingers;
    struct emu_counter counter;
    uint32_t shared_counter; /* UINT32_MAX: none */
    uint32_t aging_sec;
    uint64_t last_hit_ms;
    bool aged;
    uint8_t *values;	  /* owned: what the entry puts into changeable actions */
    struct emu_action *own;	  /* owned: an entry of a control pipe brings its action along */
    struct emu_probe *probes; /* owned: control and ACL */
    uint16_t nr_probes;
    struct emu_selector selector;
    uint8_t prefix_length;
    struct {
        bool used;
        uint16_t low, high;
    } ports[2]; /* ACL: source, destination */
    struct emu_ct_entry *ct; /* owned */
    struct doca_flow_pipe_entry *next, *previous; /* all entries of the pipe */
};

struct emu_table { /* table.c */
    struct doca_flow_pipe_entry **buckets;
    uint32_t nr_buckets, count;
};

struct emu_operation {
    struct doca_flow_pipe_entry *entry;
    uint64_t serial;
    uint8_t op; /* enum doca_flow_entry_op */
    bool pushed;
    struct emu_route route; /* of an update */
    uint8_t action_index;
    uint8_t *values;
};
struct emu_queue {
    struct emu_operation *ring;
    uint32_t depth, head, count;
    struct doca_flow_pipe_entry **lingering;
    uint32_t nr_lingering, room_lingering;
};

struct doca_flow_pipe {
    struct doca_flow_pipe *next; /* in the port, or in the pool */
    struct doca_flow_port *port;
    uint64_t serial;
    bool alive, is_root;
    char name[EMU_NAME_MAX];
    uint8_t type, domain;
    uint32_t nr_entries, count; /* count: taken, whether live or on the way */
    struct emu_selector selector;
    /* What every entry shares, and what each gives: octets of the match. */
    struct emu_probe constant[EMU_KEY_MAX];
    struct emu_probe changeable[EMU_KEY_MAX];
    uint16_t nr_constant, nr_changeable;
    uint8_t lpm_at, lpm_octets; /* the address among the changeable octets */
    struct emu_action actions[EMU_ACTIONS_MAX];
    uint8_t nr_actions;
    bool counts, ages_changeable;
    uint32_t shared_counter, aging_sec;
    struct emu_route fwd, miss;
    bool has_miss;
    struct emu_counter miss_counter;
    struct emu_table table;
    uint32_t prefixes[129]; /* LPM: entries of each length */
    struct doca_flow_pipe_entry *entries;
    struct doca_flow_pipe_entry *sorted; /* control and ACL: by priority, then age */
    struct doca_flow_pipe_entry **indexed; /* hash pipe */
    struct emu_ct_node **tuples;	       /* CT pipe */
};

struct doca_flow_port {
    bool started;
    uint16_t id;
    struct doca_dev *dev;
    struct doca_dev_rep *rep;
    struct doca_flow_port *peer;
    uint8_t state; /* enum doca_flow_port_operation_state */
    uint32_t actions_mem;
    uint32_t nr_counters, counters_used;
    struct emu_counter *shared; /* counters with ids */
    uint32_t nr_pipes;
    struct doca_flow_pipe *pipes;
    struct doca_flow_pipe *roots[EMU_DOMAINS];
    uint8_t default_miss;
    struct emu_counter default_miss_counter;
    struct emu_queue queues[EMU_QUEUES_MAX];
    uint8_t *priv_data;
    struct emu_live *live; /* frames of a Linux interface */
};

struct doca_flow_cfg {
    uint16_t pipe_queues;
    uint32_t queue_depth, nr_counters, nr_shared_counters;
    bool port_resources;
    char mode[64];
    doca_flow_entry_process_cb on_entry;
    doca_flow_pipe_process_cb on_pipe;
};
struct doca_flow_port_cfg {
    bool has_id;
    uint16_t id, priv_data_size;
    struct doca_dev *dev;
    struct doca_dev_rep *rep;
    uint32_t actions_mem, nr_counters;
    uint8_t state;
};
struct doca_flow_pipe_cfg {
    struct doca_flow_port *port;
    char name[EMU_NAME_MAX];
    uint8_t type, domain;
    bool domain_set, is_root, miss_counter, has_match, has_mask, has_monitor;
    uint32_t nr_entries;
    struct doca_flow_match match, mask;
    struct doca_flow_actions actions[EMU_ACTIONS_MAX], masks[EMU_ACTIONS_MAX];
    bool has_action_mask[EMU_ACTIONS_MAX], has_descs;
    size_t nr_actions;
    struct doca_flow_monitor monitor;
};

/* ---- the whole ---- */
struct emu_world {
    bool initialised, switch_mode, ct_initialised;
    struct doca_flow_cfg cfg;
    struct doca_flow_port *ports[EMU_PORTS_MAX];
    struct doca_flow_port *switch_port;
    uint32_t nr_ports;
    uint64_t offset_ms; /* the test's clock is ahead by */
    uint64_t limits[6];
    uint64_t fault_entry, fault_pipe, late;
    bool reset;
    bool bridge_denies;
    uint64_t violations, nr_pipes, nr_entries;
    struct {
        uint32_t queues, depth, nr_ipv4, nr_ipv6, flags, nr4, nr6, zone;
        bool directions[2];
        doca_be32_t zone_mask;
    } ct;
};
extern struct emu_world emu;

/* lock.c */
void emu_lock(void);
bool emu_try_lock(void);
void emu_unlock(void);
uint64_t emu_now_ms(void);
#define EMU_LOCKED __attribute__((cleanup(emu_unlock_scope))) int emu_scope = emu_lock_scope()
int emu_lock_scope(void);
void emu_unlock_scope(int *scope);
/* Counts something that hardware would not tell; DOCA_EMULATOR_VERBOSE in the environment shows it. */
void emu_violation(const char *what);

/* pool.c */
struct doca_flow_pipe *emu_pipe_take(void);
void emu_pipe_give(struct doca_flow_pipe *pipe);
struct doca_flow_pipe_entry *emu_entry_take(void);
void emu_entry_give(struct doca_flow_pipe_entry *entry);
bool emu_pipe_known(const struct doca_flow_pipe *pipe);
bool emu_entry_known(const struct doca_flow_pipe_entry *entry);
void emu_pools_clear(void);

/* dev.c */
bool emu_dev_known(const struct doca_dev *dev);
bool emu_rep_known(const struct doca_dev_rep *rep);
/* The Linux interfaces of a device's representors, started or not. */
void emu_rep_interfaces(const struct doca_dev *dev, void (*each)(const char *interface));

/* route.c */
doca_error_t emu_route_make(struct doca_flow_port *port, const struct doca_flow_fwd *fwd, struct emu_route *out);
doca_error_t emu_route_of_entry(const struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd,
                struct emu_route *out);

/* eth.c, counter.c */
void emu_eth_receive(uint16_t queue, const uint8_t *frame, uint32_t length);
bool emu_counter_take(struct doca_flow_port *port, struct emu_counter *counter);
void emu_counter_give(struct doca_flow_port *port, struct emu_counter *counter);
void emu_counter_add(struct emu_counter *counter, uint32_t bytes);
void emu_counter_read(struct emu_counter *counter, struct doca_flow_resource_query *query);

/* match.c */
doca_error_t emu_match_compile(struct doca_flow_pipe *pipe, const struct doca_flow_pipe_cfg *cfg);
void emu_match_key(const struct doca_flow_pipe *pipe, const struct doca_flow_match *values, uint8_t *key);
doca_error_t emu_match_probes(const struct doca_flow_match *match, const struct doca_flow_match *mask,
                  struct emu_selector selector, struct emu_probe *probes, uint16_t *count);
bool emu_match_hits(const struct emu_probe *probes, uint16_t count, const struct doca_flow_match *view);
doca_error_t emu_match_selector(const struct doca_flow_match *match, struct emu_selector *selector);
bool emu_match_supported(const struct doca_flow_match *match);

/* packet.c, view.c */
void emu_packet_parse(struct emu_packet *packet);
const struct doca_flow_match *emu_packet_view(struct emu_packet *packet, struct emu_selector selector);
void emu_packet_repair(struct emu_packet *packet);
uint16_t emu_checksum(const uint8_t *data, uint32_t length, uint32_t sum);
uint32_t emu_pseudo_header(const struct emu_packet *packet, uint32_t l4_length);

/* action.c */
doca_error_t emu_action_compile(const struct doca_flow_actions *actions, const struct doca_flow_actions *mask,
                struct emu_action *out);
void emu_action_clear(struct emu_action *action);
doca_error_t emu_action_values(const struct emu_action *action, const struct doca_flow_actions *actions,
                   uint8_t **values);
void emu_action_apply(const struct emu_action *action, const uint8_t *values, struct emu_packet *packet);

/* table.c */
uint32_t emu_hash(const uint8_t *key, uint32_t length, uint32_t seed);
bool emu_table_add(struct emu_table *table, struct doca_flow_pipe_entry *entry);
void emu_table_remove(struct emu_table *table, struct doca_flow_pipe_entry *entry);
struct doca_flow_pipe_entry *emu_table_find(const struct emu_table *table, const uint8_t *key, uint8_t length,
                        uint32_t hash);
void emu_table_clear(struct emu_table *table);

/* lookup.c: one packet in one pipe; index.c: an entry into the pipe and out of it */
struct doca_flow_pipe_entry *emu_lookup(struct doca_flow_pipe *pipe, struct emu_packet *packet);
bool emu_index_add(struct doca_flow_pipe_entry *entry);
void emu_index_remove(struct doca_flow_pipe_entry *entry);
uint32_t emu_hash_of_packet(const struct doca_flow_pipe *pipe, const struct doca_flow_match *view);

/* pipe.c */
void emu_pipe_free(struct doca_flow_pipe *pipe);
bool emu_pipe_usable(const struct doca_flow_pipe *pipe);

/* entry.c */
struct emu_request {
    uint16_t queue;
    struct doca_flow_pipe *pipe;
    const struct doca_flow_match *match, *mask;
    uint8_t action_index;
    const struct doca_flow_actions *actions, *actions_mask;
    const struct doca_flow_monitor *monitor;
    const struct doca_flow_fwd *fwd;
    uint32_t priority, index;
    bool batch;
    void *usr_ctx;
    struct doca_flow_pipe_entry **entry;
};
doca_error_t emu_entry_add(enum doca_flow_pipe_type type, const struct emu_request *request);
doca_error_t emu_entry_update(enum doca_flow_pipe_type type, const struct emu_request *request,
                  struct doca_flow_pipe_entry *entry);
void emu_entry_release(struct doca_flow_pipe_entry *entry);

/* queue.c */
struct emu_queue *emu_queue_of(struct doca_flow_port *port, uint16_t queue);
doca_error_t emu_queue_put(struct doca_flow_port *port, uint16_t queue, const struct emu_operation *operation);
bool emu_queue_has_room(struct doca_flow_port *port, uint16_t queue);
uint32_t emu_queue_run(struct doca_flow_port *port, uint16_t queue, uint32_t max);
void emu_queue_forget(struct doca_flow_pipe *pipe);
void emu_queue_free(struct emu_queue *queue);

/* ct.c */
struct emu_ct_node;
bool emu_ct_prepare_pipe(struct doca_flow_pipe *pipe);
struct doca_flow_pipe_entry *emu_ct_lookup(struct doca_flow_pipe *pipe, struct emu_packet *packet, int *direction);
void emu_ct_index(struct doca_flow_pipe_entry *entry, bool in);
void emu_ct_release(struct doca_flow_pipe_entry *entry);

/* walk.c */
void emu_walk(struct doca_flow_port *port, struct emu_packet *packet, struct doca_emulator_result *out);

/* live.c */
doca_error_t emu_live_start(struct doca_flow_port *port, const char *interface);
void emu_live_stop(struct doca_flow_port *port);

#endif
