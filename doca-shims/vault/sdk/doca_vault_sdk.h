/*
 * The headers of NVIDIA's SDK that the shim needs, by the names that the published samples include. The structures of FUSE come
 * with them. Not compiled here: no SDK was at hand (README).
 */
#ifndef DOCA_VAULT_SDK_H
#define DOCA_VAULT_SDK_H

#include <doca_buf.h>
#include <doca_buf_inventory.h>
#include <doca_ctx.h>
#include <doca_dev.h>
#include <doca_devemu_pci.h>
#include <doca_devemu_pci_type.h>
#include <doca_devemu_vfs.h>
#include <doca_devemu_vfs_dev.h>
#include <doca_devemu_vfs_fuse_kernel.h>
#include <doca_devemu_vfs_io.h>
#include <doca_devemu_vfs_type.h>
#include <doca_devemu_virtio_dev.h>
#include <doca_dma.h>
#include <doca_error.h>
#include <doca_mmap.h>
#include <doca_pe.h>

#endif
