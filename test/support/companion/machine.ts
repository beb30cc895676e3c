// What a machine of the companion's tests boots: Debian's cloud kernel and a small initramfs whose command speaks on the serial line, as
// files with digests, the way an image's manifest names them. Emulated where KVM is not: about ten seconds until the command runs.

import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MachineDriver, MachineSpec, MachineState, VerifiedFile } from '../../../src/companion/drivers/driver.js'
import { OVERHEAD_MIB, OVERHEAD_PIDS } from '../../../src/companion/drivers/spec.js'
import { type GuestFile, makeImage } from '../guest/image.js'
import { guestKernel, moduleFiles } from '../guest/kernel.js'

export const MAC = '02:00:00:00:0a:02'
export const WORKSPACE = 'spiffe://fleet.example/ws/machine'
const MEMORY_MIB = 192
const USER = 63_001

export function verified(path: string): VerifiedFile {
  const bytes = readFileSync(path)
  return { path, bytes: bytes.length, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` }
}

export interface BootContents {
  /** A shell command line; what it prints is on the console. */
  readonly command: string
  readonly modules?: readonly string[]
  readonly programs?: readonly string[]
  readonly files?: readonly GuestFile[]
  readonly applets?: readonly string[]
}

/** A folder of the tests that only root writes, with an initramfs in it. */
export class BootFolder {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-machine-'))
  private readonly kernel = guestKernel()

  constructor() {
    chmodSync(this.directory, 0o755)
  }

  boot({ command, modules = [], programs = [], files = [], applets = [] }: BootContents): MachineSpec['boot'] {
    const directory = mkdtempSync(join(this.directory, 'boot-'))
    const all = ['virtio_pci', 'virtio_net', 'button', 'evdev', ...modules]
    const initrd = makeImage(directory, {
      ...{ files, programs, command, terminal: 'ttyS0' },
      modules: moduleFiles(this.kernel, all),
      applets: ['acpid', 'nc', 'ping', 'ping6', 'wget', 'nslookup', 'arping', 'dd', 'awk', 'timeout', ...applets],
    })
    rmSync(join(directory, 'root'), { recursive: true })
    return {
      image: 'test@1',
      kernel: {
        file: verified(this.kernel.image),
        initrd: verified(initrd),
        commandLine: 'console=ttyS0 quiet panic=-1 rdinit=/init',
      },
    }
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export const machine = (boot: MachineSpec['boot'], tap: string, more: Partial<MachineSpec> = {}): MachineSpec => ({
  id: 'm1',
  workspace: WORKSPACE,
  boot,
  cpus: 1,
  memoryMiB: MEMORY_MIB,
  nic: { kind: 'tap', interface: tap, mac: MAC },
  volumes: [],
  limits: { cpuPercent: 100, memoryMiB: MEMORY_MIB + OVERHEAD_MIB + 64, pids: 1 + OVERHEAD_PIDS },
  user: USER,
  ...more,
})

/** An emulated machine on a loaded one boots slowly. */
export const PATIENCE_MS = 300_000

/** Waits until the console has what is looked for; gives the whole of it. */
export async function saidOn(driver: MachineDriver, id: string, pattern: RegExp): Promise<string> {
  for (const endMs = Date.now() + PATIENCE_MS; ; ) {
    const said = Buffer.from(await driver.consoleOf(id, 1 << 20))
      .toString('utf8')
      .replaceAll('\r\n', '\n')
    if (pattern.test(said)) return said
    if (Date.now() > endMs) throw new Error(`waited in vain for ${String(pattern)}; it said:\n${said.slice(-3_000)}`)
    await sleep(200)
  }
}

/** Waits until the machine is in a state. */
export async function reached(driver: MachineDriver, id: string, state: MachineState): Promise<void> {
  for (const endMs = Date.now() + PATIENCE_MS; ; ) {
    const seen = (await driver.list()).find((one) => one.id === id)?.state
    if (seen === state) return
    if (Date.now() > endMs) throw new Error(`waited in vain for ${id} to be ${state}; it is ${seen}`)
    await sleep(200)
  }
}
