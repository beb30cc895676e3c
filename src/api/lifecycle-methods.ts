// The methods of companion.proto as data: path and codecs. Names are typed, so that the table of roles and the table of handlers do
// not compile without a row for each; a test holds the list to the .proto.

import type { MethodDefinition } from '@grpc/grpc-js'
import { PACKAGE, v1 } from './messages.js'
import { type Codec, codecMethod, grpcDefinition } from './methods.js'

export const LIFECYCLE_METHODS = {
  'Lifecycle/ChangeWorkspace': codecMethod(v1.ChangeWorkspaceRequest, v1.ChangeWorkspaceResponse, true),
  'Lifecycle/KillWorkspaces': codecMethod(v1.KillWorkspacesRequest, v1.KillWorkspacesResponse, true),
  'Lifecycle/ListWorkspaces': codecMethod(v1.ListWorkspacesRequest, v1.ListWorkspacesResponse),
  'Lifecycle/ReadConsole': codecMethod(v1.ReadConsoleRequest, v1.ReadConsoleResponse),
  'Lifecycle/OpenBrokerSession': codecMethod(v1.OpenBrokerSessionRequest, v1.OpenBrokerSessionResponse),
  'Lifecycle/CloseBrokerSession': codecMethod(v1.CloseBrokerSessionRequest, v1.CloseBrokerSessionResponse),
  'Lifecycle/ListBrokerSessions': codecMethod(v1.ListBrokerSessionsRequest, v1.ListBrokerSessionsResponse),
} as const

export type LifecycleMethod = keyof typeof LIFECYCLE_METHODS
type Of<C> = C extends Codec<infer M> ? M : never
export type LifecycleRequest<M extends LifecycleMethod> = Of<(typeof LIFECYCLE_METHODS)[M]['request']>
export type LifecycleResponse<M extends LifecycleMethod> = Of<(typeof LIFECYCLE_METHODS)[M]['response']>
export const LIFECYCLE_METHOD_NAMES = Object.keys(LIFECYCLE_METHODS) as readonly LifecycleMethod[]

/** As grpc-js wants it. */
export const lifecycleDefinition = <M extends LifecycleMethod>(
  name: M,
): MethodDefinition<LifecycleRequest<M>, LifecycleResponse<M>> =>
  grpcDefinition(`/${PACKAGE}.${name}`, LIFECYCLE_METHODS[name]) as never
