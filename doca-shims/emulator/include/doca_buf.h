/* A buffer with one received frame. */
#ifndef DOCA_BUF_H_
#define DOCA_BUF_H_

#include <stddef.h>

#include "doca_compat.h"
#include "doca_error.h"

struct doca_buf;

DOCA_STABLE doca_error_t doca_buf_get_data(const struct doca_buf *buf, void **data);
DOCA_STABLE doca_error_t doca_buf_get_data_len(const struct doca_buf *buf, size_t *data_len);

#endif
