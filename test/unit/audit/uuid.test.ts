// RFC 9562 appendix A.6 gives one version 7 value with its parts.

import { expect, test } from 'vitest'
import { uuidV7 } from '../../../src/audit/uuid.js'

test('the value of RFC 9562 appendix A.6', () => {
  const random = Uint8Array.of(0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f)
  expect(uuidV7(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
})

test('version and variant whatever the random octets are, which stay as they were', () => {
  const random = new Uint8Array(10).fill(0xff)
  expect(uuidV7(0, random)).toBe('00000000-0000-7fff-bfff-ffffffffffff')
  expect([...random]).toEqual(new Array(10).fill(0xff))
})

test('later ids sort after earlier ones', () => {
  const random = new Uint8Array(10)
  const times = [0, 1, 255, 256, 1_775_014_138_811, 2 ** 47]
  const ids = times.map((time) => uuidV7(time, random))
  expect([...ids].sort()).toEqual(ids)
})
