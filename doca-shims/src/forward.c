/* Forwards of this ABI as DOCA's. */
#include "shim.h"

int32_t shim_forward(uint32_t forward, uint32_t port, uint64_t handle, struct doca_flow_fwd *out)
{
    static uint16_t queues[] = { 0, 1, 2 };
    struct doca_flow_fwd fwd = { .type = DOCA_FLOW_FWD_NONE };
    struct shim_pipe *pipe;
    switch (forward) {
    case SLUICE_DOCA_NONE:
        break;
    case SLUICE_DOCA_DROP:
        fwd.type = DOCA_FLOW_FWD_DROP;
        break;
    case SLUICE_DOCA_PORT:
        if (port > UINT16_MAX)
            return SLUICE_DOCA_BAD_ARGUMENT;
        fwd.type = DOCA_FLOW_FWD_PORT;
        fwd.port_id = (uint16_t)port;
        break;
    case SLUICE_DOCA_PIPE:
        if (!(pipe = shim_pipe_of(handle)))
            return SLUICE_DOCA_BAD_HANDLE;
        fwd.type = DOCA_FLOW_FWD_PIPE;
        fwd.next_pipe = pipe->pipe;
        break;
    case SLUICE_DOCA_KERNEL: {
        doca_error_t result = doca_flow_get_target(DOCA_FLOW_TARGET_KERNEL, &fwd.target);
        if (result != DOCA_SUCCESS)
            return code_of(result);
        fwd.type = DOCA_FLOW_FWD_TARGET;
        break;
    }
    case SLUICE_DOCA_QUEUE:
        fwd.type = DOCA_FLOW_FWD_RSS;
        fwd.rss_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED;
        if (port > 2)
            return SLUICE_DOCA_BAD_ARGUMENT;
        fwd.rss.queues_array = &queues[port];
        fwd.rss.nr_queues = 1;
        break;
    case SLUICE_DOCA_EACH:
        fwd.type = DOCA_FLOW_FWD_CHANGEABLE;
        break;
    default:
        return SLUICE_DOCA_BAD_ARGUMENT;
    }
    *out = fwd;
    return 0;
}
