/* How connection tracking is set up: once, after the library and before any port, for so many connections of each family. A zone
 * is bits of pkt_meta, the same for both directions; zones elsewhere are refused. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct doca_flow_ct_cfg {
    uint32_t flags, queues, ctrl_queues, depth, nr_ipv4, nr_ipv6;
    bool directions[2];
    uint32_t zones[2]; /* masks of pkt_meta */
};

#define SET(condition, statement) \
    do { \
        if (!cfg || !(condition)) \
            return DOCA_ERROR_INVALID_VALUE; \
        statement; \
        return DOCA_SUCCESS; \
    } while (0)

doca_error_t doca_flow_ct_cap_is_dev_supported(const struct doca_devinfo *info)
{
    if (!info)
        return DOCA_ERROR_INVALID_VALUE;
    return emu.limits[DOCA_EMULATOR_LIMIT_CT] ? DOCA_SUCCESS : DOCA_ERROR_NOT_SUPPORTED;
}

doca_error_t doca_flow_ct_cfg_create(struct doca_flow_ct_cfg **cfg)
{
    if (!cfg)
        return DOCA_ERROR_INVALID_VALUE;
    *cfg = calloc(1, sizeof **cfg);
    return *cfg ? DOCA_SUCCESS : DOCA_ERROR_NO_MEMORY;
}

doca_error_t doca_flow_ct_cfg_destroy(struct doca_flow_ct_cfg *cfg)
{
    SET(true, free(cfg));
}

doca_error_t doca_flow_ct_cfg_set_flags(struct doca_flow_ct_cfg *cfg, uint32_t flags)
{
    SET((flags & ~127u) == 0, cfg->flags = flags);
}

doca_error_t doca_flow_ct_cfg_set_queues(struct doca_flow_ct_cfg *cfg, uint32_t queues)
{
    SET(queues > 0 && queues < EMU_QUEUES_MAX / 2, cfg->queues = queues);
}

doca_error_t doca_flow_ct_cfg_set_ctrl_queues(struct doca_flow_ct_cfg *cfg, uint32_t queues)
{
    SET(true, cfg->ctrl_queues = queues);
}

doca_error_t doca_flow_ct_cfg_set_queue_depth(struct doca_flow_ct_cfg *cfg, uint32_t depth)
{
    SET(depth > 0 && depth <= 1u << 20, cfg->depth = depth);
}

doca_error_t doca_flow_ct_cfg_set_aging_core(struct doca_flow_ct_cfg *cfg, uint32_t core)
{
    SET(true, (void)core);
}

doca_error_t doca_flow_ct_cfg_set_dup_filter_size(struct doca_flow_ct_cfg *cfg, uint32_t size)
{
    SET(true, (void)size);
}

doca_error_t doca_flow_ct_cfg_set_connections(struct doca_flow_ct_cfg *cfg, uint32_t nr_ipv4, uint32_t nr_ipv6,
                          uint32_t nr_total)
{
    SET(nr_total == 0 && nr_ipv4 + nr_ipv6 > 0, cfg->nr_ipv4 = nr_ipv4; cfg->nr_ipv6 = nr_ipv6);
}

doca_error_t doca_flow_ct_cfg_set_direction(struct doca_flow_ct_cfg *cfg, bool is_reply, bool match_inner,
                        struct doca_flow_meta *zone_match_mask,
                        struct doca_flow_ct_meta *meta_modify_mask)
{
    static const struct doca_flow_ct_meta NO_CHANGE;
    if (!cfg || !zone_match_mask || !meta_modify_mask)
        return DOCA_ERROR_INVALID_VALUE;
    const struct doca_flow_meta understood = { .pkt_meta = zone_match_mask->pkt_meta };
    if (match_inner || memcmp(zone_match_mask, &understood, sizeof understood) != 0 ||
        memcmp(meta_modify_mask, &NO_CHANGE, sizeof NO_CHANGE) != 0)
        return DOCA_ERROR_NOT_SUPPORTED;
    cfg->directions[is_reply] = true;
    cfg->zones[is_reply] = zone_match_mask->pkt_meta;
    return DOCA_SUCCESS;
}

doca_error_t doca_flow_ct_init(const struct doca_flow_ct_cfg *cfg)
{
    EMU_LOCKED;
    if (!cfg || !cfg->directions[0] || !cfg->directions[1] || cfg->nr_ipv4 + cfg->nr_ipv6 == 0)
        return DOCA_ERROR_INVALID_VALUE;
    /* After the library, before any port. */
    if (!emu.initialised || emu.ct_initialised || emu.nr_ports > 0)
        return DOCA_ERROR_BAD_STATE;
    if (!emu.limits[DOCA_EMULATOR_LIMIT_CT] || cfg->zones[0] != cfg->zones[1])
        return DOCA_ERROR_NOT_SUPPORTED;
    emu.ct.zone = cfg->zones[0];
    emu.ct.queues = cfg->queues ? cfg->queues : 1;
    emu.ct.depth = cfg->depth;
    emu.ct.flags = cfg->flags;
    emu.ct.nr_ipv4 = cfg->nr_ipv4;
    emu.ct.nr_ipv6 = cfg->nr_ipv6;
    emu.ct.nr4 = emu.ct.nr6 = 0;
    emu.ct_initialised = true;
    return DOCA_SUCCESS;
}

void doca_flow_ct_destroy(void)
{
    EMU_LOCKED;
    if (emu.nr_ports > 0)
        emu_violation("connection tracking was destroyed before the ports were stopped");
    emu.ct_initialised = false;
}
