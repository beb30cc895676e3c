// Every method of sluice.proto as data: its path, its codecs, whether it streams. Names are typed, so that the table of roles
// and the table of handlers do not compile without a row for each; a test holds the list to the .proto.

import type { MethodDefinition } from '@grpc/grpc-js'
import { PACKAGE, v1 } from './messages.js'

export interface Codec<Message> {
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Message
}

type Of<C> = C extends Codec<infer M> ? M : never

/** One method: what it takes, what it gives, and whether it gives several. */
export const codecMethod = <Q extends Codec<unknown>, S extends Codec<unknown>>(
  request: Q,
  response: S,
  streams = false,
) => ({
  request,
  response,
  streams,
})

export const METHODS = {
  'Enforcement/GetStatus': codecMethod(v1.GetStatusRequest, v1.GetStatusResponse),
  'Enforcement/GetPlan': codecMethod(v1.GetPlanRequest, v1.GetPlanResponse),
  'Enforcement/Explain': codecMethod(v1.ExplainRequest, v1.ExplainResponse),
  'Enforcement/Quarantine': codecMethod(v1.QuarantineRequest, v1.QuarantineResponse),
  'Enforcement/Lift': codecMethod(v1.LiftRequest, v1.LiftResponse),
  'Enforcement/CheckDrift': codecMethod(v1.CheckDriftRequest, v1.CheckDriftResponse),
  'Workspaces/Attach': codecMethod(v1.AttachRequest, v1.AttachResponse),
  'Workspaces/Detach': codecMethod(v1.DetachRequest, v1.DetachResponse),
  'Workspaces/ListAttachments': codecMethod(v1.ListAttachmentsRequest, v1.ListAttachmentsResponse),
  'Sessions/OpenSession': codecMethod(v1.OpenSessionRequest, v1.OpenSessionResponse),
  'Sessions/CloseSession': codecMethod(v1.CloseSessionRequest, v1.CloseSessionResponse),
  'Sessions/ListSessions': codecMethod(v1.ListSessionsRequest, v1.ListSessionsResponse),
  'Decision/CheckFlow': codecMethod(v1.CheckFlowRequest, v1.CheckFlowResponse),
  'Decision/CheckAction': codecMethod(v1.CheckActionRequest, v1.CheckActionResponse),
  'Evidence/MakeEvidence': codecMethod(v1.MakeEvidenceRequest, v1.MakeEvidenceResponse),
  'Audit/GetTrail': codecMethod(v1.GetTrailRequest, v1.GetTrailResponse),
  'Audit/StreamEvents': codecMethod(v1.StreamEventsRequest, v1.StreamEventsResponse, true),
} as const

export type MethodName = keyof typeof METHODS
export type RequestOf<M extends MethodName> = Of<(typeof METHODS)[M]['request']>
export type ResponseOf<M extends MethodName> = Of<(typeof METHODS)[M]['response']>
export const METHOD_NAMES = Object.keys(METHODS) as readonly MethodName[]

/** As grpc-js wants it. */
export const definitionOf = <M extends MethodName>(name: M): MethodDefinition<RequestOf<M>, ResponseOf<M>> =>
  grpcDefinition(`/${PACKAGE}.${name}`, METHODS[name]) as never

/** The codecs of a method behind its path. */
export function grpcDefinition(
  path: string,
  method: { readonly request: Codec<unknown>; readonly response: Codec<unknown>; readonly streams: boolean },
): MethodDefinition<unknown, unknown> {
  const { request, response, streams } = method
  const encode = (codec: Codec<unknown>) => (message: unknown) => Buffer.from(codec.encode(message as never).finish())
  return {
    path,
    requestStream: false,
    responseStream: streams,
    requestSerialize: encode(request),
    requestDeserialize: (bytes) => request.decode(bytes),
    responseSerialize: encode(response),
    responseDeserialize: (bytes) => response.decode(bytes),
  }
}
