// Driver `libvirt` against a real daemon: the suite of every driver, ways out that are added behind the driver's back, disks that come by
// descriptor, and a daemon that is stopped, killed and started again while its machines are there.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { MachineSpec } from '../../src/companion/drivers/driver.js'
import { LibvirtDriver } from '../../src/companion/drivers/libvirt.js'
import { QEMU, virtiofsd } from '../../src/companion/drivers/qemu-probe.js'
import { OVERHEAD_PIDS } from '../../src/companion/drivers/spec.js'
import { ensureTap, removeTap } from '../../src/companion/drivers/tap.js'
import { driverSuite, TAP_OF } from '../support/companion/driver-suite.js'
import { cannotLibvirt, Libvirtd } from '../support/companion/libvirtd.js'
import { BootFolder, machine, PATIENCE_MS, reached, verified } from '../support/companion/machine.js'
import { seclude } from '../support/ebpf/seclusion.js'
import { suiteUnless } from '../support/vault/served.js'

let daemon: Libvirtd
const begin = async (): Promise<void> => {
  daemon = new Libvirtd()
  await daemon.start()
}
const end = () => daemon?.close()
const open = (directory: string, program = QEMU) =>
  LibvirtDriver.open({ directory: join(directory, 'run'), uri: daemon.uri, program })

suiteUnless(cannotLibvirt, 'machines by libvirt', () => {
  driverSuite({
    ...{ name: 'libvirt', nic: 'net0', netdev: 'hostnet0' },
    open: (directory) => Promise.resolve(open(directory)),
    begin,
    end,
  })
})

suiteUnless(cannotLibvirt, 'libvirt and what is done behind its driver', () => {
  let boot: BootFolder
  let spec: MachineSpec
  let driver: LibvirtDriver
  let domain: string
  beforeAll(async () => {
    seclude()
    await begin()
    boot = new BootFolder()
    spec = machine(boot.boot({ command: 'true' }), TAP_OF.interface)
    driver = open(boot.directory)
    await ensureTap(TAP_OF)
  }, PATIENCE_MS)
  afterEach(async () => {
    for (const id of await driver.ids()) {
      await driver.kill(id)
      await driver.remove(id)
    }
  }, PATIENCE_MS)
  afterAll(async () => {
    await removeTap(TAP_OF.interface)
    boot?.close()
    await end()
  }, PATIENCE_MS)

  const prepared = async (): Promise<number> => {
    const { pid = 0 } = await driver.prepare(spec)
    domain = (await daemon.virsh([['list', '--name']])).trim()
    return pid
  }
  const domains = async () => (await daemon.virsh([['list', '--all', '--name']])).trim()

  it('leaves no machine with a second NIC, whoever added it', { timeout: PATIENCE_MS }, async () => {
    const program = join(boot.directory, 'qemu-wrapped')
    writeFileSync(program, `#!/bin/sh\nexec ${QEMU} "$@" -nic user,model=e1000\n`, { mode: 0o755 })
    const wrapped = LibvirtDriver.open({ directory: join(boot.directory, 'run'), uri: daemon.uri, program })
    await expect(wrapped.prepare(spec)).rejects.toThrow(
      /a way out that nobody manages: .*is of class 0x0200; networks: .*type=user/,
    )
    expect(await wrapped.list()).toEqual([])
    expect(await domains()).toBe('')
  })

  it('lets no CPU run with a way out that came later', { timeout: PATIENCE_MS }, async () => {
    await prepared()
    const add = (value: object) =>
      execFileSync('virsh', ['-c', daemon.uri, 'qemu-monitor-command', domain, JSON.stringify(value)])
    add({ execute: 'netdev_add', arguments: { type: 'user', id: 'slirp' } })
    await expect(driver.run('m1')).rejects.toMatchObject({
      code: 'MACHINE_PATH',
      message: expect.stringMatching(/networks: .*slirp: index=0,type=user/),
    })
    await reached(driver, 'm1', 'prepared')
  })

  it('names what it has no way to', async () => {
    const nic = { kind: 'vfio', pci: '0000:03:00.2', mac: TAP_OF.gateway.mac } as const
    await expect(driver.prepare({ ...spec, nic })).rejects.toThrow('this host cannot run a machine with a VF')
    const nobody = LibvirtDriver.open({ directory: join(boot.directory, 'run'), uri: 'qemu:///system?socket=/nowhere' })
    expect(await nobody.probe()).toMatchObject({
      usable: false,
      why: expect.stringMatching(
        /^no libvirt answers at qemu:\/\/\/system\?socket=\/nowhere: libvirt refuses version: /,
      ),
    })
    await expect(nobody.prepare(spec)).rejects.toMatchObject({ code: 'MACHINE_UNSUPPORTED' })
    expect(await driver.list()).toEqual([])
  })

  it('hands disks over by descriptor, out of folders that no machine may enter', { timeout: PATIENCE_MS }, async () => {
    const at = (name: string) => join(boot.directory, 'closed', name)
    execFileSync('mkdir', ['-m', '0700', at('.')])
    writeFileSync(at('golden'), Buffer.concat([Buffer.from('golden'), Buffer.alloc((1 << 20) - 6)]), { mode: 0o600 })
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('layer'), '1M'])
    const disk = { base: verified(at('golden')), format: 'raw', overlay: at('layer') } as const
    const { pid } = await driver.prepare({ ...spec, boot: { image: 'disk@1', disk } })
    const { paths } = await driver.inspect('m1')
    expect(
      paths
        .filter(({ kind }) => kind === 'storage')
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...['libvirt-1-format', 'libvirt-1-storage', 'libvirt-2-format', 'libvirt-2-storage']])
    const held = execFileSync('ls', [`/proc/${pid}/fd`], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((name) => readlinkSync(`/proc/${pid}/fd/${name}`))
    expect(held).toEqual(expect.arrayContaining([at('golden'), at('layer')]))
    // A header that leads elsewhere is looked at before libvirt hears of it.
    await driver.kill('m1')
    await driver.remove('m1')
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', at('golden'), at('leads'), '1M'])
    const leads = { image: 'disk@1', disk: { ...disk, overlay: at('leads') } }
    await expect(driver.prepare({ ...spec, boot: leads })).rejects.toThrow('it names a backing file')
    expect(await domains()).toBe('')
  })

  it('serves a volume by a process of ours, which ends with the machine', { timeout: PATIENCE_MS }, async (context) => {
    if (virtiofsd() === undefined) context.skip('virtiofsd is not installed; run scripts/setup.sh tests')
    const source = join(boot.directory, 'volume')
    execFileSync('mkdir', [source])
    const volumes = [{ tag: 'data', kind: 'virtiofs', source, readOnly: true }] as const
    const limits = { ...spec.limits, pids: spec.limits.pids + OVERHEAD_PIDS }
    await driver.prepare({ ...spec, volumes, limits })
    const { paths, limits: held } = await driver.inspect('m1')
    expect(paths.filter(({ kind }) => kind === 'share').map(({ name }) => name)).toEqual(['chr-vu-fs0'])
    expect(held).toEqual(limits)
    await driver.kill('m1')
    expect(await driver.list()).toMatchObject([{ id: 'm1', state: 'gone' }])
    await driver.remove('m1')
    expect(await driver.list()).toEqual([])
  })

  it('kills a machine while the daemon is mute, and tells it afterwards', { timeout: PATIENCE_MS }, async () => {
    const pid = await prepared()
    daemon.signal('SIGSTOP')
    await driver.kill('m1')
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
    expect(await driver.list()).toMatchObject([{ id: 'm1', state: 'gone' }])
    await driver.remove('m1')
    expect(await driver.ids()).toEqual([])
    // One that is being made is given up as well.
    const making = driver.prepare(spec)
    making.catch(() => undefined)
    await expect.poll(() => driver.ids(), { timeout: PATIENCE_MS }).toEqual(['m1'])
    await driver.kill('m1')
    await expect(making).rejects.toMatchObject({ code: 'MACHINE_START' })
    daemon.signal('SIGCONT')
    await expect.poll(domains, { timeout: PATIENCE_MS }).toBe('')
    await prepared()
  })

  it('finds and runs a machine whose daemon was killed and started again', { timeout: PATIENCE_MS }, async () => {
    const pid = await prepared()
    await daemon.kill()
    expect(await driver.list()).toMatchObject([{ id: 'm1', state: 'prepared', pid }])
    expect(await open(boot.directory).list()).toMatchObject([{ id: 'm1', workspace: spec.workspace, pid }])
    await expect(driver.run('m1')).rejects.toMatchObject({ code: 'MACHINE_SILENT' })
    await daemon.start()
    await driver.run('m1')
    await reached(driver, 'm1', 'running')
    expect(await domains()).toBe(domain)
    expect(await daemon.virsh([['dominfo', domain]])).not.toMatch(/tainted/i)
  })

  it('refuses a console that a machine could fill the disk with', { timeout: PATIENCE_MS }, async () => {
    await daemon.kill()
    daemon.configure('file')
    await daemon.start()
    await expect(driver.prepare(spec)).rejects.toThrow(/`stdio_handler` of libvirt is not virtlogd/)
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(daemon.directory)
    expect(await domains()).toBe('')
  })
})
