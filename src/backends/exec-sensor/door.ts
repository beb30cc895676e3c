// The C library, with what exec-sensor says when it cannot be used or the kernel says no.

import { Native } from '../tracing/native.js'
import { sensorFault } from './errors.js'

/** Throws SENSOR_UNAVAILABLE. */
export const openDoor = (): Native =>
  Native.open({
    unavailable: (details, options) => sensorFault('SENSOR_UNAVAILABLE', details, options),
    kernel: (details) => sensorFault('SENSOR_KERNEL', details),
  })
