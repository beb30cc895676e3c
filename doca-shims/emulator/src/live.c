/* Frames of Linux interfaces. Not there yet: a device with an interface is refused. */
#include "internal.h"
doca_error_t emu_live_start(struct doca_flow_port *port, const char *interface)
{
    (void)port;
    (void)interface;
    return DOCA_ERROR_NOT_SUPPORTED;
}
void emu_live_stop(struct doca_flow_port *port)
{
    (void)port;
}
