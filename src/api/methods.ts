// Every method of sluice.proto as data: its path, its codecs, whether it streams. Names are typed, so that the table of roles
// and the table of handlers do not compile without a row for each; a test holds the list to the .proto.

import type { MethodDefinition } from '@grpc/grpc-js'
import { PACKAGE, v1 } from './messages.js'

interface Codec<Message> {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Message
}

type Of<C> = C extends Codec<infer M> ? M : never

const method = <Q extends Codec<unknown>, S extends Codec<unknown>>(request: Q, response: S, streams = false) => ({
  request,
  response,
  streams,
})

export const METHODS = {
  'Enforcement/GetStatus': method(v1.GetStatusRequest, v1.GetStatusResponse),
  'Enforcement/GetPlan': method(v1.GetPlanRequest, v1.GetPlanResponse),
  'Enforcement/Explain': method(v1.ExplainRequest, v1.ExplainResponse),
  'Enforcement/Quarantine': method(v1.QuarantineRequest, v1.QuarantineResponse),
  'Enforcement/Lift': method(v1.LiftRequest, v1.LiftResponse),
  'Enforcement/CheckDrift': method(v1.CheckDriftRequest, v1.CheckDriftResponse),
  'Workspaces/Attach': method(v1.AttachRequest, v1.AttachResponse),
  'Workspaces/Detach': method(v1.DetachRequest, v1.DetachResponse),
  'Workspaces/ListAttachments': method(v1.ListAttachmentsRequest, v1.ListAttachmentsResponse),
  'Decision/CheckFlow': method(v1.CheckFlowRequest, v1.CheckFlowResponse),
  'Decision/CheckAction': method(v1.CheckActionRequest, v1.CheckActionResponse),
  'Evidence/MakeEvidence': method(v1.MakeEvidenceRequest, v1.MakeEvidenceResponse),
  'Audit/GetTrail': method(v1.GetTrailRequest, v1.GetTrailResponse),
  'Audit/StreamEvents': method(v1.StreamEventsRequest, v1.StreamEventsResponse, true),
} as const

export type MethodName = keyof typeof METHODS
export type RequestOf<M extends MethodName> = Of<(typeof METHODS)[M]['request']>
export type ResponseOf<M extends MethodName> = Of<(typeof METHODS)[M]['response']>
export const METHOD_NAMES = Object.keys(METHODS) as readonly MethodName[]

/** As grpc-js wants it. */
export function definitionOf<M extends MethodName>(name: M): MethodDefinition<RequestOf<M>, ResponseOf<M>> {
  const { request, response, streams } = METHODS[name]
  const encode = (codec: Codec<unknown>) => (message: unknown) => Buffer.from(codec.encode(message as never).finish())
  return {
    path: `/${PACKAGE}.${name}`,
    requestStream: false,
    responseStream: streams,
    requestSerialize: encode(request),
    requestDeserialize: (bytes) => request.decode(bytes) as RequestOf<M>,
    responseSerialize: encode(response),
    responseDeserialize: (bytes) => response.decode(bytes) as ResponseOf<M>,
  }
}
