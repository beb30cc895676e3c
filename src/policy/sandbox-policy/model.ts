// OpenShell's SandboxPolicy as far as anything here can use it: where each rule reaches, what it says about requests, and the
// names of the keys that only the runtime inside can carry out. Requests are for `decide` alone: a plan has none of them, and
// nothing of them is carried to a DPU (sheet section 14, rule 5). What is said about credentials is checked and left behind.

import type { ClauseOrigin } from '../model.js'

/** The rule and endpoint keys that mean something at layer 7, in the order in which losses are listed. */
export const L7_KEYS = [
  'rules',
  'access',
  'deny_rules',
  'path',
  'persisted_queries',
  'graphql_persisted_queries',
  'graphql_max_body_bytes',
  'json_rpc',
  'mcp',
  'allow_encoded_slash',
] as const
export type L7Key = (typeof L7_KEYS)[number]

export const CREDENTIAL_KEYS = [
  'websocket_credential_rewrite',
  'request_body_credential_rewrite',
  'credential_signing',
  'credential_binding',
] as const
export type CredentialKey = (typeof CREDENTIAL_KEYS)[number]

export type SandboxHost =
  /** Any name; the answer must lie in `allowedIps`. */
  | { readonly kind: 'any' }
  | { readonly kind: 'name' | 'wildcard'; readonly name: string }
  /** Canonical host prefix. */
  | { readonly kind: 'address'; readonly prefix: string }

/** `{any: [...]}` or one glob: some glob matches. */
export type Globs = readonly string[]

/** One entry of `rules` or `deny_rules`, or of an access preset written out; absent keys say nothing (sheet section 5). */
export interface RequestRule {
  /** The key in the document: `network_policies.github.endpoints[0].rules[1]`. */
  readonly path: string
  /** Upper case for HTTP; `*` is any. For json-rpc and mcp the method of the call. */
  readonly method?: string
  readonly pathGlob?: string
  readonly query: readonly { readonly key: string; readonly globs: Globs }[]
  /** `query`, `mutation`, `subscription`, or `*` (presets only). */
  readonly operationType?: string
  readonly operationName?: string
  readonly fields: Globs
  /** `tool`, or its other spelling `params.name`. */
  readonly tool?: Globs
}

export interface RegisteredQuery {
  readonly id: string
  readonly operationType: string
  readonly operationName: string
  readonly fields: readonly string[]
}

/** What an inspected endpoint says about requests (sheet sections 3 to 5). */
export interface RequestTerms {
  /** '' is every path. */
  readonly path: string
  /** Not `enforce` is audit: log and allow (section 3). */
  readonly enforce: boolean
  readonly allow: readonly RequestRule[]
  readonly deny: readonly RequestRule[]
  readonly encodedSlash: boolean
  /** Empty unless `persisted_queries: allow_registered`. */
  readonly registered: readonly RegisteredQuery[]
  readonly strictToolNames: boolean
  readonly allKnownMethods: boolean
}

export interface SandboxEndpoint {
  readonly origin: ClauseOrigin
  readonly host: SandboxHost
  /** Sorted, no duplicates, never empty. */
  readonly ports: readonly number[]
  /** Canonical prefixes, sorted; undefined when the policy names none. */
  readonly allowedIps?: readonly string[]
  /** '' is plain L4 through the proxy. */
  readonly protocol: string
  /** The `tls` key asks the runtime for something (anything but `skip`). */
  readonly tls: boolean
  readonly l7: readonly L7Key[]
  readonly credentials: readonly CredentialKey[]
  /** Nothing can pass: always blocked (accepted by compat only), or an address outside its own allowed_ips. */
  readonly blocked: boolean
  /** Present exactly when the protocol is one whose requests are read. */
  readonly requests?: RequestTerms
}

export interface SandboxRule {
  readonly key: string
  readonly name: string
  readonly origin: ClauseOrigin
  readonly endpoints: readonly SandboxEndpoint[]
  /** Paths or globs; empty means that the rule grants nothing (section 7). */
  readonly binaries: readonly string[]
}

export interface SandboxFilesystem {
  readonly origin: ClauseOrigin
  readonly includeWorkdir: boolean
  readonly readOnly: readonly string[]
  readonly readWrite: readonly string[]
}

export interface SandboxMiddleware {
  readonly key: string
  readonly origin: ClauseOrigin
}

export interface SandboxPolicy {
  readonly file: string
  readonly rules: readonly SandboxRule[]
  readonly middlewares: readonly SandboxMiddleware[]
  readonly filesystem?: SandboxFilesystem
  readonly landlock?: { readonly origin: ClauseOrigin; readonly compatibility: 'best_effort' | 'hard_requirement' }
  readonly process?: { readonly origin: ClauseOrigin; readonly user?: string; readonly group?: string }
}
