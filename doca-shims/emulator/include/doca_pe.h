/* Progress engines, as far as receive queues need them: nothing happens but inside doca_pe_progress, on the caller's thread. */
#ifndef DOCA_PE_H_
#define DOCA_PE_H_

#include "doca_compat.h"
#include "doca_error.h"
#include "doca_types.h"

struct doca_ctx;
struct doca_pe;

enum doca_event_batch_events_number {
    DOCA_EVENT_BATCH_EVENTS_NUMBER_1,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_2,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_4,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_8,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_16,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_32,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_64,
    DOCA_EVENT_BATCH_EVENTS_NUMBER_128,
};

DOCA_STABLE doca_error_t doca_pe_create(struct doca_pe **pe);
/* IN_USE while a context is connected. */
DOCA_STABLE doca_error_t doca_pe_destroy(struct doca_pe *pe);
DOCA_STABLE doca_error_t doca_pe_connect_ctx(struct doca_pe *pe, struct doca_ctx *ctx);
/* 1 when something was handed over, else 0. */
DOCA_STABLE uint8_t doca_pe_progress(struct doca_pe *pe);

#endif
