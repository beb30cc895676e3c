// What QEMU there is on this host, and whether KVM carries a machine here: the question is put to QEMU and the kernel, with a machine that
// has no memory to speak of and never runs. Where KVM does not answer, TCG emulates: slow, and fenced all the same.

import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { promisify } from 'node:util'
import type { DriverProbe } from './driver.js'

export const QEMU = '/usr/bin/qemu-system-x86_64'
/** Where distributions put it: QEMU's own of Debian 12, the later one by itself. */
const VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd']
const NEEDED = ['unshare', 'setpriv', 'ip'] as const
const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
const RUN_MS = 30_000
const run = promisify(execFile)

export const virtiofsd = (): string | undefined => VIRTIOFSD.find((path) => existsSync(path))

export async function probeQemu(program = QEMU): Promise<DriverProbe> {
  const none = { usable: false, shares: [], vfio: false } as const
  if (process.getuid?.() !== 0)
    return { ...none, why: 'machines are made by root, who then gives up every right for them' }
  if (!existsSync(program)) return { ...none, why: `${program} is not there` }
  const missing = NEEDED.filter((name) => !FOLDERS.some((folder) => existsSync(`${folder}/${name}`)))
  if (missing.length > 0) return { ...none, why: `${missing.join(' and ')} not found` }
  const version = /version (\d+\.\d+\.\d+)/.exec((await run(program, ['--version'], { timeout: RUN_MS })).stdout)?.[1]
  if (version === undefined) return { ...none, why: `${program} does not say its version` }
  const kvm = await withoutKvm(program)
  return {
    usable: true,
    why: kvm === undefined ? 'KVM carries machines' : `machines are emulated: ${kvm}`,
    version,
    accelerator: kvm === undefined ? 'kvm' : 'tcg',
    shares: virtiofsd() === undefined ? [] : ['virtiofs'],
    vfio: existsSync('/dev/vfio/vfio'),
  }
}

/** Why KVM cannot be used; undefined when it can. */
async function withoutKvm(program: string): Promise<string | undefined> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return 'there is no /dev/kvm that can be opened'
  }
  const words = ['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35,usb=off', '-m', '32']
  const ask = run(program, [...words, '-accel', 'kvm', '-cpu', 'host', '-S', '-monitor', 'stdio'], { timeout: RUN_MS })
  ask.child.stdin?.end('quit\n')
  try {
    await ask
    return undefined
  } catch (error) {
    const said = (error as { stderr?: string }).stderr ?? ''
    return `KVM is there and does not carry a machine (${said.trim().split('\n')[0]?.slice(0, 200) ?? ''})`
  }
}
