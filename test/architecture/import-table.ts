// Who may import whom, as data. The first three members are the row as src/README.md prints it; the rest is what the test
// holds. `files` and `may` are matched against paths below src without the extension. A file belongs to the first row that
// matches it; a file always may import files of its own row.

import { readText } from './repository.js'

export interface Layer {
  readonly folder: string
  readonly mayText: string
  readonly pureText: string
  readonly files: RegExp
  readonly may: readonly RegExp[]
  /** Packages from outside, by their first path segments. Node's own modules are open to what is not pure. */
  readonly packages: readonly string[]
  readonly pure: boolean | RegExp
}

const base = /^base\//
const bundle = /^bundle\//
const policy = /^policy\//
const plan = /^plan\//
const decide = /^decide\//
const process = /^process\//
const vault = /^vault\//
const contract = /^backends\/backend$/
/** What programs that trace and guard have in common. */
const tracing = /^backends\/tracing\//

/** The pure half of a folder is what the configuration without Node's types compiles: it is listed once, there. */
const pureOf = (folder: string): RegExp =>
  new RegExp(
    `^(${(JSON.parse(readText('tsconfig.pure.json')) as { include: string[] }).include
      .filter((pattern) => pattern.startsWith(`src/${folder}/`))
      .map((pattern) =>
        pattern
          .replace(/^src\//, '')
          .replace(/\.ts$/, '')
          .replaceAll('*', '[a-z-]+'),
      )
      .join('|')})$`,
  )

export const IMPORT_TABLE: readonly Layer[] = [
  {
    folder: 'base',
    mayText: 'nothing',
    pureText: 'yes',
    files: base,
    may: [],
    packages: ['@noble/hashes', 'yaml'],
    pure: true,
  },
  {
    folder: 'bundle',
    mayText: 'base',
    pureText: 'yes (crypto by value)',
    files: bundle,
    may: [base],
    packages: ['@noble/curves', 'jose', 'pkijs'],
    pure: true,
  },
  { folder: 'policy', mayText: 'base', pureText: 'yes', files: policy, may: [base], packages: ['ajv'], pure: true },
  {
    folder: 'plan',
    mayText: 'base, policy',
    pureText: 'yes',
    files: plan,
    may: [base, policy],
    packages: [],
    pure: true,
  },
  {
    folder: 'decide',
    mayText: 'base, policy, plan',
    pureText: 'yes',
    files: decide,
    may: [base, policy, plan],
    packages: [],
    pure: true,
  },
  {
    folder: 'process',
    mayText: 'base, policy, plan',
    pureText: 'yes',
    files: process,
    may: [base, policy, plan],
    packages: [],
    pure: true,
  },
  {
    folder: 'vault',
    mayText: 'base, plan, backends/backend (types)',
    pureText: 'yes',
    files: vault,
    may: [base, plan, contract],
    packages: [],
    pure: true,
  },
  {
    folder: 'backends: backend, capabilities, program, lower, render, errors and their parts',
    mayText: 'base, policy, plan, process',
    pureText: 'yes',
    files: pureOf('backends'),
    may: [base, policy, plan, process],
    packages: [],
    pure: true,
  },
  {
    folder: 'backends/registry',
    mayText: 'backends',
    pureText: 'names yes, opening no',
    files: /^backends\/registry$/,
    may: [plan, /^backends\/[a-z-]+\/index$/, contract],
    packages: [],
    pure: false,
  },
  {
    folder: 'backends/tracing',
    mayText: 'base, backends/backend',
    pureText: 'no',
    files: tracing,
    may: [base, contract],
    packages: ['koffi'],
    pure: false,
  },
  {
    folder: 'backends: everything else of a backend',
    mayText: 'base, policy, plan, process, vault, backends/tracing, own folder',
    pureText: 'no',
    files: /^backends\/[a-z-]+\//,
    may: [base, policy, plan, process, vault, contract, tracing],
    packages: ['koffi'],
    pure: false,
  },
  {
    folder: 'dns',
    mayText: 'base, plan',
    pureText: 'story pure, sockets at the edge',
    files: /^dns\//,
    may: [base, plan],
    packages: ['dns-packet'],
    pure: pureOf('dns'),
  },
  {
    folder: 'revocation',
    mayText: 'base, bundle, plan',
    pureText: 'story pure, sockets and files at the edge',
    files: /^revocation\//,
    may: [base, bundle, plan],
    packages: [],
    pure: pureOf('revocation'),
  },
  {
    folder: 'audit: fact, ocsf, fold, uuid, errors, chain, seal',
    mayText: 'base',
    pureText: 'yes',
    files: /^audit\/(ocsf\/|(fact(-[a-z]+)?|fold(-[a-z]+)?|uuid|errors|chain|seal)$)/,
    may: [base],
    packages: [],
    pure: true,
  },
  {
    folder: 'audit: everything else',
    mayText: 'base, audit',
    pureText: 'no',
    files: /^audit\//,
    may: [base, /^audit\//],
    packages: ['@nats-io'],
    pure: false,
  },
  {
    folder: 'findings',
    mayText: 'base, audit/fact, dns/names',
    pureText: 'yes',
    files: /^findings\//,
    may: [base, /^audit\/fact$/, /^dns\/names$/],
    packages: [],
    pure: true,
  },
  {
    folder: 'agent',
    mayText: 'base, bundle, policy, plan, process, decide, backends/backend (types), audit, dns, revocation, findings',
    pureText: '`decide`, `loop-decide` yes, rest no',
    files: /^agent\//,
    may: [base, bundle, policy, plan, process, decide, contract, /^audit\//, /^dns\//, /^revocation\//, /^findings\//],
    packages: ['koffi', 'pino', 'prom-client', 'tar-stream'],
    pure: /^agent\/(loop-)?decide$/,
  },
  {
    folder: 'bench',
    mayText: 'base, plan, backends',
    pureText: 'figures, results and the report yes, measuring no',
    files: /^bench\//,
    may: [base, plan, /^backends\//],
    packages: ['ajv'],
    pure: pureOf('bench'),
  },
  {
    folder: 'companion',
    mayText: 'base, bundle, audit, revocation, api/client, api/grpc-client, agent/config and its values',
    pureText: 'table, records, reconciling yes, rest no',
    files: /^companion\//,
    may: [base, bundle, /^audit\//, /^revocation\//, /^api\/(grpc-)?client$/, /^agent\/config(-[a-z]+)?$/],
    packages: ['koffi'],
    pure: pureOf('companion'),
  },
  {
    folder: 'api',
    mayText: 'base, agent/command',
    pureText: 'no',
    files: /^api\//,
    may: [base, /^agent\/command$/],
    packages: ['@grpc', 'grpc-health-check', 'koffi', 'protobufjs'],
    pure: false,
  },
  {
    folder: 'cli',
    mayText:
      'base, bundle, policy, plan, decide, revocation, backends/registry (pure half), bench (pure half), api/client',
    pureText: 'no',
    files: /^cli\//,
    may: [
      base,
      bundle,
      policy,
      plan,
      decide,
      /^revocation\//,
      /^backends\/registry$/,
      pureOf('bench'),
      /^api\/client$/,
    ],
    packages: ['commander'],
    pure: false,
  },
  {
    folder: 'bin',
    mayText: 'everything',
    pureText: 'no',
    files: /^bin\//,
    may: [/./],
    packages: ['commander', 'pino', 'prom-client'],
    pure: false,
  },
]

/** A backend is one folder each: within the rows for backends, only its own. What they share is none. */
export const backendFolder = (path: string): string | undefined =>
  tracing.test(path) ? undefined : /^backends\/([a-z-]+)\//.exec(path)?.[1]

/** The table as src/README.md has it between its two markers. */
export const printTable = (): string =>
  [
    '| folder | may import | pure |',
    '|---|---|---|',
    ...IMPORT_TABLE.map((row) => `| ${row.folder} | ${row.mayText} | ${row.pureText} |`),
  ].join('\n')
