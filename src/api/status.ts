// The one translation of errors to gRPC: a Fault by its reaction (STYLE, "Errors"), with its code and remedy in the trailing
// metadata; anything else is a defect of ours, of which a caller learns that it happened and nothing more.

import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { causeChain, Fault, type Reaction } from '../base/fault.js'

const BY_REACTION = {
  reject: status.INVALID_ARGUMENT,
  unsupported: status.FAILED_PRECONDITION,
  stale: status.ABORTED,
  retry: status.UNAVAILABLE,
  bug: status.INTERNAL,
} as const satisfies Record<Reaction, status>

/** Where the reaction alone would say too little. */
const BY_CODE: Readonly<Record<string, status>> = {
  API_DENIED: status.PERMISSION_DENIED,
  API_IDENTITY: status.UNAUTHENTICATED,
  API_TOO_OFTEN: status.RESOURCE_EXHAUSTED,
  API_DEADLINE: status.DEADLINE_EXCEEDED,
  API_UNIMPLEMENTED: status.UNIMPLEMENTED,
  WORKSPACE_UNKNOWN: status.NOT_FOUND,
  AGENT_QUEUE_FULL: status.RESOURCE_EXHAUSTED,
  AGENT_WORKSPACE_UNKNOWN: status.NOT_FOUND,
  AGENT_NOTHING_LIVE: status.FAILED_PRECONDITION,
}

/** `withCauses`: for a caller on the same host, who may know what stands behind it. */
export function toStatus(error: unknown, withCauses = false): ServiceError {
  const fault = error instanceof Fault ? error : undefined
  const metadata = new Metadata()
  metadata.set('sluice-code', fault?.code ?? 'INTERNAL')
  if (fault) metadata.set('sluice-reaction', fault.reaction)
  if (fault && withCauses) metadata.set('sluice-causes', causesOf(error))
  metadata.set(
    'sluice-remedy',
    ascii(fault?.remedy ?? 'This is a defect of sluice: report it with the log of the agent.'),
  )
  const code = fault ? (BY_CODE[fault.code] ?? BY_REACTION[fault.reaction]) : status.INTERNAL
  const details = ascii(fault ? `${fault.code}: ${fault.message}` : 'INTERNAL: a defect of sluice')
  return Object.assign(new TypeError(details), { code, details, metadata })
}

/** JSON within bounds: metadata as a whole has 8 KiB. */
const causesOf = (error: unknown): string =>
  JSON.stringify(
    causeChain(error)
      .slice(1, 6)
      .map((text) => ascii(text).slice(0, 500)),
  )

/** Metadata is printable ASCII (gRPC over HTTP/2, "Custom-Metadata"); anything else in a sentence was quoted from input. */
const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 2_000)

/**
 * The fault that a server of ours answered with; undefined for what no server of ours said, such as a connection that was lost. One of
 * an older release, without its reaction, may pass.
 */
export function fromStatus({ details, metadata }: ServiceError): Fault | undefined {
  const read = (name: string): string => String(metadata.get(name)[0] ?? '')
  const code = read('sluice-code')
  if (code === '' || code === 'INTERNAL') return undefined
  const message = details.replace(`${code}: `, '')
  const causes = JSON.parse(read('sluice-causes') || '[]') as readonly string[]
  const inner = [...causes]
    .reverse()
    .reduce<Error | undefined>((cause, say) => new TypeError(say, { cause }), undefined)
  const row = {
    reaction: (read('sluice-reaction') || 'retry') as Reaction,
    say: () => message,
    remedy: read('sluice-remedy'),
  }
  return new Fault(code, row, {}, inner ? { cause: inner } : {})
}
