/* The calls whose arguments differ between releases, each under one name. Compare with the table of shapes in the README. */
#ifndef CALLS_H
#define CALLS_H

#include "shim.h"

#if SHAPE >= 33
#define PUSH DOCA_FLOW_ENTRY_FLAGS_NO_WAIT
#define BUFFER DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH
#else
#define PUSH DOCA_FLOW_NO_WAIT
#define BUFFER DOCA_FLOW_WAIT_FOR_BATCH
#endif

/* What every kind of entry is added with. `actions` may be NULL; its template is always the pipe's first. */
struct call {
    struct doca_flow_pipe *pipe;
    const struct doca_flow_match *match, *mask;
    const struct doca_flow_actions *actions;
    const struct doca_flow_fwd *fwd;
    uint32_t priority;
    bool push;
    void *context;
    struct doca_flow_pipe_entry **entry;
};

static inline doca_error_t call_basic(const struct call *c)
{
#if SHAPE >= 33
    return doca_flow_pipe_basic_add_entry(QUEUE, c->pipe, c->match, 0, c->actions, NULL, c->fwd,
                                          c->push ? PUSH : BUFFER, c->context, c->entry);
#elif SHAPE == 32
    return doca_flow_pipe_add_entry(QUEUE, c->pipe, c->match, 0, c->actions, NULL, c->fwd, c->push ? PUSH : BUFFER,
                                    c->context, c->entry);
#else
    return doca_flow_pipe_add_entry(QUEUE, c->pipe, c->match, c->actions, NULL, c->fwd, c->push ? PUSH : BUFFER,
                                    c->context, c->entry);
#endif
}

static inline doca_error_t call_control(const struct call *c, const struct doca_flow_monitor *monitor)
{
#if SHAPE >= 33
    return doca_flow_pipe_control_add_entry(QUEUE, c->pipe, c->match, c->mask, NULL, c->actions, NULL, NULL, monitor,
                                            c->priority, c->fwd, c->context, c->entry);
#else
    return doca_flow_pipe_control_add_entry(QUEUE, c->priority, c->pipe, c->match, c->mask, NULL, c->actions, NULL,
                                            NULL, monitor, c->fwd, c->context, c->entry);
#endif
}

static inline doca_error_t call_lpm(const struct call *c)
{
#if SHAPE >= 32
    return doca_flow_pipe_lpm_add_entry(QUEUE, c->pipe, c->match, c->mask, 0, c->actions, NULL, c->fwd,
                                        c->push ? PUSH : BUFFER, c->context, c->entry);
#else
    return doca_flow_pipe_lpm_add_entry(QUEUE, c->pipe, c->match, c->mask, c->actions, NULL, c->fwd,
                                        c->push ? PUSH : BUFFER, c->context, c->entry);
#endif
}

static inline doca_error_t call_acl(const struct call *c)
{
#if SHAPE >= 32
    return doca_flow_pipe_acl_add_entry(QUEUE, c->pipe, c->match, c->mask, 0, NULL, c->priority, c->fwd,
                                        c->push ? PUSH : BUFFER, c->context, c->entry);
#else
    return doca_flow_pipe_acl_add_entry(QUEUE, c->pipe, c->match, c->mask, c->priority, c->fwd,
                                        c->push ? PUSH : BUFFER, c->context, c->entry);
#endif
}

/* How 3.2 updates an entry is not published: there it is not tried. */
#define CAN_UPDATE (SHAPE != 32)
static inline doca_error_t call_update(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd,
                                       struct doca_flow_pipe_entry *entry)
{
#if SHAPE >= 33
    return doca_flow_pipe_basic_update_entry(QUEUE, pipe, 0, NULL, NULL, fwd, PUSH, entry);
#elif SHAPE == 30
    return doca_flow_pipe_update_entry(QUEUE, pipe, NULL, NULL, fwd, PUSH, entry);
#else
    (void)pipe;
    (void)fwd;
    (void)entry;
    return DOCA_ERROR_NOT_SUPPORTED;
#endif
}

#endif
