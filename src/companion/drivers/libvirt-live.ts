// What libvirt itself says that a domain has (`virsh dumpxml` of one that is there), judged against what was asked for. It stands beside
// what QEMU and the kernel say (qemu-readback.ts): a device that libvirt believes in would be made by it at the next chance. Read
// strictly: elements and attributes as libvirt writes them, and nothing else. Pure.

import { quote } from '../../base/quote.js'
import type { MachineSpec } from './driver.js'
import type { DomainPlace } from './libvirt-domain.js'

export interface Element {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly Element[]
  readonly text: string
}

const TOKEN =
  /<(\/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+=(?:'[^'<]*'|"[^"<]*"))*)\s*(\/?)>|([^<]+)|<\?xml[^<>]*\?>|<!--(?:(?!--)[\s\S])*-->/y
const ATTRIBUTE = /([\w:.-]+)=(?:'([^']*)'|"([^"]*)")/g
const MOST_DEEP = 64

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', apos: "'", quot: '"' }
const plain = (text: string): string =>
  text.replace(/&(amp|lt|gt|apos|quot);/g, (_all, name: string) => ENTITIES[name] ?? '')

/** Throws TypeError for what is not one element as libvirt writes it. */
export function readXml(text: string): Element {
  type Open = { -readonly [K in keyof Element]: Element[K] } & { children: Element[] }
  const top: Open = { name: '', attributes: new Map(), children: [], text: '' }
  const open: Open[] = [top]
  let at = 0
  while (at < text.length) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(text)
    const inner = open.at(-1)
    if (!token || !inner)
      throw new TypeError(`libvirt says what is no XML of its kind: ${quote(text.slice(at, at + 40))}`)
    at = TOKEN.lastIndex
    const [, closing, name, attributes = '', empty, words] = token
    if (words !== undefined) inner.text += plain(words)
    if (name === undefined) continue
    if (closing === '/') {
      if (inner.name !== name || open.length === 1) throw new TypeError(`</${name}> closes nothing`)
      open.pop()
      continue
    }
    const pairs = [...attributes.matchAll(ATTRIBUTE)].map(([, key = '', one, other]): [string, string] => [
      key,
      plain(one ?? other ?? ''),
    ])
    const element: Open = { name, attributes: new Map(pairs), children: [], text: '' }
    inner.children.push(element)
    if (empty !== '/') open.push(element)
    if (open.length > MOST_DEEP) throw new TypeError('libvirt says what is nested too deeply')
  }
  const [only, ...more] = top.children
  if (!only || more.length > 0 || open.length > 1) throw new TypeError('libvirt does not say one whole element')
  return only
}

const childOf = (element: Element, name: string): Element | undefined =>
  element.children.find((child) => child.name === name)
const attributeOf = (element: Element, name: string, attribute: string): string =>
  childOf(element, name)?.attributes.get(attribute) ?? ''

/** In words, each for people; empty when libvirt has exactly what was asked for. */
export function judgeLive(domain: Element, spec: MachineSpec, place: DomainPlace): readonly string[] {
  const findings: string[] = []
  const devices = childOf(domain, 'devices')
  if (domain.name !== 'domain' || !devices) return ['libvirt does not say what devices there are']
  for (const { name } of domain.children)
    if (name.includes(':')) findings.push(`libvirt passes on what it does not know: ${quote(name)}`)
  const counts = new Map<string, number>()
  for (const device of devices.children) {
    counts.set(device.name, (counts.get(device.name) ?? 0) + 1)
    const why = DEVICES[device.name]?.(device, spec, place)
    if (why === undefined) findings.push(`libvirt has a device ${quote(device.name)}`)
    else if (why !== '') findings.push(`libvirt has ${why}`)
  }
  const wanted = { interface: 1, serial: 1, emulator: 1, disk: spec.boot.disk ? 1 : 0, filesystem: spec.volumes.length }
  for (const [name, count] of Object.entries(wanted))
    if ((counts.get(name) ?? 0) !== count)
      findings.push(`libvirt has ${counts.get(name) ?? 0} of ${name}, not ${count}`)
  return findings
}

const kindOf = ({ attributes }: Element): string => attributes.get('type') ?? attributes.get('model') ?? ''
const oneOf =
  (...kinds: readonly string[]) =>
  (device: Element): string =>
    kinds.includes(kindOf(device)) ? '' : `a ${device.name} of type ${quote(kindOf(device))}`

/** '' for what was asked for, else what it is. A device that is not in the table is a finding of its own. */
const DEVICES: Readonly<Record<string, (device: Element, spec: MachineSpec, place: DomainPlace) => string>> = {
  emulator: ({ text }, _spec, { emulator }) => (text === emulator ? '' : `the emulator ${quote(text)}`),
  controller: (device) =>
    device.attributes.get('type') === 'usb' && device.attributes.get('model') !== 'none'
      ? 'a USB controller'
      : oneOf('usb', 'sata', 'pci')(device),
  interface: (device, { nic }) => {
    const seen = [
      kindOf(device),
      attributeOf(device, 'mac', 'address'),
      attributeOf(device, 'target', 'dev'),
      attributeOf(device, 'target', 'managed'),
      attributeOf(device, 'driver', 'name'),
    ].join(' ')
    const asked = nic.kind === 'tap' ? `ethernet ${nic.mac} ${nic.interface} no qemu` : ''
    return seen === asked ? '' : `an interface ${quote(seen)}`
  },
  disk: (device, { boot }) => {
    const file = attributeOf(device, 'source', 'file')
    return kindOf(device) === 'file' && file === boot.disk?.overlay ? '' : `a disk at ${quote(file)}`
  },
  filesystem: (device, _spec, { shares }) => {
    const tag = attributeOf(device, 'target', 'dir')
    const isOurs = attributeOf(device, 'source', 'socket') === shares.get(tag) && shares.has(tag)
    return isOurs ? '' : `a share ${quote(tag)} that is not a volume`
  },
  serial: oneOf('null'),
  console: oneOf('null'),
  rng: oneOf('virtio'),
  memballoon: oneOf('none'),
  // Parts of the board.
  input: (device) => (device.attributes.get('bus') === 'ps2' ? oneOf('mouse', 'keyboard')(device) : 'an input device'),
  audio: oneOf('none'),
}
