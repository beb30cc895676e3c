// The C library, with what bpf-lsm says when it cannot be used or the kernel says no.

import { Native } from '../tracing/native.js'
import { guardFault } from './errors.js'

/** Throws LSM_UNAVAILABLE. */
export const openDoor = (): Native =>
  Native.open({
    unavailable: (details, options) => guardFault('LSM_UNAVAILABLE', details, options),
    kernel: (details) => guardFault('LSM_KERNEL', details),
  })
