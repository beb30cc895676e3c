/* What the shim is compiled against here, in the place of the SDK's headers (../../sdk/doca_vault_sdk.h). */
#ifndef DOCA_VAULT_SDK_H
#define DOCA_VAULT_SDK_H

#include <linux/fuse.h>

#include "doca_devemu_vfs.h"
#include "doca_dma.h"

#endif
