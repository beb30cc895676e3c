// What every driver of machines has to do, asked of the driver and answered by the kernel: one suite, whatever runs the machine. The
// machine is Debian's cloud kernel on a tap of a network namespace of this process.

import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MachineDriver, MachineSpec } from '../../../src/companion/drivers/driver.js'
import { specDigest } from '../../../src/companion/drivers/spec.js'
import { ensureTap, listTaps, removeTap, tapMark } from '../../../src/companion/drivers/tap.js'
import { seclude } from '../ebpf/seclusion.js'
import { BootFolder, MAC, machine, PATIENCE_MS, reached, saidOn, verified, WORKSPACE } from './machine.js'

export interface DriverUnderTest {
  readonly name: string
  /** Another object each time: a companion that was started again. */
  readonly open: (directory: string) => Promise<MachineDriver>
  /** What its machines call their network device, and what is behind it. */
  readonly nic: string
  readonly netdev: string
  /** Before the first `open`, in the network namespace of the suite; and after the last. */
  readonly begin?: () => Promise<void>
  readonly end?: () => Promise<void>
}

const TAP = 'mach0'
export const TAP_OF = {
  interface: TAP,
  workspace: WORKSPACE,
  gateway: { mac: '02:00:00:00:0a:01', addresses: ['10.200.0.1', 'fd00:a::1'] },
  addresses: ['10.200.0.2', 'fd00:a::2'],
} as const
/** Says that it is up, then counts, until the power button is pressed. */
const COMMAND = [
  'mkdir -p /etc/acpi/PWRF; printf "#!/bin/sh\\necho the button was pressed >/dev/ttyS0\\npoweroff -f\\n" >/etc/acpi/PWRF/00000080',
  'chmod +x /etc/acpi/PWRF/00000080; acpid -d >/dev/null 2>&1 & echo the machine is up with $(ls /sys/class/net | wc -w) links',
  'i=0; while [ ! -e /tmp/off ]; do i=$((i+1)); echo tick $i; sleep 1; done',
].join('\n')

export function driverSuite({ name, open, nic, netdev, begin, end }: DriverUnderTest): void {
  describe(`a machine of the driver ${name}`, () => {
    let boot: BootFolder
    let driver: MachineDriver
    let spec: MachineSpec

    beforeAll(async () => {
      seclude()
      execFileSync('ip', ['link', 'set', 'lo', 'up'])
      await begin?.()
      boot = new BootFolder()
      spec = machine(boot.boot({ command: COMMAND }), TAP)
      driver = await open(boot.directory)
      await ensureTap(TAP_OF)
    }, PATIENCE_MS)
    afterAll(async () => {
      for (const { id } of await driver.list()) {
        await driver.kill(id)
        await driver.remove(id)
      }
      await removeTap(TAP)
      boot.close()
      await end?.()
    }, PATIENCE_MS)

    it('says what it can do here', async () => {
      const probe = await driver.probe()
      expect(probe).toMatchObject({ usable: true, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
      expect(['kvm', 'tcg']).toContain(probe.accelerator)
    })

    it('exists before it runs, confined and limited, with one way out', { timeout: PATIENCE_MS }, async () => {
      const seen = await driver.prepare(spec)
      expect(seen).toMatchObject({
        id: 'm1',
        workspace: WORKSPACE,
        state: 'prepared',
        spec: specDigest(spec),
        nic: spec.nic,
      })
      const status = readFileSync(`/proc/${seen.pid}/status`, 'utf8')
      const field = (word: string) => new RegExp(`^${word}:\\s+(.*)$`, 'm').exec(status)?.[1]
      expect(field('Uid')).toBe(['', '', '', ''].map(() => spec.user).join('\t'))
      expect(field('CapEff')).toBe('0000000000000000')
      expect(field('CapBnd')).toBe('0000000000000000')
      expect(field('NoNewPrivs')).toBe('1')
      expect(Number(readFileSync(`/proc/${seen.pid}/oom_score_adj`, 'utf8'))).toBeGreaterThanOrEqual(0)
      expect(field('Seccomp')).toBe('2')
      expect(readlinkSync(`/proc/${seen.pid}/ns/net`)).not.toBe(readlinkSync('/proc/thread-self/ns/net'))
      const inside = await driver.inspect('m1')
      expect(inside).toMatchObject({ state: 'prepared', cpus: 1, memoryMiB: spec.memoryMiB, limits: spec.limits })
      expect(inside.nic).toEqual({ mac: MAC, behind: TAP })
      expect(inside.paths.filter(({ kind }) => kind === 'other')).toEqual([])
      expect(
        inside.paths
          .filter(({ kind }) => kind === 'network')
          .map((path) => path.name)
          .sort(),
      ).toEqual(['mach0', `\\ ${netdev}`, nic].sort())
    })

    it('is the same machine when it is asked for again, and never another one', { timeout: PATIENCE_MS }, async () => {
      const { pid } = await driver.prepare(spec)
      expect((await driver.prepare(spec)).pid).toBe(pid)
      await expect(driver.prepare({ ...spec, memoryMiB: 128 })).rejects.toMatchObject({ code: 'MACHINE_TAKEN' })
      // The link has a machine: another one cannot have it.
      await expect(driver.prepare({ ...spec, id: 'm2' })).rejects.toMatchObject({ code: 'MACHINE_NIC' })
      expect((await driver.list()).map(({ id }) => id)).toEqual(['m1'])
    })

    it('runs, and is found by a companion that was started again', { timeout: PATIENCE_MS }, async () => {
      await driver.run('m1')
      await driver.run('m1')
      expect(await saidOn(driver, 'm1', /tick 2\n/)).toContain('the machine is up with 2 links')
      const again = await open(boot.directory)
      await reached(again, 'm1', 'running')
      expect((await again.list()).map(({ pid }) => pid)).toEqual([(await driver.prepare(spec)).pid])
      expect((await again.inspect('m1')).state).toBe('running')
      await again.pause('m1')
      await reached(driver, 'm1', 'paused')
      await driver.run('m1')
      await reached(again, 'm1', 'running')
    })

    it('shuts down when it is asked to, and its last words stay', { timeout: PATIENCE_MS }, async () => {
      expect(await driver.stop('m1', PATIENCE_MS)).toBe('stopped')
      expect(await saidOn(driver, 'm1', /the button was pressed\n/)).toContain('tick 2\n')
      expect(await driver.list()).toMatchObject([{ id: 'm1', state: 'gone' }])
      await driver.kill('m1')
      await expect(driver.run('m1')).rejects.toMatchObject({ code: 'MACHINE_UNKNOWN' })
      await expect(driver.inspect('m1')).rejects.toMatchObject({ code: 'MACHINE_UNKNOWN' })
      await driver.remove('m1')
      await driver.remove('m1')
      expect(await driver.list()).toEqual([])
    })

    it('is killed at once, whatever it does, and nothing of it is left', { timeout: PATIENCE_MS }, async () => {
      const { pid } = await driver.prepare(spec)
      await driver.run('m1')
      process.kill(pid ?? 0, 'SIGSTOP')
      await expect(driver.remove('m1')).rejects.toMatchObject({ code: 'MACHINE_ALIVE' })
      await driver.kill('m1')
      expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
      expect(await driver.list()).toMatchObject([{ id: 'm1', state: 'gone' }])
      await driver.remove('m1')
      expect(await driver.list()).toEqual([])
    })

    it('boots nothing but the octets that were signed', { timeout: PATIENCE_MS }, async () => {
      const initrd = join(boot.directory, 'changed')
      copyFileSync(spec.boot.kernel?.initrd?.path ?? '', initrd)
      const signed = verified(initrd)
      const changed = {
        ...spec,
        boot: { image: 'x@1', kernel: { ...(spec.boot.kernel as never as object), initrd: signed } },
      }
      appendFileSync(initrd, 'x')
      await expect(driver.prepare(changed as MachineSpec)).rejects.toMatchObject({ code: 'MACHINE_IMAGE' })
      writeFileSync(initrd, Buffer.alloc(signed.bytes))
      await expect(driver.prepare(changed as MachineSpec)).rejects.toThrow(/its digest is sha256:[0-9a-f]{64}, and/)
      expect(await driver.list()).toEqual([])
    })

    it('takes no link but a tap that was made for it', { timeout: PATIENCE_MS }, async () => {
      const none = { ...spec, nic: { ...spec.nic, interface: 'nosuch' } } as MachineSpec
      await expect(driver.prepare(none)).rejects.toThrow('there is none of that name')
      execFileSync('ip', ['tuntap', 'add', 'dev', 'foreign', 'mode', 'tap'])
      const foreign = { ...spec, nic: { ...spec.nic, interface: 'foreign' } } as MachineSpec
      await expect(driver.prepare(foreign)).rejects.toThrow('somebody else made it')
      await expect(removeTap('foreign')).rejects.toMatchObject({ code: 'TAP_TAKEN' })
      await expect(ensureTap({ ...TAP_OF, interface: 'foreign' })).rejects.toMatchObject({ code: 'TAP_TAKEN' })
      await expect(ensureTap({ ...TAP_OF, workspace: 'spiffe://fleet.example/ws/other' })).rejects.toThrow(
        /it is marked/,
      )
      await ensureTap(TAP_OF)
      expect(await driver.list()).toEqual([])
    })

    it('knows whose a tap is, whatever its name begins with and however long it is', async () => {
      const short = { ...TAP_OF, interface: 'short', workspace: `${WORKSPACE}/10`, addresses: [] }
      await ensureTap(short)
      await expect(ensureTap({ ...short, workspace: `${WORKSPACE}/1` })).rejects.toMatchObject({ code: 'TAP_TAKEN' })
      const long = { ...short, interface: 'long', workspace: `${WORKSPACE}/${'x'.repeat(1_000)}` }
      await ensureTap(long)
      await ensureTap(long)
      await expect(ensureTap({ ...long, workspace: `${long.workspace}y` })).rejects.toMatchObject({ code: 'TAP_TAKEN' })
      expect(await listTaps()).toEqual([
        { interface: 'long', mark: tapMark(long.workspace), workspace: expect.stringMatching(/^tap:[0-9a-f]{32}$/) },
        { interface: TAP, mark: tapMark(WORKSPACE), workspace: WORKSPACE },
        { interface: 'short', mark: tapMark(short.workspace), workspace: short.workspace },
      ])
      for (const name of ['long', 'short']) await removeTap(name)
    })
  })
}
