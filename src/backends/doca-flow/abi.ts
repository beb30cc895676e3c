// The interface of the DOCA shim as this agent knows it (doca-shims/include/sluice_doca.h): its number, the sizes of its structures
// and its calls. The shim is asked for number and sizes when it is loaded, and another one is refused.

export const ABI = 4
/** Sizes of the structures, in the order that the shim gives them: device, representor, match, pipe, entry, count, facts,
 * connection. */
export const SIZES = [36, 208, 40, 752, 32, 16, 96, 48] as const

export const SIGNATURES = {
  facts: 'int32_t sluice_doca_facts(void *out)',
  devices: 'int32_t sluice_doca_devices(void *pci, uint32_t room)',
  open: 'int32_t sluice_doca_open(void *device)',
  close: 'int32_t sluice_doca_close()',
  representors: 'int32_t sluice_doca_representors(void *out, uint32_t room)',
  portStart: 'int32_t sluice_doca_port_start(const char *vuid, uint16_t port)',
  defaultMiss: 'int32_t sluice_doca_default_miss(uint32_t drop)',
  queueOpen: 'int32_t sluice_doca_queue_open(uint32_t queue, uint32_t longest)',
  queueTake: 'int32_t sluice_doca_queue_take(uint32_t queue, void *out, uint32_t stride, uint32_t room)',
  send: 'int32_t sluice_doca_send(const char *vuid, void *frame, uint32_t length)',
  pipeCreate: 'int32_t sluice_doca_pipe_create(void *pipe, void *handle)',
  pipeDestroy: 'int32_t sluice_doca_pipe_destroy(uint64_t pipe)',
  pipeMissed: 'int32_t sluice_doca_pipe_missed(uint64_t pipe, void *out)',
  trackerCreate: 'int32_t sluice_doca_tracker_create(uint64_t hit, uint64_t miss, void *handle)',
  connectionsAdd:
    'int32_t sluice_doca_connections_add(uint64_t tracker, void *list, uint32_t count, void *handles, void *refused)',
  connectionsRemove: 'int32_t sluice_doca_connections_remove(void *handles, uint32_t count, void *refused)',
  connectionsCount: 'int32_t sluice_doca_connections_count(void *handles, uint32_t count, void *out)',
  connectionsAged: 'int32_t sluice_doca_connections_aged(void *handles, uint32_t room)',
  entriesAdd:
    'int32_t sluice_doca_entries_add(uint64_t pipe, void *batch, uint32_t octets, uint32_t count, void *handles, void *refused)',
  entriesRemove: 'int32_t sluice_doca_entries_remove(void *handles, uint32_t count, void *refused)',
  entryUpdate: 'int32_t sluice_doca_entry_update(uint64_t handle, void *entry)',
  settle: 'int32_t sluice_doca_settle(uint32_t timeout_ms)',
  entriesState: 'int32_t sluice_doca_entries_state(void *handles, uint32_t count, void *states)',
  entriesCount: 'int32_t sluice_doca_entries_count(void *handles, uint32_t count, void *out)',
} as const
export type Name = keyof typeof SIGNATURES
