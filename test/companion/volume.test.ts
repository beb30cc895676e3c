// A volume in a machine: the machine mounts it by virtio-fs, virtiofsd serves what `vaultfs` shows of it, and root in the machine reads and
// writes exactly what the clauses of its volume allow. What it may only read is mounted read-only for it as well, whatever the clauses say.

import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { QemuDriver } from '../../src/companion/drivers/qemu.js'
import { virtiofsd } from '../../src/companion/drivers/qemu-probe.js'
import { ensureTap, removeTap } from '../../src/companion/drivers/tap.js'
import { TAP_OF } from '../support/companion/driver-suite.js'
import { BootFolder, machine, PATIENCE_MS, reached, saidOn } from '../support/companion/machine.js'
import { seclude } from '../support/ebpf/seclusion.js'
import { cannotServe, type Served, serve, suiteUnless } from '../support/vault/served.js'

const cannotShare = virtiofsd() === undefined ? 'virtiofsd is not installed; run scripts/setup.sh tests' : undefined

const RULES = ['read-only /', 'read-write /work', 'deny /secret']
/** `it NAME COMMAND`: says whether it was done. */
const COMMAND = [
  'it() { name=$1; shift; if sh -c "$*" >/dev/null 2>&1; then echo "$name done"; else echo "$name refused"; fi; }',
  'mkdir -p /data /look; mount -t virtiofs data /data && mount -t virtiofs look /look && echo mounted',
  'echo "it says: $(cat /data/given)"',
  'it read-given cat /data/given; it read-secret cat /data/secret/key; it list-secret ls /data/secret',
  'it write-work "echo from the machine >/data/work/new"; it write-given "echo x >/data/given"',
  'it write-secret "echo x >/data/secret/key"; it make-outside "echo x >/data/fresh"; it remove-given rm /data/given',
  'it link-out "ln -s ../secret/key /data/work/link && cat /data/work/link"; it move-out mv /data/given /data/work/given',
  'it write-look "echo x >/look/work/seen"; it read-look cat /look/given',
  'echo the first half is over; while cat /data/given >/dev/null 2>&1; do sleep 1; done; it quarantined cat /data/work/new',
  'echo the second half is over; while [ ! -e /tmp/off ]; do sleep 1; done',
].join('\n')

suiteUnless(cannotServe ?? cannotShare, 'a volume in a machine', () => {
  let boot: BootFolder
  let served: Served
  let driver: QemuDriver

  beforeAll(async () => {
    seclude()
    boot = new BootFolder()
    driver = QemuDriver.open({ directory: join(boot.directory, 'run') })
    await ensureTap(TAP_OF)
    served = await serve(RULES)
    const at = (name: string) => join(served.source, name)
    for (const name of ['work', 'secret']) await mkdir(at(name))
    await writeFile(at('given'), 'a file of the node')
    await writeFile(at('secret/key'), 'not for the machine')
  }, PATIENCE_MS)
  afterAll(async () => {
    for (const { id } of (await driver?.list()) ?? []) {
      await driver.kill(id)
      await driver.remove(id)
    }
    await removeTap(TAP_OF.interface)
    await served?.close()
    boot?.close()
  }, PATIENCE_MS)

  it('shows root in the machine what the clauses allow, and nothing else', { timeout: PATIENCE_MS }, async () => {
    const volume = { kind: 'virtiofs', source: served.mount } as const
    const spec = machine(boot.boot({ command: COMMAND, modules: ['virtiofs'] }), TAP_OF.interface, {
      volumes: [
        { ...volume, tag: 'data', readOnly: false },
        { ...volume, tag: 'look', readOnly: true },
      ],
    })
    await driver.prepare(spec)
    const { paths } = await driver.inspect('m1')
    expect(
      paths
        .filter(({ kind }) => kind === 'share')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['volume0', 'volume1'])
    await driver.run('m1')
    const said = await saidOn(driver, 'm1', /the first half is over\n/)
    expect(said).toContain('it says: a file of the node')
    const rows = Object.fromEntries(
      [...said.matchAll(/^([a-z]+-[a-z]+) (done|refused)$/gm)].map(([, name, end]) => [name, end]),
    )
    expect(rows).toEqual({
      ...{ 'read-given': 'done', 'write-work': 'done', 'read-look': 'done' },
      ...{ 'read-secret': 'refused', 'list-secret': 'refused', 'write-secret': 'refused' },
      ...{ 'write-given': 'refused', 'make-outside': 'refused', 'remove-given': 'refused' },
      ...{ 'link-out': 'refused', 'move-out': 'refused', 'write-look': 'refused' },
    })
    expect(readFileSync(join(served.source, 'work/new'), 'utf8')).toBe('from the machine\n')
    expect(existsSync(join(served.source, 'work/seen'))).toBe(false)
    expect(readFileSync(join(served.source, 'given'), 'utf8')).toBe('a file of the node')
    await served.quarantine(true)
    expect(await saidOn(driver, 'm1', /the second half is over\n/)).toContain('quarantined refused\n')
    // Nothing of it is left, the volumes' servers neither.
    await driver.kill('m1')
    await reached(driver, 'm1', 'gone')
    await driver.remove('m1')
    expect(await driver.list()).toEqual([])
  })
})
