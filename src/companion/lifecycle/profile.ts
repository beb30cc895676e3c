// The profile of a workspace: what is fixed when it is made, and never changes until it is deleted (one user, one image name, one
// size, one network, one policy channel, its volumes). Pure. What a profile names (networks, images) is looked up by whoever
// carries a step out; here is only what it may look like.

import type { Json } from '../../base/canonical.js'
import { isObject } from '../../base/json.js'
import { lifecycleFault } from './errors.js'

export interface Profile {
  /** SPIFFE URI: the id that the signed inventory has. */
  readonly workspace: string
  /** Whose it is: one user, as the access broker and the identity provider call them. */
  readonly user: string
  /** What an identity provider may call its session, for events of revocation. */
  readonly session: string
  /** What an identity provider may call the device that it is used from or is. Absent: it is known as a device by its id alone. */
  readonly device?: string
  /** Name of an image in the signed manifest; which version of it boots is fixed by a bake. */
  readonly image: string
  readonly cpus: number
  readonly memoryMiB: number
  /** A network of companion.yaml. */
  readonly network: string
  /** The policy must come from this channel. */
  readonly channel: string
  /** `wait-initial`: nothing runs before a policy is live for it; `baseline`: it may run while everything is denied. */
  readonly policy: 'wait-initial' | 'baseline'
  /** Persistent volumes: they outlive a rebake. */
  readonly volumes: readonly string[]
}

const WORKSPACE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/
const TAG = /^[a-z0-9][a-z0-9-]{0,35}$/
const MAX_VOLUMES = 16

export const isWorkspace = (text: string): boolean => text.length <= 2048 && WORKSPACE.test(text)
const whole = (value: unknown, least: number, most: number): boolean =>
  Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
const isName = (value: unknown): boolean => typeof value === 'string' && NAME.test(value)
const isTag = (value: unknown): boolean => typeof value === 'string' && TAG.test(value)

const MEMBERS = {
  workspace: [(v) => typeof v === 'string' && isWorkspace(v), 'the SPIFFE URI of a workspace'],
  user: [isName, 'the name of one user'],
  session: [(v) => v === '' || isName(v), 'a name, or nothing'],
  device: [(v) => v === undefined || v === '' || isName(v), 'a name, or nothing'],
  image: [isName, 'the name of an image'],
  cpus: [(v) => whole(v, 1, 256), 'a whole number from 1 to 256'],
  memoryMiB: [(v) => whole(v, 64, 1 << 22), 'MiB, from 64 to 4194304'],
  network: [isTag, 'the name of a network of companion.yaml'],
  channel: [isName, 'a channel of policy'],
  policy: [(v) => v === 'wait-initial' || v === 'baseline', 'wait-initial or baseline'],
  volumes: [
    (v) => Array.isArray(v) && v.length <= MAX_VOLUMES && v.every(isTag) && new Set(v).size === v.length,
    `at most ${MAX_VOLUMES} different names of volumes`,
  ],
} as const satisfies Record<keyof Profile, readonly [(value: unknown) => boolean, string]>

// untrusted: `value`
/** Throws WORKSPACE_PROFILE. */
export function readProfile(value: unknown): Profile {
  if (!isObject(value as Json)) throw lifecycleFault('WORKSPACE_PROFILE', { why: 'it is no object' })
  const given = value as Record<string, unknown>
  for (const [name, [good, expected]] of Object.entries(MEMBERS))
    if (!good(given[name])) throw lifecycleFault('WORKSPACE_PROFILE', { why: `${name} must be ${expected}` })
  const names = Object.keys(MEMBERS).filter((name) => name !== 'device' || (given.device ?? '') !== '')
  const picked = names.map((name): [string, unknown] => [name, given[name]])
  return Object.fromEntries(picked) as unknown as Profile
}
