// A libvirt of the test's own: the system daemon and its virtlogd in mount namespaces in which /etc/libvirt and all that libvirt keeps are
// folders of the test, without networks, in the network namespace of this process. Nothing of a libvirt of this host is seen or touched.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../../../src/companion/drivers/proc.js'
import { probeQemu } from '../../../src/companion/drivers/qemu-probe.js'
import { VIRSH, virshAt } from '../../../src/companion/drivers/virsh.js'
import { repositoryPath } from '../lab/repository.js'

const [LIBVIRTD, VIRTLOGD] = ['/usr/sbin/libvirtd', '/usr/sbin/virtlogd']
/** What libvirt has its places in, and what stands there for the test. */
const PLACES = {
  etc: '/etc/libvirt',
  run: '/run/libvirt',
  lib: '/var/lib/libvirt',
  cache: '/var/cache/libvirt',
  log: '/var/log/libvirt',
} as const
const USERS = {
  passwd: 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin',
  group: 'libvirt-qemu:x:64055:',
} as const
const START_MS = 120_000
const POLL_MS = 100

export const cannotLibvirt: string | undefined =
  process.getuid?.() !== 0
    ? 'this needs root'
    : ![LIBVIRTD, VIRTLOGD, VIRSH].every((path) => existsSync(path))
      ? 'libvirt is not installed; run scripts/setup.sh tests'
      : undefined

export class Libvirtd {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-libvirt-'))
  readonly uri = `qemu:///system?socket=${this.directory}/run/libvirt-sock`
  readonly virsh = virshAt(this.uri)
  private readonly made: string[] = []
  /** libvirt waits until its dead processes are gone, and their parent need not be one that takes them away. */
  private readonly reaper = spawn('python3', [repositoryPath('test/support/companion/reaper.py')])
  private readonly pids = createInterface(this.reaper.stdout)[Symbol.asyncIterator]()
  /** Where KVM is there and carries no machine, libvirt would ask QEMU about it anew at every question: it is hidden from it. */
  private hides: boolean | undefined
  private daemon = 0
  private logger = 0
  private said = ''

  constructor() {
    this.reaper.stderr.setEncoding('utf8').on('data', (more: string) => {
      this.said = `${this.said}${more}`.slice(-20_000)
    })
    for (const [name, place] of Object.entries(PLACES)) {
      mkdirSync(join(this.directory, name), { mode: 0o711 })
      // A folder to be mounted on, where libvirt was never started.
      if (!existsSync(place)) {
        mkdirSync(place)
        this.made.push(place)
      }
    }
    execFileSync('chmod', ['0711', this.directory])
    const etc = (name: string, lines: readonly string[]) => {
      writeFileSync(join(this.directory, 'etc', name), `${lines.join('\n')}\n`)
    }
    writeFileSync(join(this.directory, 'closed'), '', { mode: 0 })
    etc('libvirtd.conf', ['auth_unix_rw = "none"', `unix_sock_dir = "${this.directory}/run"`])
    etc('virtlogd.conf', ['max_size = 1048576', 'max_backups = 2'])
    // A package that is not needed makes the user that libvirt asks QEMU as, what it can do.
    for (const [name, row] of Object.entries(USERS))
      writeFileSync(join(this.directory, name), `${readFileSync(`/etc/${name}`, 'utf8')}${row}\n`)
  }

  /** Who carries what a console says: virtlogd, or QEMU itself into a file. For daemons that are started afterwards. */
  configure(handler: 'logd' | 'file' = 'logd'): void {
    const lines = [`stdio_handler = "${handler}"`, 'remember_owner = 0']
    // A folder of devices of a machine's own cannot be made from one that has something mounted in it.
    if (this.hides) lines.push('namespaces = []')
    writeFileSync(join(this.directory, 'etc/qemu.conf'), `${lines.join('\n')}\n`)
  }

  /** Throws what the daemon said when it does not come up. */
  async start(): Promise<void> {
    if (this.logger === 0) this.logger = await this.spawn(VIRTLOGD, 'virtlogd')
    if (this.hides === undefined) {
      this.hides = existsSync('/dev/kvm') && (await probeQemu()).accelerator === 'tcg'
      this.configure()
    }
    this.daemon = await this.spawn(LIBVIRTD, 'libvirtd')
    for (const endMs = Date.now() + START_MS; ; await sleep(POLL_MS)) {
      const version = await this.virsh([['version', '--daemon']]).catch(() => undefined)
      if (version !== undefined) return
      if (!isAlive(this.daemon) || Date.now() >= endMs)
        throw new Error(`libvirtd does not answer: ${this.said.slice(-2_000)}`)
    }
  }

  /** Stops it in the middle of whatever it does, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.daemon, signal)
  }

  /** Its machines live on. */
  kill(): Promise<void> {
    return ended(this.daemon)
  }

  async close(): Promise<void> {
    await ended(this.daemon)
    await ended(this.logger)
    const over = new Promise((resolve) => this.reaper.once('exit', resolve))
    this.reaper.stdin.end()
    await over
    rmSync(this.directory, { recursive: true, force: true })
    for (const place of this.made) rmdirSync(place)
  }

  private async spawn(program: string, name: string): Promise<number> {
    const places = [...Object.entries(PLACES), ...Object.keys(USERS).map((file) => [file, `/etc/${file}`])]
    if (this.hides) places.push(['closed', '/dev/kvm'])
    const binds = places.map(([from, to]) => `mount --bind ${this.directory}/${from} ${to}`)
    const words = [program, '--config', join(PLACES.etc, `${name}.conf`), '--pid-file', `${this.directory}/${name}.pid`]
    const all = ['unshare', '--mount', 'sh', '-c', `${binds.join(' && ')} && exec "$@"`, 'sh', ...words]
    this.reaper.stdin.write(`${JSON.stringify(all)}\n`)
    return Number((await this.pids.next()).value)
  }
}

async function ended(pid: number): Promise<void> {
  if (pid === 0 || !isAlive(pid)) return
  process.kill(pid, 'SIGKILL')
  while (isAlive(pid)) await sleep(POLL_MS)
}
