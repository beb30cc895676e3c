// Reads `inventory.yaml` into an Inventory. All findings at once, each with its place. The bytes were verified before they
// came here (bundle/); this decides what they say: every workspace has one slot, every slot and address one workspace.

import { formatIp, linkLocalOf, parseIp } from '../base/ip.js'
import { LIMITS } from '../base/limits.js'
import { isGroupMac, parseMac } from '../base/mac.js'
import { hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { nearest } from '../base/suggest.js'
import { joinPath, type Place, readYaml, type YamlNode } from '../base/yaml.js'
import type { Inventory, InventoryEntry, Slot, SlotKind, Volume, VolumeFunction } from './inventory.js'
import { parseSubjects } from './parse-subjects.js'
import { isVolumePath, overlapping } from './volume-path.js'

export const INVENTORY_API_VERSION = 'sluice.dev/v1alpha1'
const SLOT_KINDS: readonly SlotKind[] = ['veth', 'tap', 'representor', 'bridge-port', 'cgroup']

export interface InventoryResult {
  /** Present exactly when there are no error notes. */
  readonly inventory?: Inventory
  readonly notes: readonly Note[]
}

export function parseInventory(bytes: Uint8Array, file: string): InventoryResult {
  const { root, notes } = readYaml(bytes, file, { bytes: LIMITS.inventoryBytes, nodes: LIMITS.smallDocumentNodes })
  if (!root) return { notes }
  const reader = new Reader(file, [...notes])
  const inventory = reader.inventory(root)
  return hasErrors(reader.notes) ? { notes: reader.notes } : { inventory, notes: reader.notes }
}

class Reader {
  constructor(
    private readonly file: string,
    readonly notes: Note[],
  ) {}

  private error(at: Place, code: string, path: string, say: string, suggestion?: string): void {
    const { line, column } = at
    this.notes.push({
      code,
      severity: 'error',
      file: this.file,
      line,
      column,
      path,
      say,
      ...(suggestion ? { suggestion } : {}),
    })
  }

  inventory(root: YamlNode): Inventory {
    const top = this.map(root, '', ['apiVersion', 'kind', 'audience', 'revision', 'workspaces'])
    this.literal(top, root, 'apiVersion', INVENTORY_API_VERSION)
    this.literal(top, root, 'kind', 'Inventory')
    const audience = this.text(top, root, '', 'audience')
    const revision = top.get('revision')
    if (!revision) this.error(root, 'missing-key', 'revision', 'revision is missing: a whole number that only grows')
    else if (revision.kind !== 'scalar' || !/^[1-9]\d{0,19}$/.test(revision.source))
      this.error(revision, 'bad-value', 'revision', 'revision is a whole number from 1, written in digits')
    const list = top.get('workspaces')
    const entries: InventoryEntry[] = []
    if (list?.kind !== 'seq') this.error(list ?? root, 'bad-type', 'workspaces', 'workspaces is a list')
    else if (list.items.length > LIMITS.workspaces)
      this.error(list, 'too-many', 'workspaces', `more than ${LIMITS.workspaces} workspaces`)
    else for (const [i, item] of list.items.entries()) entries.push(this.entry(item, `workspaces[${i}]`))
    if (list?.kind === 'seq') this.distinct(entries, list.items)
    return {
      audience,
      revision: revision?.kind === 'scalar' ? revision.source : '0',
      entries: entries.sort((a, b) => (a.workspace < b.workspace ? -1 : 1)),
    }
  }

  private entry(node: YamlNode, path: string): InventoryEntry {
    const map = this.map(node, path, ['id', 'slot', 'mac', 'addresses', 'gateway', 'volumes', 'subjects'])
    const workspace = this.text(map, node, path, 'id')
    if (workspace !== '' && !/^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+)+$/.test(workspace))
      this.error(
        map.get('id') ?? node,
        'bad-id',
        `${path}.id`,
        `${quote(workspace)} is not of the form spiffe://DOMAIN/PATH`,
      )
    const slotNode = map.get('slot')
    const slotMap = this.map(slotNode ?? node, `${path}.slot`, ['kind', 'interface', 'vuid'])
    const kind = this.text(slotMap, slotNode ?? node, `${path}.slot`, 'kind') as SlotKind
    if (!SLOT_KINDS.includes(kind))
      this.error(
        slotNode ?? node,
        'bad-value',
        `${path}.slot.kind`,
        `kind is one of ${SLOT_KINDS.join(', ')}`,
        nearest(kind, SLOT_KINDS),
      )
    const name = this.text(slotMap, slotNode ?? node, `${path}.slot`, 'interface')
    if (kind !== 'cgroup' && !/^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(name))
      this.error(
        slotMap.get('interface') ?? node,
        'bad-value',
        `${path}.slot.interface`,
        'an interface name has 1 to 15 letters, digits, "_", "-" or ".", a letter first',
      )
    const vuid = slotMap.has('vuid') ? this.text(slotMap, node, `${path}.slot`, 'vuid') : undefined
    const cgroup = kind === 'cgroup'
    const addresses = this.addresses(map.get('addresses'), node, `${path}.addresses`)
    const gatewayNode = map.get('gateway')
    const gateway =
      cgroup && !gatewayNode ? undefined : this.map(gatewayNode ?? node, `${path}.gateway`, ['mac', 'addresses'])
    const slot: Slot = {
      kind,
      interface: name,
      ...(vuid === undefined ? {} : { vuid }),
      mac: cgroup ? '' : this.mac(map.get('mac'), node, `${path}.mac`),
      addresses,
      gateway: {
        mac: cgroup ? '' : this.mac(gateway?.get('mac'), gatewayNode ?? node, `${path}.gateway.mac`),
        addresses: gateway
          ? this.addresses(gateway.get('addresses'), gatewayNode ?? node, `${path}.gateway.addresses`)
          : [],
      },
    }
    const volumes = map.has('volumes') ? this.volumes(map.get('volumes') as YamlNode, `${path}.volumes`) : []
    const subjects = map.get('subjects')
    const bound = subjects && parseSubjects(subjects, `${path}.subjects`, (...finding) => this.error(...finding))
    return { workspace, slot, ...(volumes.length > 0 ? { volumes } : {}), ...(bound ? { subjects: bound } : {}) }
  }

  private volumes(node: YamlNode, path: string): Volume[] {
    const out: Volume[] = []
    if (node.kind !== 'seq') this.error(node, 'bad-type', path, 'volumes is a list')
    else if (node.items.length > LIMITS.volumesPerWorkspace)
      this.error(node, 'too-many', path, `more than ${LIMITS.volumesPerWorkspace} volumes`)
    else
      for (const [i, item] of node.items.entries()) {
        const here = `${path}[${i}]`
        const map = this.map(item, here, ['name', 'source', 'mount', 'at', 'function'])
        const [name, source, mount] = ['name', 'source', 'mount'].map((key) => this.text(map, item, here, key)) as [
          string,
          string,
          string,
        ]
        if (name !== '' && !/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name))
          this.error(map.get('name') ?? item, 'bad-value', `${here}.name`, 'a name of letters, digits, ".", "_" or "-"')
        for (const [key, value] of [
          ['source', source],
          ['mount', mount],
        ] as const)
          if (value !== '' && (!isVolumePath(value) || value === '/'))
            this.error(
              map.get(key) ?? item,
              'bad-path',
              `${here}.${key}`,
              `${quote(value)} is not an absolute path without "." and ".."`,
            )
        if (out.some((other) => other.name === name))
          this.error(item, 'duplicate-name', here, `the volume ${quote(name)} stands twice`)
        const seen = map.has('at') ? this.text(map, item, here, 'at') : undefined
        if (seen !== undefined && seen !== '' && !isVolumePath(seen))
          this.error(
            map.get('at') ?? item,
            'bad-path',
            `${here}.at`,
            `${quote(seen)} is not an absolute path without "." and ".."`,
          )
        const inside = out.find((other) => other.at !== undefined && seen !== undefined && overlapping(other.at, seen))
        if (inside)
          this.error(
            item,
            'not-distinct',
            `${here}.at`,
            `${seen} and ${inside.at} of the volume ${quote(inside.name)} lie in one another; a path lies on one volume`,
          )
        const held = map.get('function')
        const by = held && this.volumeFunction(held, `${here}.function`)
        out.push({ name, source, mount, ...(seen === undefined ? {} : { at: seen }), ...(by ? { function: by } : {}) })
      }
    return out.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  private volumeFunction(node: YamlNode, path: string): VolumeFunction {
    const map = this.map(node, path, ['vuid', 'tag'])
    const [vuid, tag] = ['vuid', 'tag'].map((key) => this.text(map, node, path, key)) as [string, string]
    const bad = (key: string, say: string) => this.error(map.get(key) ?? node, 'bad-value', `${path}.${key}`, say)
    if (vuid !== '' && !/^[A-Za-z0-9]{1,127}$/.test(vuid)) bad('vuid', 'a VUID is 1 to 127 letters and digits')
    if (tag !== '' && !/^[A-Za-z0-9._-]{1,20}$/.test(tag))
      bad('tag', 'a tag is 1 to 20 letters, digits, ".", "_" and "-"')
    return { vuid, tag }
  }

  private addresses(node: YamlNode | undefined, parent: Place, path: string): string[] {
    if (node?.kind !== 'seq' || node.items.length === 0) {
      this.error(node ?? parent, 'bad-type', path, 'a list of at least one address is expected')
      return []
    }
    const out: string[] = []
    for (const [i, item] of node.items.entries()) {
      const ip = item.kind === 'scalar' && typeof item.value === 'string' ? parseIp(item.value) : undefined
      if (!ip)
        this.error(item, 'bad-address', `${path}[${i}]`, 'not an IPv4 or IPv6 address (no prefix length, no name)')
      else if (out.includes(formatIp(ip)))
        this.error(item, 'duplicate-address', `${path}[${i}]`, 'the address stands twice')
      else out.push(formatIp(ip))
    }
    return out.sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')) || (a < b ? -1 : 1))
  }

  private mac(node: YamlNode | undefined, parent: Place, path: string): string {
    const mac = node?.kind === 'scalar' && typeof node.value === 'string' ? parseMac(node.value) : undefined
    if (mac === undefined || isGroupMac(mac)) {
      this.error(node ?? parent, 'bad-mac', path, 'a unicast MAC address is expected, as "02:00:00:00:09:02" in quotes')
      return ''
    }
    return mac
  }

  /** No slot, MAC or address twice on one node (design section 1). */
  private distinct(entries: readonly InventoryEntry[], nodes: readonly YamlNode[]): void {
    const owner = new Map<string, number>()
    for (const [i, entry] of entries.entries()) {
      const { slot } = entry
      const functions = (entry.volumes ?? []).flatMap((volume) => (volume.function ? [volume.function.vuid] : []))
      if (new Set(functions).size < functions.length && nodes[i])
        this.error(
          nodes[i],
          'not-distinct',
          `workspaces[${i}].volumes`,
          'two volumes have one function; each has its own',
        )
      const own = [
        ...functions.map((vuid) => `function ${vuid}`),
        ...slot.addresses,
        ...(slot.mac === '' ? [] : [`MAC ${slot.mac}`, formatIp(linkLocalOf(slot.mac))]),
      ]
      for (const key of [`workspace ${entry.workspace}`, `slot ${slot.interface}`, ...own]) {
        const other = owner.get(key)
        const at = nodes[i]
        if (other !== undefined && other !== i && at)
          this.error(
            at,
            'not-distinct',
            `workspaces[${i}]`,
            `${key} belongs to workspaces[${other}] already; two workspaces never share one`,
          )
        owner.set(key, i)
      }
    }
    this.apart(entries, nodes)
  }

  /** No volume lies in another, or in a mount: what one rule denies would be reached by the other's path. */
  private apart(entries: readonly InventoryEntry[], nodes: readonly YamlNode[]): void {
    const held: { path: string; at: number }[] = []
    for (const [i, { volumes = [] }] of entries.entries())
      for (const path of volumes.flatMap(({ source, mount }) => [source, mount])) {
        const other = held.find((one) => overlapping(one.path, path))
        const at = nodes[i]
        if (other && at)
          this.error(
            at,
            'not-distinct',
            `workspaces[${i}].volumes`,
            `${path} and ${other.path} of workspaces[${other.at}] lie in one another; every source and mount stands apart`,
          )
        held.push({ path, at: i })
      }
  }

  private map(node: YamlNode, path: string, keys: readonly string[]): Map<string, YamlNode> {
    const out = new Map<string, YamlNode>()
    if (node.kind !== 'map') {
      this.error(node, 'bad-type', path, 'a mapping is expected')
      return out
    }
    for (const { key, at, value } of node.entries) {
      if (keys.includes(key)) out.set(key, value)
      else {
        const suggestion = nearest(key, keys)
        const hint = suggestion ? `; did you mean ${quote(suggestion)}?` : ''
        this.error(at, 'unknown-key', joinPath(path, key), `unknown key ${quote(key)}${hint}`, suggestion)
      }
    }
    return out
  }

  private text(map: Map<string, YamlNode>, parent: Place, path: string, key: string): string {
    const node = map.get(key)
    if (node?.kind === 'scalar' && typeof node.value === 'string' && node.value !== '') return node.value
    const say = node ? `${key} is a string` : `${key} is missing`
    this.error(node ?? parent, node ? 'bad-type' : 'missing-key', joinPath(path, key), say)
    return ''
  }

  private literal(map: Map<string, YamlNode>, parent: Place, key: string, expected: string): void {
    const found = this.text(map, parent, '', key)
    if (found !== '' && found !== expected)
      this.error(
        map.get(key) ?? parent,
        'bad-value',
        key,
        `${key} is ${quote(found)}; only ${quote(expected)} is known`,
      )
  }
}
