// Whom a security event may mean on this host: every workspace by what its profile says, in the forms in which a transmitter may name a
// user, a session or a device; and whose record is damaged, by its name alone, where that is known.

import type { Json } from '../base/canonical.js'
import type { Fault } from '../base/fault.js'
import type { Lifecycle } from '../companion/lifecycle/lifecycle.js'
import { readSubject } from '../plan/subject.js'
import { revocationFault } from '../revocation/errors.js'
import type { Mapped } from '../revocation/model.js'

export const mappedOf = (lifecycle: Lifecycle, issuers: readonly string[]): readonly Mapped[] => {
  const { store } = lifecycle.host
  const named = lifecycle.all().map(({ workspace, profile }) => {
    const { user = '', session = '', device = '' } = profile ?? {}
    return {
      workspace,
      subjects: {
        user: identities([{ format: 'email', email: user }, ...formsOf(user, issuers)]),
        ...(session === '' ? {} : { session: identities(formsOf(session, issuers)) }),
        ...(device === '' ? {} : { device: identities(formsOf(device, issuers)) }),
      },
    }
  })
  const known = new Set(named.map(({ workspace }) => workspace))
  const lost = [...store.damaged.keys()].flatMap((file) => store.ownerOf(file, []) ?? [])
  return [
    ...named,
    ...lost.filter((workspace) => !known.has(workspace)).map((workspace) => ({ workspace, subjects: {} })),
  ]
}

/** Why an event may mean a workspace that is not among those; undefined where every record can be read. */
export function unnamedIn(lifecycle: Lifecycle): Fault | undefined {
  const files = [...lifecycle.host.store.damaged.keys()]
  return files.length === 0 ? undefined : revocationFault('REVOCATION_RECORDS', { files: files.join(', ') })
}

const formsOf = (name: string, issuers: readonly string[]): readonly Json[] => [
  { format: 'opaque', id: name },
  { format: 'uri', uri: name },
  ...[...new Set(issuers)].map((iss) => ({ format: 'iss_sub', iss, sub: name })),
]

/** A name that is no address has no identity of that form. */
const identities = (forms: readonly Json[]): readonly string[] =>
  forms.flatMap((form) => {
    const subject = readSubject(form)
    return typeof subject !== 'string' && subject.kind === 'simple' ? subject.identities : []
  })
