/* What the live data plane shares between its files. */
#ifndef EMULATOR_LIVE_H_
#define EMULATOR_LIVE_H_

#include "internal.h"

struct virtio_net_hdr;

/* Gives the frames of one that the kernel handed over: cut where it is several, with all checksums made. `frame` is changed. */
void emu_live_frames(const struct virtio_net_hdr *header, uint8_t *frame, uint32_t length,
                     void (*each)(void *context, const uint8_t *frame, uint32_t length), void *context);

#endif
