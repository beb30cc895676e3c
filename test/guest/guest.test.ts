// The guest itself: a command's output and exit code come back, modules load with what they need, a command that never ends
// is ended, and the kernel has what the suites that use it are there for.

import { describe, expect, it } from 'vitest'
import { runInGuest } from '../support/guest/guest.js'

const MINUTES = 60_000
const TIMEOUT_MS = 4 * MINUTES

describe('a guest with the cloud kernel', () => {
  it(
    'runs a command with modules and programs, and has BPF LSM',
    async () => {
      const { code, output } = await runInGuest({
        command:
          'cat /sys/kernel/security/lsm; echo; cat /proc/modules; /usr/sbin/nft --version; ls /given/down; exit 7',
        modules: ['cls_flower', 'nf_tables'],
        programs: ['/usr/sbin/nft'],
        files: [{ from: import.meta.dirname, to: '/given/down' }],
        kernelWords: ['lsm=landlock,bpf'],
        timeoutMs: TIMEOUT_MS,
      })
      expect(output.split('\n')[0]?.split(',')).toContain('bpf')
      expect(output).toMatch(/^cls_flower \d+/m)
      expect(output).toMatch(/^nf_tables \d+/m)
      expect(output).toContain('nftables v')
      expect(output).toContain('guest.test.ts')
      expect(code).toBe(7)
    },
    TIMEOUT_MS + MINUTES,
  )
  it('ends a guest that goes on too long, and shows its console', { timeout: TIMEOUT_MS }, async () => {
    await expect(runInGuest({ command: 'sleep 1000', timeoutMs: 3_000 })).rejects.toThrow(/did not end within 3000 ms/)
  })
  it('says which module there is none of', { timeout: MINUTES }, async () => {
    await expect(runInGuest({ command: 'true', modules: ['no-such'], timeoutMs: 1_000 })).rejects.toThrow(
      /has no module no-such/,
    )
  })
})
