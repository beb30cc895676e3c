// `sluice attach` and `detach`: give a workspace its slot, and take it away again, always as the signed inventory says. The
// answer comes when the deny fence of the slot was read back; from then on the live plan judges its traffic.

import { cliFault } from '../errors.js'
import type { Declared, Options } from '../frame.js'
import { counting } from '../frame.js'
import type { AttachRequest } from '../host.js'
import { withNode } from '../node.js'
import { facts } from '../print.js'

type Place = Pick<AttachRequest, 'netns'> & Partial<Pick<AttachRequest, 'kind'>> & { readonly interface?: string }

/** What each way of naming a slot means. A container's is the namespace of its first process. */
const PLACES: Readonly<Record<string, (value: string) => Place>> = {
  container: (pid) => ({ kind: 'veth', netns: `/proc/${counting(pid)}/ns/net` }),
  netns: (name) => ({ kind: 'veth', netns: name.startsWith('/') ? name : `/run/netns/${name}` }),
  interface: (name) => ({ interface: name }),
  tap: (name) => ({ kind: 'tap', interface: name }),
  representor: (name) => ({ kind: 'representor', interface: name }),
  cgroup: (path) => ({ kind: 'cgroup', interface: path }),
}

export const attachCommand: Declared = {
  usage: 'attach <workspace>',
  summary: 'give a workspace its slot; answered when its deny fence is read back',
  examples: [
    'sluice attach spiffe://fleet.example/ws/alpha --netns alpha',
    'sluice attach spiffe://fleet.example/ws/beta --tap tap0 --lease 4',
  ],
  declare: (command) =>
    command
      .option('--container <pid>', "make the veth pair into the network namespace of a container's process")
      .option('--netns <name>', 'make the veth pair into a network namespace, by name or path')
      .option('--interface <name>', 'attach the interface that is there, of the kind that the inventory says')
      .option('--tap <name>', 'attach a tap of a virtual machine')
      .option('--representor <name>', 'attach a representor')
      .option('--cgroup <path>', 'attach a cgroup, by its path below the cgroup root')
      .option('--lease <number>', 'lease generation; one more than the last when left out', counting)
      .option('--config <file>', 'agent.yaml of this node'),
  run: (context, [workspace = ''], options) => {
    const place = placeOf(options)
    const lease = options.lease as number | undefined
    return withNode(context, { config: options.config as string | undefined, exclusive: true }, async (node) => {
      const request = { workspace, ...place, ...(lease === undefined ? {} : { leaseGeneration: lease }) }
      const { tenure, generation, fencedMs } = await node.attach(request)
      return {
        json: { state: 'attached', ...tenure, generation, fencedMs },
        text: facts([
          ['workspace', workspace],
          ['state', 'attached'],
          ['slot', `${tenure.kind} ${tenure.interface}`],
          ['attachment', `${tenure.attachmentId}, lease ${tenure.leaseGeneration}`],
          ['generation', String(generation)],
          ['deny fence read back after', `${fencedMs} ms`],
        ]),
      }
    })
  },
}

/** Throws CLI_ATTACH_PLACE unless exactly one way of naming the slot was used. */
function placeOf(options: Options): Place {
  const named = Object.entries(PLACES).filter(([name]) => options[name] !== undefined)
  const [only] = named
  if (!only || named.length > 1)
    throw cliFault('CLI_ATTACH_PLACE', {
      ways: Object.keys(PLACES)
        .map((n) => `--${n}`)
        .join(', '),
    })
  const [name, read] = only
  return read(String(options[name]))
}
