/* Contexts: something that is configured, started and stopped. Of the emulator's, only receive queues are. */
#ifndef DOCA_CTX_H_
#define DOCA_CTX_H_

#include "doca_compat.h"
#include "doca_error.h"

struct doca_ctx;

DOCA_STABLE doca_error_t doca_ctx_start(struct doca_ctx *ctx);
DOCA_STABLE doca_error_t doca_ctx_stop(struct doca_ctx *ctx);

#endif
